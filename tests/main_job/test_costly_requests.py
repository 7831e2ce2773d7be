"""Requests made to cost much, against a process: refused or bounded, in memory and in time.

Each is compared with what carries as much and is honest, and costs three times that at most: single bytes of a head
with single bytes of a body, chunks in small segments with the same chunks in large ones, pipelined requests with
the same ones in turn, what is refused with the like that is not. `SIDECAR_LONG=1` (`make long`) makes it a
million chunks, 10,000 pipelined requests and a head of 60,000 single bytes.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.fakes import Message, Wire, response, upstream
from tests.main_job.client import Client
from tests.main_job.process import SidecarProcess, running

LONG = bool(os.environ.get("SIDECAR_LONG"))
MIB = 1024 * 1024
MOST_GROWTH_BYTES = 10 * MIB
MOST_TIMES = 3.0
CHUNKS = 1_000_000 if LONG else 100_000
PIPELINED = 10_000 if LONG else 1_000
SINGLE_BYTES = 60_000 if LONG else 5_000
REFUSED = 40
CHUNKED = "Transfer-Encoding: chunked"
HUGE_BYTES = 200_000

Step = Callable[[Client], Awaitable[None]]


def spent_s(process: SidecarProcess) -> float:
    """Return how long the process has kept a processor busy, to the nanosecond."""
    return int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[0]) / 1e9


async def serve(wire: Wire) -> None:
    """Take each request whole, however long it takes, and answer it."""
    while True:
        head = Message(await wire.reader.readuntil(b"\r\n\r\n"))
        if head.value("transfer-encoding") is None:
            await wire.reader.readexactly(int(head.value("content-length") or 0))
        else:
            while (size := int(await wire.reader.readuntil(b"\r\n"), 16)) > 0:
                await wire.reader.readexactly(size + 2)
            await wire.reader.readuntil(b"\r\n")
        await wire.send(response(b""))


# What is costly, and what is honest and carries as much


async def single_bytes_of_a_head(app: Client) -> None:
    """A field that comes a byte at a time."""
    async with app.connected() as wire:
        await wire.send(app.request()[:-2] + b"X: ")
        await wire.send_slowly(b"x" * SINGLE_BYTES)
        await wire.send(b"\r\n\r\n")
        assert (await wire.response()).status == 200


async def single_bytes_of_a_body(app: Client) -> None:
    """As many bytes, each in a segment of its own as well."""
    async with app.connected() as wire:
        await wire.send(app.request("POST", "/", f"Content-Length: {SINGLE_BYTES}"))
        await wire.send_slowly(b"x" * SINGLE_BYTES)
        assert (await wire.response()).status == 200


def chunks_of_one_byte(segment_bytes: int) -> Step:
    """Return a body of chunks of one byte, in segments of this size."""

    async def step(app: Client) -> None:
        body = b"1\r\nx\r\n" * CHUNKS + b"0\r\n\r\n"
        async with app.connected() as wire:
            wire.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await wire.send(app.request("POST", "/", CHUNKED))
            for at in range(0, len(body), segment_bytes):
                await wire.send(body[at : at + segment_bytes])
            async with asyncio.timeout(60):
                assert (await wire.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")

    return step


async def pipelined(app: Client) -> None:
    """All at once on one connection."""
    async with app.connected() as wire:
        wire.writer.write(app.request() * PIPELINED)
        for _ in range(PIPELINED):
            assert (await wire.response()).status == 200


async def in_turn(app: Client) -> None:
    """The same, each after the answer to the one before."""
    async with app.connected() as wire:
        for _ in range(PIPELINED):
            await wire.send(app.request())
            assert (await wire.response()).status == 200


def refused(status: int, *lines: str, flood: bytes) -> Step:
    """Return many connections, each of which sends this for as long as it is let."""

    async def one(app: Client) -> None:
        async with app.connected() as wire:
            beginning = app.request("POST", "/", *lines)
            wire.writer.write((beginning if lines else beginning[:-2]) + flood * (HUGE_BYTES // len(flood)))
            assert (await wire.response()).status == status

    async def step(app: Client) -> None:
        for _ in range(REFUSED):
            await one(app)

    return step


async def allowed(app: Client) -> None:
    """As many connections, and as many bytes on each, that are a body."""
    for _ in range(REFUSED):
        async with app.connected() as wire:
            await wire.send(app.request("POST", "/", body=bytes(HUGE_BYTES)))
            assert (await wire.response()).status == 200


PAIRS: dict[str, tuple[Step, Step]] = {
    "a head of single bytes": (single_bytes_of_a_head, single_bytes_of_a_body),
    "chunks of one byte": (chunks_of_one_byte(1000), chunks_of_one_byte(64 * 1024)),
    "pipelined requests": (pipelined, in_turn),
    "more fields than are taken": (refused(431, flood=b"X: y\r\n"), allowed),
    "a line that does not end": (refused(431, flood=b"X"), allowed),
    "chunk extensions without end": (refused(400, CHUNKED, flood=b"1;x=" + b"y" * 200 + b"\r\nx\r\n"), allowed),
    "an extension that does not end": (refused(400, CHUNKED, flood=b"1;x"), allowed),
    "trailers without end": (refused(400, CHUNKED, flood=b"0\r\n" + b"X: y\r\n" * 30_000), allowed),
}


async def least_s(process: SidecarProcess, app: Client, step: Step) -> float:
    """Return the processor's time that a step costs the process, at the best of two times."""
    times_s = []
    for _ in range(1 if LONG else 2):
        began_s = spent_s(process)
        await step(app)
        times_s.append(spent_s(process) - began_s)
    return min(times_s)


@pytest.mark.timeout(300)
async def test_what_is_made_to_cost(tmp_path: Path) -> None:
    """Three times its honest like at most, and 10 MiB."""
    async with upstream(serve) as server:
        configuration = {
            "upstream": f"http://127.0.0.1:{server.port}",
            "credential": {"preset": "static", "api_key": {"env": "COST_KEY"}},
            "log": {"level": "error"},
        }
        async with running(tmp_path, configuration, {"COST_KEY": "key-of-the-cost-tests"}) as process:
            app = Client(process.port)
            await asyncio.gather(*(app.ask("GET", "/") for _ in range(8)))
            wrong = []
            for name, (costly, honest) in PAIRS.items():
                honest_s = await least_s(process, app, honest)
                before_bytes = process.resident_bytes()
                process.forget_peak()
                costly_s = await least_s(process, app, costly)
                grown_bytes = process.peak_bytes() - before_bytes
                figures = (
                    f"{name}: {costly_s * 1000:.1f} ms against {honest_s * 1000:.1f}, {grown_bytes / MIB:+.1f} MiB"
                )
                print(figures)
                if costly_s > MOST_TIMES * honest_s or grown_bytes > MOST_GROWTH_BYTES:
                    wrong.append(figures)
            assert not wrong
