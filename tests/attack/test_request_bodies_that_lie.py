"""A request whose body never becomes whole is never whole upstream either: its connection ends, and is not reused."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes import Wire, response, until
from tests.wire.running import in_front_of

SIZED = "Content-Length: 10"
CHUNKED = "Transfer-Encoding: chunked"

# How far a body gets before its app leaves: the framing, and the bytes sent.
HALVES = {
    "no byte of a sized body": (SIZED, b""),
    "half of a sized body": (SIZED, b"hello"),
    "all but one byte of a sized body": (SIZED, b"hello, yo"),
    "no byte of a chunked body": (CHUNKED, b""),
    "half of a size": (CHUNKED, b"1"),
    "a size": (CHUNKED, b"5\r\n"),
    "half of a chunk": (CHUNKED, b"5\r\nhel"),
    "a chunk without its line end": (CHUNKED, b"5\r\nhello"),
    "a chunk with half of its line end": (CHUNKED, b"5\r\nhello\r"),
    "a chunk": (CHUNKED, b"5\r\nhello\r\n"),
    "half of the last size": (CHUNKED, b"5\r\nhello\r\n0"),
    "the last size": (CHUNKED, b"5\r\nhello\r\n0\r\n"),
    "all but the last byte": (CHUNKED, b"5\r\nhello\r\n0\r\n\r"),
    "half of the trailers": (CHUNKED, b"5\r\nhello\r\n0\r\nX: y\r\n"),
}


class Watching:
    """An upstream that answers whole requests, and keeps what came of those that were not."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()
        self.rest = b""
        self.whole = 0

    async def __call__(self, wire: Wire) -> None:
        head = await wire.head()
        if head.startswith(b"GET"):
            self.whole += 1
            await wire.send(response())
            await wire.ended()
            return
        self.begun.set()
        self.rest = await wire.ended()
        self.ended.set()


def is_whole(framing: str, rest: bytes) -> bool:
    """Whether a server would take this for all of a body."""
    return len(rest) >= 10 if framing == SIZED else rest.endswith(b"0\r\n\r\n") or b"\r\n0\r\n" in rest


@pytest.mark.parametrize("how", ["close", "reset", "half_close"])
@pytest.mark.parametrize("half", HALVES)
async def test_an_app_that_leaves_within_its_body(half: str, how: str) -> None:
    """The upstream learns it within a second, from the end of a connection that carries nothing else."""
    framing, sent = HALVES[half]
    script = Watching()
    async with in_front_of(script) as (sidecar, upstream):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", "/", framing), sent)
        await script.begun.wait()
        getattr(wire, how)()
        async with asyncio.timeout(1):
            await script.ended.wait()
        assert not is_whole(framing, script.rest), script.rest
        assert (await sidecar.ask()).status == 200
        assert (len(upstream.connections), script.whole) == (2, 1)
        await until(lambda: len(sidecar.upstream_connections()) <= 1)


@pytest.mark.parametrize("framing", [CHUNKED, "Content-Length: 100000000"])
async def test_an_app_that_leaves_while_the_upstream_reads_nothing(framing: str) -> None:
    """What waits here for a full socket never becomes a whole body, once the upstream reads again."""
    script = Watching()
    reading = asyncio.Event()

    async def stalled(wire: Wire) -> None:
        wire.stop_reading()
        await reading.wait()
        wire.read_again()
        await script(wire)

    async with in_front_of(stalled) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", "/", framing))
        piece = b"1000\r\n" + b"x" * 4096 + b"\r\n" if framing == CHUNKED else b"x" * 4096
        wire.writer.write(piece * 4000)
        await until(lambda: any(not connection.reading for connection in sidecar.app_connections()))
        wire.reset()
        reading.set()
        async with asyncio.timeout(1):
            await script.ended.wait()
        assert len(script.rest) < 100_000_000 and not script.rest.endswith(b"0\r\n\r\n")
        await sidecar.nothing_left()


async def test_an_app_that_leaves_instead_of_going_on() -> None:
    """It waited for a 100, which the upstream had given, and went away."""
    script = Watching()

    async def willing(wire: Wire) -> None:
        await wire.head()
        await wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        script.begun.set()
        script.rest = await wire.ended()
        script.ended.set()

    async with in_front_of(willing) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", "/", "Expect: 100-continue", SIZED))
        assert (await wire.response()).status == 100
        wire.close()
        async with asyncio.timeout(1):
            await script.ended.wait()
        assert script.rest == b""
        await sidecar.nothing_left()


@pytest.mark.parametrize("framing", [SIZED, CHUNKED])
async def test_an_answer_before_the_body_is_whole(framing: str) -> None:
    """Neither connection is used again: what still comes on the one, or would on the other, is nobody's request."""
    ended = asyncio.Event()

    async def early(wire: Wire) -> None:
        await wire.head()
        await wire.send(response())
        await wire.ended()
        ended.set()

    async with in_front_of(early) as (sidecar, upstream):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", "/", framing), b"5\r\nhel")
        assert (await wire.response()).value("connection") == b"close"
        await wire.send(b"lo\r\n0\r\n\r\n" + sidecar.ask_bytes("GET", "/smuggled"))
        assert await wire.rest() == b""
        async with asyncio.timeout(1):
            await ended.wait()
        assert (await sidecar.ask()).status == 200
        assert len(upstream.connections) == 2


@pytest.mark.parametrize("half", HALVES)
async def test_a_pipelined_request_that_ends_within_its_body(half: str) -> None:
    """The app has ended its side before the request's turn comes: 400, and nothing of it goes upstream."""
    framing, sent = HALVES[half]
    script = Watching()
    async with in_front_of(script) as (sidecar, upstream):
        wire = await sidecar.connect()
        wire.writer.write(sidecar.ask_bytes() + sidecar.ask_bytes("POST", "/", framing) + sent)
        wire.half_close()
        assert (await wire.response()).status == 200
        answer = await wire.response()
        assert (answer.status, answer.reason, answer.value("connection")) == (400, "framing", b"close")
        assert await wire.rest() == b""
        assert (len(upstream.connections), script.begun.is_set()) == (1, False)
