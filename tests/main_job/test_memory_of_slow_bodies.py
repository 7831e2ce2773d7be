"""A body whose receiver stalls, then hardly reads, then reads at full speed leaves the process as small as it was.

32 MiB each way here; 1 GiB with `SIDECAR_LONG=1` (`make long`).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.fakes import Message, Wire, response, upstream
from tests.main_job.client import Client
from tests.main_job.process import running

LONG = bool(os.environ.get("SIDECAR_LONG"))
MIB = 1024 * 1024
SIZE_BYTES = 1024 * MIB if LONG else 32 * MIB
STALLED_S, SLOW_S = (5.0, 10.0) if LONG else (0.2, 0.5)
SLOW_BYTES_PER_S = 1_000_000
PIECE = bytes(256 * 1024)
MOST_GROWTH_BYTES = 4 * MIB


async def take(wire: Wire, size: int) -> int:
    """Read nothing at first, then slowly, then as fast as it comes; return how much came by the end of slowness."""
    await asyncio.sleep(STALLED_S)
    began_s, read_bytes = time.monotonic(), 0
    while (passed_s := time.monotonic() - began_s) < SLOW_S:
        read_bytes += len(await wire.reader.read(32 * 1024))
        await asyncio.sleep(max(0.0, read_bytes / SLOW_BYTES_PER_S - passed_s))
    slowly_bytes = read_bytes
    while read_bytes < size:
        piece = await wire.reader.read(len(PIECE))
        assert piece, f"the body ended after {read_bytes} bytes"
        read_bytes += len(piece)
    assert read_bytes == size
    return slowly_bytes


async def give(wire: Wire, size: int) -> None:
    """Send a body as fast as it is taken."""
    for _ in range(size // len(PIECE)):
        await wire.send(PIECE)


async def download(app: Client, size: int) -> None:
    """Take an answer of this size."""
    async with app.connected() as wire:
        await wire.send(app.request("GET", f"/{size}"))
        assert Message(await wire.head()).status == 200
        slowly_bytes = await take(wire, size)
        assert slowly_bytes < 2 * SLOW_S * SLOW_BYTES_PER_S


async def upload(app: Client, size: int) -> None:
    """Send a body of this size; the upstream takes it as `take` does."""
    async with app.connected() as wire:
        await wire.send(app.request("PUT", f"/{size}", f"Content-Length: {size}"))
        await give(wire, size)
        async with asyncio.timeout(STALLED_S + SLOW_S + 60):
            assert (await wire.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def serve(wire: Wire) -> None:
    """Give what a GET asks for, at once; take what a PUT brings, slowly."""
    while True:
        head = Message(await wire.reader.readuntil(b"\r\n\r\n"))
        size = int(head.target[1:])
        if head.method == b"GET":
            await wire.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
            await give(wire, size)
        else:
            await take(wire, size)
            await wire.send(response(b""))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("way", [download, upload])
async def test_a_receiver_that_stalls(way: Callable[[Client, int], Awaitable[None]], tmp_path: Path) -> None:
    """All of it arrives; the process grows by 4 MiB at most."""
    async with upstream(serve) as server:
        configuration = {
            "upstream": f"http://127.0.0.1:{server.port}",
            "credential": {"preset": "static", "api_key": {"env": "SLOW_KEY"}},
            "log": {"level": "info"},
        }
        async with running(tmp_path, configuration, {"SLOW_KEY": "key-of-the-slow-body-tests"}) as process:
            app = Client(process.port)
            await asyncio.gather(*(app.ask("GET", "/1048576") for _ in range(2)))
            before_bytes = process.resident_bytes()
            process.forget_peak()
            await way(app, SIZE_BYTES)
            grown_bytes = process.peak_bytes() - before_bytes
            print(f"{SIZE_BYTES // MIB} MiB: {grown_bytes / MIB:+.1f} MiB")
            assert grown_bytes <= MOST_GROWTH_BYTES
