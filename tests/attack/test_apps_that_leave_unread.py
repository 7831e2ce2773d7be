"""An app that ends its side while the upstream reads nothing: gone where its body lacks an end, waiting where not."""

from __future__ import annotations

import asyncio
import socket
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sidecar.config.values import Address
from sidecar.dataplane.departure import MOST_UNREAD_BYTES, ends_unread
from sidecar.dataplane.framing import UntilClose, body_decoder
from tests.attack.test_request_bodies_that_lie import CHUNKED, HALVES, SIZED
from tests.fakes import ScriptedUpstream, Wire, response, until
from tests.wire.running import LOCAL, Running, in_front_of

PIECE_BYTES = 16 * 1024
# The sweep comes twice a second.
LOOKED_AT_S = 1.0
# How many hundredths of a second it does not read before that counts as for good.
STILL = 10
WHOLE = {
    "a sized body": (SIZED, b"hello, you"),
    "a sized body and the next head": (SIZED, b"hello, youGET / HTTP/1.1\r\n"),
    "a chunked body": (CHUNKED, b"5\r\nhello\r\n0\r\n\r\n"),
    "a chunked body with trailers": (CHUNKED, b"5\r\nhello\r\n0\r\nX: y\r\n\r\n"),
    "a chunked body and the next head": (CHUNKED, b"5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\n"),
}


class _Stalled:
    """An upstream that takes one head and what the kernel takes for it, until it may read; then it answers."""

    def __init__(self) -> None:
        self.may_read = asyncio.Event()
        self.rest = b""
        self.ended = asyncio.Event()

    async def __call__(self, wire: Wire) -> None:
        wire.stop_reading()
        await self.may_read.wait()
        wire.read_again()
        try:
            await wire.request()
            await wire.send(response(b"taken"))
        except (asyncio.IncompleteReadError, ConnectionError):
            self.ended.set()


async def until_stalled(sidecar: Running, wire: Wire, piece: bytes) -> None:
    """Send until the sidecar reads no more of it, for good, and leave room in the sockets."""
    await until(sidecar.app_connections)
    (connection,) = sidecar.app_connections()
    since = 0
    while since < STILL:
        if connection.reading:
            since = 0
            await wire.send(piece)
            await asyncio.sleep(0)
        else:
            since += 1
            await asyncio.sleep(0.01)


def through(framing: str) -> bytes:
    """Return a piece of a body in this framing."""
    return b"%x\r\n%b\r\n" % (PIECE_BYTES, bytes(PIECE_BYTES)) if framing == CHUNKED else bytes(PIECE_BYTES)


@pytest.mark.parametrize(
    ("framing", "how", "by"),
    [
        (CHUNKED, "close", "tcp"),
        ("Content-Length: 100000000", "half_close", "tcp"),
        (CHUNKED, "half_close", "unix"),
    ],
)
async def test_an_end_within_a_body_that_nobody_reads(framing: str, how: str, by: str, tmp_path: Path) -> None:
    """Its upstream request is aborted within a second; once the upstream reads again, it sees half a request."""
    script = _Stalled()
    path = str(tmp_path / "app.sock")
    async with in_front_of(script, listen=(LOCAL, Address(path=path))) as (sidecar, _):
        wire = await sidecar.connect(path if by == "unix" else None)
        host = "localhost" if by == "unix" else sidecar.host.decode()
        await wire.send(f"POST / HTTP/1.1\r\nHost: {host}\r\n{framing}\r\n\r\n".encode())
        await until_stalled(sidecar, wire, through(framing))
        await wire.send(through(framing)[:100])
        getattr(wire, how)()
        await sidecar.nothing_left(LOOKED_AT_S)
        script.may_read.set()
        async with asyncio.timeout(LOOKED_AT_S):
            await script.ended.wait()


async def test_an_end_behind_a_whole_body_that_nobody_reads() -> None:
    """The app waits for its answer, and gets it."""
    script = _Stalled()
    async with in_front_of(script) as (sidecar, upstream):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", "/", CHUNKED))
        await until_stalled(sidecar, wire, through(CHUNKED))
        await wire.send(through(CHUNKED), b"0\r\n\r\n")
        wire.half_close()
        await asyncio.sleep(1.2 * LOOKED_AT_S)
        script.may_read.set()
        assert (await wire.response()).body == b"taken"
        assert_whole(upstream)


def assert_whole(upstream: ScriptedUpstream) -> None:
    """The upstream has seen one request, all of whose pieces came."""
    (request,) = upstream.requests
    assert len(request.body) % PIECE_BYTES == 0 and request.body


class _Transport:
    """The one thing that is asked of a transport."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def get_extra_info(self, name: str) -> socket.socket:
        assert name == "socket"
        return self._sock


def left(family: socket.AddressFamily, framing: str, sent: bytes, *, ended: bool) -> bool | None:
    """Say what shows of an app that has sent this, and has ended its side or not."""
    length = int(SIZED.partition(" ")[2]) if framing == SIZED else None
    if family == socket.AF_UNIX:
        app, ours = socket.socketpair(family)
    else:
        with closing(socket.create_server(("127.0.0.1", 0))) as server:
            app = socket.create_connection(server.getsockname())
            ours, _ = server.accept()
    with closing(app), closing(ours):
        app.sendall(sent)
        if ended:
            app.shutdown(socket.SHUT_WR)
        transport: Any = _Transport(ours)
        verdicts = {ends_unread(transport, body_decoder(length, framing == CHUNKED)) for _ in range(2)}
        assert sent == b"" or ours.recv(len(sent), socket.MSG_WAITALL) == sent  # nothing was taken
        assert ends_unread(transport, UntilClose()) is None
    (verdict,) = verdicts
    return verdict


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_what_is_unread_tells_who_has_left(family: socket.AddressFamily) -> None:
    """Half a body with an end behind it, in every half; not a whole one, and not while there may be more."""
    for framing, sent in HALVES.values():
        assert left(family, framing, sent, ended=True) is False, sent
        assert left(family, framing, sent, ended=False) is None, sent
    for framing, sent in WHOLE.values():
        assert left(family, framing, sent, ended=True) is True, sent
    assert left(family, CHUNKED, b"x", ended=True) is False


def test_more_than_is_looked_at_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a socket holds is bounded, and so is what is looked at."""
    assert MOST_UNREAD_BYTES == 8 * 1024 * 1024
    monkeypatch.setattr("sidecar.dataplane.departure.MOST_UNREAD_BYTES", 5)
    assert left(socket.AF_INET, SIZED, b"hello", ended=True) is None
    assert left(socket.AF_INET, SIZED, b"hell", ended=True) is False
