"""Streams pass as they come: an event reaches the app before the upstream sends the next one."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import statistics
import time

import pytest

from tests.fakes import Message, Script, Wire, response
from tests.wire.running import in_front_of

EVENT = b"event: tick\ndata: {}\n\n"
HEADS = {
    "chunked": b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    "until the end": b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
    "sized": b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 1000000\r\n\r\n",
}


async def next_event(wire: Wire, framing: str) -> bytes:
    """Read one event, in the framing that the app gets."""
    return await (wire.exactly(len(EVENT)) if framing == "sized" else wire.chunk())


def ticks(framing: str, seen: asyncio.Event, sent: list[float], count: int) -> Script:
    """Send events, each when the one before has been seen."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(HEADS[framing])
        for _ in range(count):
            await seen.wait()
            seen.clear()
            sent.append(time.perf_counter())
            await wire.send(b"%x\r\n%b\r\n" % (len(EVENT), EVENT) if framing == "chunked" else EVENT)
        await wire.ended()

    return script


@pytest.mark.parametrize("framing", HEADS)
async def test_an_event_arrives_before_the_next_is_sent(framing: str) -> None:
    """In every framing, the head before the first; what is added is far below a millisecond."""
    seen = asyncio.Event()
    sent: list[float] = []
    came: list[float] = []
    async with in_front_of(ticks(framing, seen, sent, 100)) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("GET", "/", "Accept: text/event-stream"))
        assert Message(await wire.head()).value("content-type") == b"text/event-stream"
        for _ in range(100):
            seen.set()
            assert await next_event(wire, framing) == EVENT
            came.append(time.perf_counter())
        wire.reset()
    assert statistics.median(b - a for a, b in zip(sent, came, strict=True)) < 0.002


async def test_a_head_passes_before_its_body_begins() -> None:
    """An app sees that its stream is open."""
    for head in HEADS.values():

        async def script(wire: Wire, head: bytes = head) -> None:
            await wire.request()
            await wire.send(head)
            await wire.ended()

        async with in_front_of(script) as (sidecar, _):
            wire = await sidecar.connect()
            await wire.send(sidecar.ask_bytes())
            assert Message(await wire.head()).status == 200
            wire.reset()


async def once(answer: bytes, *lines: str) -> tuple[Message, Message]:
    """Return the answer that an app gets where the upstream sends this, and the request that the upstream got."""
    requests: list[Message] = []

    async def script(wire: Wire) -> None:
        requests.append(await wire.request())
        await wire.send(answer)

    async with in_front_of(script) as (sidecar, _):
        got = await sidecar.ask("GET", "/", *lines)
    return got, requests[0]


async def test_a_coded_body_is_not_touched() -> None:
    """The bytes, what says how they are coded, and what the app accepts."""
    body = gzip.compress(b"hello " * 1000)
    sent = response(body, "Content-Encoding: gzip", "Vary: Accept-Encoding", 'ETag: W/"x"')
    got, asked = await once(sent, "Accept-Encoding: gzip, br;q=0.5")
    assert got.head + got.body == sent
    assert asked.values("accept-encoding") == [b"gzip, br;q=0.5"]


async def test_nothing_is_coded_that_was_not() -> None:
    """Although the app would take it."""
    sent = response(b"hello " * 1000, "Content-Type: text/plain")
    got, _ = await once(sent, "Accept-Encoding: gzip")
    assert got.head + got.body == sent


@pytest.mark.parametrize(
    ("status", "lines"),
    [
        ("206 Partial Content", ["Content-Range: bytes 0-3/1000", "Accept-Ranges: bytes"]),
        ("206 Partial Content", ["Content-Type: multipart/byteranges; boundary=x"]),
        ("416 Range Not Satisfiable", ["Content-Range: bytes */1000"]),
    ],
)
async def test_ranges_pass(status: str, lines: list[str]) -> None:
    """Both ways."""
    asks = ["Range: bytes=0-3, -5", 'If-Range: "x"', 'If-None-Match: W/"y", *']
    got, asked = await once(response(b"part", *lines, status=status), *asks)
    assert got.head + got.body == response(b"part", *lines, status=status)
    assert asked.lines[1:4] == [line.encode() for line in asks]


@pytest.mark.parametrize("framing", ["sized", "chunked", "until the end"])
async def test_a_body_of_every_byte_is_the_same(framing: str) -> None:
    """By its SHA-256, whatever its framing and wherever its pieces end."""
    body = b"".join(bytes((byte, other)) for byte in range(256) for other in range(256)) * 3
    pieces = [body[at : at + 7001] for at in range(0, len(body), 7001)]
    head = HEADS[framing].replace(b"1000000", b"%d" % len(body))

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(head)
        if framing == "chunked":
            await wire.send(*(b"%X\r\n%b\r\n" % (len(piece), piece) for piece in pieces), b"0\r\n\r\n")
        else:
            await wire.send(*pieces)

    async with in_front_of(script) as (sidecar, _):
        got = await sidecar.ask()
    assert hashlib.sha256(got.body).digest() == hashlib.sha256(body).digest()
