"""Final answers that come while the request is still being sent: they pass at once, whole, and nobody hangs."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sidecar.dataplane import client
from sidecar.tls import TLSRules
from tests.fakes import Message, Tokens, Wire, response, until
from tests.servers.certificates import Certificates
from tests.wire.running import Running, in_front_of, route_to, sidecar, with_tokens
from tests.wire.test_upstream_failures import server_context

SIZE = 8 * 1024 * 1024
CHUNKED = "Transfer-Encoding: chunked"
TOO_LARGE = response(b"too large" * 1000, "Connection: close", status="413 Content Too Large")


@contextmanager
def answers_and_leaves(how: str, tls: ssl.SSLContext | None) -> Iterator[int]:
    """Serve, in threads of its own, an upstream that reads a part, answers, and closes with the rest unread.

    Its system resets such a connection, right behind the answer: by the time that the sidecar
    writes more of the body, the answer is there and the connection is gone.
    """

    def serve() -> None:
        while True:
            try:
                connection = server.accept()[0]
            except OSError:
                return
            if tls is not None:
                connection = tls.wrap_socket(connection, server_side=True)
            left = 200_000
            while left > 0:
                left -= len(connection.recv(65536))
            connection.sendall(TOO_LARGE)
            if how == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threads = [threading.Thread(target=serve) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


async def upload(running: Running, framing: str) -> Message:
    """Send a large body, reading at the same time as good clients do; return the answer."""
    wire = await running.connect()
    line = CHUNKED if framing == "chunked" else f"Content-Length: {SIZE}"
    piece = bytes(65536)
    framed = b"10000\r\n" + piece + b"\r\n" if framing == "chunked" else piece
    sending = asyncio.create_task(wire.send(running.ask_bytes("POST", "/", line), *[framed] * (SIZE // len(piece))))
    answer = await wire.response()
    await asyncio.gather(sending, return_exceptions=True)
    wire.close()
    return answer


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize(("how", "framing"), [("close", "sized"), ("close", "chunked"), ("reset", "sized")])
async def test_an_upstream_that_answers_and_leaves_is_heard(
    how: str, framing: str, tls: bool, certificates: Certificates
) -> None:
    """Every time, as by an app that talks to it directly, although writing to it fails before its answer is read."""
    with answers_and_leaves(how, server_context(certificates) if tls else None) as port:
        to = {"url": f"https://127.0.0.1:{port}", "tls": TLSRules(ca_file=str(certificates.ca_file))} if tls else {}
        open_files: list[int] = []
        async with sidecar(route_to(port, upstream=to)) as running:
            for _ in range(10):
                for answer in await asyncio.gather(upload(running, framing), upload(running, framing)):
                    assert (answer.status, answer.body) == (413, b"too large" * 1000)
                await until(lambda: not running.connections())
                await asyncio.sleep(0.01)
                open_files.append(len(os.listdir("/proc/self/fd")))
            assert open_files[-1] <= open_files[1]  # nothing is kept of a connection that is gone


@pytest.mark.parametrize("status", ["200 OK", "413 Content Too Large", "401 Unauthorized", "307 Temporary Redirect"])
async def test_it_passes_before_the_body_is_whole(status: str) -> None:
    """Then the app's connection ends, and so does the upstream's: it was not asked whole."""

    async def script(wire: Wire) -> None:
        await wire.head()
        assert await wire.exactly(2) == b"bo"
        await wire.send(response(b"early", "Location: /x", status=status))
        await wire.ended()

    async with in_front_of(script, route={"credential": None}, credential=None) as (running, upstream):
        for count in (1, 2):
            wire = await running.connect()
            await wire.send(running.ask_bytes("POST", "/", "Content-Length: 1000"), b"bo")
            answer = await wire.response()
            assert (answer.start, answer.body) == (b"HTTP/1.1 " + status.encode(), b"early")
            assert (answer.value("connection"), answer.value("location")) == (b"close", b"/x")
            assert await wire.rest() == b""
            wire.close()
            await running.nothing_left()
            assert len(upstream.connections) == count


async def test_an_answer_may_flow_while_the_request_does() -> None:
    """The body goes on to the upstream as long as that answers; once both are whole its connection is used again."""

    async def script(wire: Wire) -> None:
        while True:
            await wire.head()
            await wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while piece := await wire.chunk():
                await wire.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            assert await wire.exactly(2) == b"\r\n"
            await wire.send(b"0\r\n\r\n")

    async with in_front_of(script) as (running, upstream):
        for _ in range(2):
            wire = await running.connect()
            await wire.send(running.ask_bytes("POST", "/", CHUNKED))
            assert Message(await wire.head()).status == 200
            for _ in range(3):
                await wire.send(b"5\r\nhello\r\n")
                assert await wire.chunk() == b"hello"
            await wire.send(b"0\r\n\r\n")
            assert await wire.chunk() == b""
        assert len(upstream.connections) == 1


async def test_an_early_rejection_is_replayed_with_what_has_come_and_what_still_comes() -> None:
    """The body is whole in hand as far as it has come."""

    async def script(wire: Wire) -> None:
        head = Message(await wire.head())
        if head.value("authorization") == b"Bearer token-1":
            assert await wire.exactly(2) == b"bo"
            await wire.send(response(status="401 Unauthorized"))
            await wire.ended()
        else:
            await wire.send(response(await wire.exactly(1000)))

    async with with_tokens(script, Tokens()) as (running, upstream):
        wire = await running.connect()
        await wire.send(running.ask_bytes("POST", "/", "Content-Length: 1000"), b"bo")
        await until(lambda: len(upstream.connections) == 2)
        await wire.send(b"dy" * 499)
        answer = await wire.response()
        assert (answer.status, answer.body) == (200, b"bo" + b"dy" * 499)


async def test_an_app_that_goes_on_sending_gets_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it sends is read and dropped as long as it comes, and its connection ends soon after."""
    monkeypatch.setattr(client, "LINGER_S", 0.3)

    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(response(b"too large", status="413 Content Too Large"))
        await wire.ended()

    async with in_front_of(script) as (running, _):
        wire = await running.connect()
        wire.stop_reading()
        await wire.send(running.ask_bytes("POST", "/", "Content-Length: 100000000"))
        for _ in range(10):  # three times as long as it would be waited for if nothing came
            await wire.send(b"x" * 100_000)
            await asyncio.sleep(0.1)
        wire.read_again()
        assert (await wire.response()).status == 413
        assert await wire.rest() == b""
        await until(lambda: not running.app_connections())


async def test_an_app_that_never_stops_sending_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time that a body may be silent."""
    monkeypatch.setattr(client, "LINGER_S", 0.3)
    answer = response(b"no", status="413 Content Too Large")

    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(answer)
        await wire.ended()

    async with in_front_of(script, limits={"body_idle_timeout_s": 0.5}) as (running, _):
        wire = await running.connect()
        await wire.send(running.ask_bytes("POST", "/", "Content-Length: 100000000"))

        async def send() -> None:
            while True:
                await wire.send(b"x" * 1000)
                await asyncio.sleep(0.05)

        with pytest.raises(ConnectionError):
            async with asyncio.timeout(3):
                await send()


async def test_an_upstream_that_has_not_taken_the_rest_is_not_used_again() -> None:
    """All of the body is here, but it waits to be written: the next request would wait behind it."""
    answers = asyncio.Event()

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await answers.wait()
            await wire.send(response())

    async with in_front_of(script) as (running, upstream):
        asking = asyncio.create_task(running.ask("POST", "/", body=b"all"))
        await until(lambda: upstream.requests)
        (own,) = running.upstream_connections()
        own.pause_writing()  # as the loop says where its socket is full
        answers.set()
        assert (await asking).status == 200
        assert running.pool().idle_count == 0
        assert (await running.ask()).status == 200
        assert len(upstream.connections) == 2
