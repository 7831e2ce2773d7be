"""What is sent so that it costs much costs about what the same bytes cost otherwise, in time and in memory."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from collections.abc import Callable

import pytest

from sidecar.dataplane.client import ClientConnection
from sidecar.dataplane.flow import HELD_BYTES, Body, Endpoint, ReplayMemory
from sidecar.dataplane.framing import ChunkedDecoder
from tests.fakes import Wire, always, response, silent, until
from tests.wire.running import in_front_of

# A head of single bytes: how many there are, and how many at its beginning and end are compared.
HEAD_BYTES = 60_000
PART_BYTES = 10_000
MOST_TIMES = 3
MIB = 1024 * 1024
# The most that one read of the loop brings.
READ_BYTES = 256 * 1024


def cpu_s(work: Callable[[], object]) -> float:
    """Return how long this keeps the processor busy."""
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


def least_cpu_s(work: Callable[[], object]) -> float:
    """The same, at the best of three times: the machine has other things to do."""
    return min(cpu_s(work) for _ in range(3))


def feed_bytes(connection: Endpoint, count: int) -> float:
    """Have a connection receive single bytes; return how long that keeps the processor busy."""

    def work() -> None:
        for _ in range(count):
            connection.data_received(b"x")

    return cpu_s(work)


def growth(connection: Endpoint) -> float:
    """Feed a value in single bytes; return how many times longer the last of them take than the first."""
    first_s = feed_bytes(connection, PART_BYTES)
    feed_bytes(connection, HEAD_BYTES - 2 * PART_BYTES)
    return feed_bytes(connection, PART_BYTES) / first_s


async def test_a_head_of_single_bytes() -> None:
    """The last byte of a long one costs what the first does: nothing is copied or searched again for each."""
    async with in_front_of(always(response())) as (sidecar, upstream):
        wire = await sidecar.connect()
        await wire.send(b"GET / HTTP/1.1\r\nHost: " + sidecar.host + b"\r\nX: ")
        await until(sidecar.app_connections)
        (connection,) = sidecar.app_connections()
        await asyncio.sleep(0.01)
        assert growth(connection) < MOST_TIMES
        await wire.send(b"\r\n\r\n")
        assert (await wire.response()).status == 200
        assert upstream.requests[0].value("x") == b"x" * HEAD_BYTES


async def test_an_answers_head_of_single_bytes() -> None:
    """The same."""
    go_on = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\nX: ")
        await go_on.wait()
        await wire.send(b"\r\nContent-Length: 0\r\n\r\n")

    async with in_front_of(script) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes())
        await until(sidecar.upstream_connections)
        (connection,) = sidecar.upstream_connections()
        await asyncio.sleep(0.02)
        assert growth(connection) < MOST_TIMES
        go_on.set()
        assert (await wire.response()).value("x") == b"x" * HEAD_BYTES


@pytest.mark.parametrize("ask", [b"", b"Content-Length: 1\r\n", b"Transfer-Encoding: chunked\r\n"])
async def test_thousands_of_pipelined_requests(ask: bytes) -> None:
    """All are answered, in order, for what they would cost one after the other; nothing but bytes waits."""
    body = {b"": b"", b"Content-Length: 1\r\n": b"x"}.get(ask, b"1\r\nx\r\n0\r\n\r\n")
    count = 1500

    async def script(wire: Wire) -> None:
        while True:
            request = await wire.request()
            await wire.send(response(request.target))

    async with in_front_of(script) as (sidecar, _):

        def asked(number: int) -> bytes:
            return b"POST /%d HTTP/1.1\r\nHost: %b\r\n%b\r\n%b" % (number, sidecar.host, ask, body)

        wire = await sidecar.connect()
        began_s = time.process_time()
        for number in range(count):
            await wire.send(asked(number))
            assert (await wire.response()).body == b"/%d" % number
        one_by_one_s = time.process_time() - began_s
        began_s = time.process_time()
        wire.writer.write(b"".join(map(asked, range(count))))
        for number in range(count):
            assert (await wire.response()).body == b"/%d" % number
        assert time.process_time() - began_s < MOST_TIMES * one_by_one_s


async def test_pipelined_requests_wait_in_the_kernel() -> None:
    """While one is answered, what is read of those behind it ends at a bound, however many there are."""
    async with in_front_of(silent) as (sidecar, upstream):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes())
        await until(lambda: upstream.connections)
        wire.writer.write(sidecar.ask_bytes() * 100_000)
        (connection,) = sidecar.app_connections()
        await until(lambda: not connection.reading)
        await asyncio.sleep(0.1)
        assert isinstance(connection, ClientConnection)
        assert not connection.reading and len(connection._buffer) < HELD_BYTES + READ_BYTES


def decoded(wire: bytes, piece_bytes: int) -> bytes:
    """Decode a chunked body that comes in pieces of this size."""
    decoder = ChunkedDecoder()
    pieces = [decoder.feed(wire[at : at + piece_bytes])[0] for at in range(0, len(wire), piece_bytes)]
    assert decoder.done
    return b"".join(pieces)


def test_thousands_of_chunks_of_one_byte() -> None:
    """However they come, they are decoded for about what they cost in one piece."""
    wire = b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n"
    assert decoded(wire, 1000) == b"x" * 100_000
    whole_s = least_cpu_s(lambda: decoded(wire, len(wire)))
    assert least_cpu_s(lambda: decoded(wire, 1000)) < MOST_TIMES * whole_s


async def test_many_names_in_connection() -> None:
    """They are looked up, not made a pattern of: 60 KiB of them cost no more than a millisecond or two."""
    async with in_front_of(always(response())) as (sidecar, upstream):
        heads = [
            sidecar.ask_bytes(
                "GET", "/", "Connection: " + ",".join(f"x{head}-{n}" for n in range(7000)), "X7-77: dropped"
            )
            for head in range(10)
        ]
        wire = await sidecar.connect()
        began_s = time.process_time()
        for head in heads:
            await wire.send(head)
            assert (await wire.response()).status == 200
        assert time.process_time() - began_s < 0.3
        assert [len(request.values("x7-77")) for request in upstream.requests] == [1] * 7 + [0] + [1] * 2


class _Source:
    def pause_reading(self) -> None:
        """A source that needs no flow control."""

    def resume_reading(self) -> None:
        """The same."""


@pytest.mark.parametrize("kept", [True, False])
def test_a_body_in_tiny_pieces_costs_its_bytes(kept: bool) -> None:
    """What is held, or kept for a replay, is bounded in bytes: thousands of tiny objects must not be 30 times that."""
    body = Body(_Source(), None)
    if kept:
        body.keep(MIB, ReplayMemory(MIB))
    tracemalloc.start()
    try:
        for number in range(30_000):
            body.feed(b"%02d" % (number % 100))
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held_bytes < 3 * 60_000
    assert b"".join(body.held) == b"".join(b"%02d" % (number % 100) for number in range(30_000))
