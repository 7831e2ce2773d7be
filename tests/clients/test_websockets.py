"""WebSocket clients against WebSocket servers: each says the same, and hears what it hears directly."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import aiohttp
import pytest
import websockets.asyncio.client
import websockets.sync.client
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.clients.stand import Stand, stand
from tests.clients.websocket_servers import CHAT, MOST_BYTES, NodeServer, PythonServer
from tests.servers import programs
from tests.servers.nginx import Nginx

BIG = (b"0123456789abcdef-" * 200_000)[: 3 * 2**20]  # past what any buffer on the way holds
# What each client hears after the greeting.
HEARD = ["hallo ü", hashlib.sha256(BIG).hexdigest(), "", "in two", "closed 4001 as asked"]

Talk = Callable[[str], list[str]]


class Hall:
    """Both servers and a sidecar in front of them."""

    def __init__(self, whole: Stand, python: PythonServer, node: NodeServer) -> None:
        self.stand = whole
        self.python = python
        self._direct = {"python": python.port, "node": node.port}

    def direct(self, server: str) -> str:
        """Return a server's own address."""
        return f"ws://127.0.0.1:{self._direct[server]}/{server}/talk"

    def through(self, server: str, path: str = "talk") -> str:
        """Return its address through the sidecar."""
        return f"{self.stand.url.replace('http', 'ws')}/{server}/{path}"


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory, shared_nginx: Nginx) -> Iterator[Hall]:
    """Both servers, once for all these tests."""
    directory = tmp_path_factory.mktemp("hall")
    with PythonServer().serving() as python, NodeServer(tmp_path_factory.mktemp("ws")) as node:
        urls = {"python": f"http://127.0.0.1:{python.port}", "node": f"http://127.0.0.1:{node.port}"}
        with stand(directory, shared_nginx, **urls) as whole:
            yield Hall(whole, python, node)


def heard(message: str | bytes) -> str:
    """Return what to note of a message."""
    return message if isinstance(message, str) else hashlib.sha256(message).hexdigest()


def by_websockets_sync(url: str) -> list[str]:
    """The `websockets` library, blocking."""
    with websockets.sync.client.connect(url, subprotocols=[CHAT], max_size=MOST_BYTES, proxy=None) as socket:
        notes = [f"open {socket.subprotocol}", heard(socket.recv())]
        assert socket.ping(b"here").wait(5)
        notes.append("pong here")
        for message in ("hallo ü", BIG, "", ["in ", "two"]):
            socket.send(message)
            notes.append(heard(socket.recv()))
        socket.send("close")
        try:
            notes.append(heard(socket.recv()))
        except ConnectionClosed as closed:
            assert closed.rcvd is not None
            notes.append(f"closed {closed.rcvd.code} {closed.rcvd.reason}")
    return notes


async def talk_by_websockets(url: str) -> list[str]:
    """Say all of it."""
    connecting = websockets.asyncio.client.connect(url, subprotocols=[CHAT], max_size=MOST_BYTES, proxy=None)
    async with connecting as socket:
        notes = [f"open {socket.subprotocol}", heard(await socket.recv())]
        await (await socket.ping(b"here"))
        notes.append("pong here")
        messages: Sequence[str | bytes | list[str]] = ("hallo ü", BIG, "", ["in ", "two"])
        for message in messages:
            await socket.send(message)
            notes.append(heard(await socket.recv()))
        await socket.send("close")
        try:
            notes.append(heard(await socket.recv()))
        except ConnectionClosed as closed:
            assert closed.rcvd is not None
            notes.append(f"closed {closed.rcvd.code} {closed.rcvd.reason}")
    return notes


def by_websockets_async(url: str) -> list[str]:
    """The `websockets` library on asyncio."""
    return asyncio.run(talk_by_websockets(url))


async def talk_by_aiohttp(url: str) -> list[str]:
    """Say all of it."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, protocols=["chat"], autoping=False, compress=15, max_msg_size=MOST_BYTES) as socket,
    ):
        notes = [f"open {socket.protocol}", (await socket.receive()).data]
        await socket.ping(b"here")
        pong = await socket.receive()
        assert pong.type is aiohttp.WSMsgType.PONG
        notes.append(f"pong {bytes(pong.data).decode()}")
        for message in ("hallo ü", BIG, "", "in two"):
            await (socket.send_str(message) if isinstance(message, str) else socket.send_bytes(message))
            notes.append(heard((await socket.receive()).data))
        await socket.send_str("close")
        closed = await socket.receive()
        notes.append(f"closed {closed.data} {closed.extra}")
    return notes


def by_aiohttp(url: str) -> list[str]:
    """aiohttp's own client."""
    return asyncio.run(talk_by_aiohttp(url))


def by_node(url: str, kind: str) -> list[str]:
    """A client in Node."""
    command: list[str | Path] = [programs.node(), programs.WS_DIRECTORY / "client.mjs", url, kind]
    done = subprocess.run(command, capture_output=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    notes: list[str] = json.loads(done.stdout)
    return notes


def by_ws(url: str) -> list[str]:
    """npm's `ws`."""
    return by_node(url, "--ws")


def by_nodes_own(url: str) -> list[str]:
    """Node's own WebSocket, which is undici's; it can neither ping nor send fragments."""
    return by_node(url, "--builtin")


@pytest.mark.parametrize("server", ["python", "node"])
@pytest.mark.parametrize("talk", [by_websockets_sync, by_websockets_async, by_aiohttp, by_ws, by_nodes_own])
def test_it_hears_through_the_sidecar_what_it_hears_directly(hall: Hall, talk: Talk, server: str) -> None:
    """Subprotocol, greeting, pong, text, 3 MiB, nothing, fragments, the close code; the server sees our token."""
    direct, through = talk(hall.direct(server)), talk(hall.through(server))
    assert direct[:2] == ["open chat", "welcome, stranger"], direct
    assert through[:2] == ["open chat", "welcome, Bearer token-1"], through
    assert direct[2:] == through[2:]
    assert through[-len(HEARD) :] == HEARD


def test_a_refused_handshake_is_told_as_it_is(hall: Hall) -> None:
    """The upstream's 403, with what it says."""
    with pytest.raises(InvalidStatus) as refused:
        websockets.sync.client.connect(hall.through("python", "closed"), proxy=None)
    assert (refused.value.response.status_code, refused.value.response.body) == (403, b"not here\n")


def test_a_handshake_with_a_rejected_token_is_made_again(hall: Hall) -> None:
    """The client sees one handshake, and the server's greeting says that it came with the new token."""
    hall.python.dead.add("Bearer token-1")
    with websockets.sync.client.connect(hall.through("python"), subprotocols=[CHAT], proxy=None) as socket:
        assert socket.recv() == "welcome, Bearer token-2"
