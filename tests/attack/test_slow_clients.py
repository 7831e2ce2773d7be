"""Slowloris in its forms: who holds a connection without using it loses it in time; who is merely slow does not.

Precedent: CVE-2007-6750 (heads), R-U-Dead-Yet (bodies), slow read; nginx and Apache have a time-out for each.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from sidecar.dataplane.limits import LINGER_S
from tests.fakes import Wire, always, response, until
from tests.main_job.client import Client
from tests.main_job.process import running as running_process
from tests.wire.running import Running, in_front_of
from tests.wire.test_large_bodies import shrink

# Time-outs are shortened to this; the sweep that looks for them comes every half second.
LIMIT_S = 0.8
SWEEP_S = 0.5
SPARE_S = 0.4
PACE_S = 0.05

Attack = Callable[[Running], AsyncIterator[bytes]]


async def says_nothing(running: Running) -> AsyncIterator[bytes]:
    """Connect, and no more."""
    pieces: tuple[bytes, ...] = ()
    for piece in pieces:
        yield piece


async def sends_a_head_byte_by_byte(running: Running) -> AsyncIterator[bytes]:
    """The classic: a head that never ends."""
    yield b"GET / HTTP/1.1\r\n"
    while True:
        yield b"X: y\r\n"


async def sends_empty_lines(running: Running) -> AsyncIterator[bytes]:
    """What may stand before a request (RFC 9112 2.2), and never becomes one."""
    while True:
        yield b"\r\n"


async def sends_halves_of_empty_lines(running: Running) -> AsyncIterator[bytes]:
    """The same, so that there is never a whole line in hand for long."""
    while True:
        yield b"\r"
        yield b"\n"


async def dribbles_the_next_head(running: Running) -> AsyncIterator[bytes]:
    """A good request first: its answer does not buy more time."""
    yield running.ask_bytes()
    async for piece in sends_a_head_byte_by_byte(running):
        yield piece


async def dribbles_a_pipelined_head(running: Running) -> AsyncIterator[bytes]:
    """The beginning of the next head comes together with a good request."""
    yield running.ask_bytes() + b"GET / HTTP/1.1\r\n"
    while True:
        yield b"X: y\r\n"


async def sends_empty_lines_after_a_request(running: Running) -> AsyncIterator[bytes]:
    """They are the beginning of a head, and do not keep a connection for longer than one."""
    yield running.ask_bytes()
    while True:
        yield b"\r\n"


async def sends_a_sized_body_byte_by_byte(running: Running) -> AsyncIterator[bytes]:
    """Never silent for long, and never done."""
    yield running.ask_bytes("POST", "/body", "Content-Length: 100000")
    while True:
        yield b"x"


async def sends_half_a_body(running: Running) -> AsyncIterator[bytes]:
    """And then nothing."""
    yield running.ask_bytes("POST", "/body", "Content-Length: 10")
    yield b"x"


async def sends_half_a_chunk(running: Running) -> AsyncIterator[bytes]:
    """The same in the other framing."""
    yield running.ask_bytes("POST", "/body", "Transfer-Encoding: chunked") + b"5\r\nx"


# How each of them, and what it is told; nobody is told anything who has not begun a request.
ATTACKS: list[tuple[Attack, str]] = [
    (says_nothing, ""),
    (sends_a_head_byte_by_byte, "408"),
    (sends_empty_lines, ""),
    (sends_halves_of_empty_lines, "408 or nothing"),  # as it happens to be in the middle of one
    (dribbles_the_next_head, "408"),
    (dribbles_a_pipelined_head, "408"),
    (sends_empty_lines_after_a_request, ""),
    (sends_a_sized_body_byte_by_byte, "408"),
    (sends_half_a_body, "408"),
    (sends_half_a_chunk, "408"),
]
# Those that begin with a good request.
KEPT = (dribbles_the_next_head, dribbles_a_pipelined_head, sends_empty_lines_after_a_request)


async def attacked(running: Running, attack: Attack) -> tuple[str, float]:
    """Attack until the connection is over; return what was said at last, and how long it took."""
    wire = await running.connect()

    async def dribble() -> None:
        async for piece in attack(running):
            wire.writer.write(piece)
            await asyncio.sleep(PACE_S)

    dribbling = asyncio.create_task(dribble())
    began_s = time.monotonic()
    first = b"" if attack not in KEPT else await wire.exactly(len(response()))
    said = await wire.ended()
    took_s = time.monotonic() - began_s
    dribbling.cancel()
    await asyncio.wait([dribbling])
    assert first.startswith(b"HTTP/1.1 200") == (attack in KEPT)
    return said[9:12].decode(), took_s


async def test_none_of_them_stays() -> None:
    """Each is ended within its time and the sweep's, counted from where it began to be slow."""

    async def script(wire: Wire) -> None:
        while b"/body" not in await wire.head():
            await wire.send(response())
        await wire.ended()

    limits = {"head_timeout_s": LIMIT_S, "body_idle_timeout_s": LIMIT_S, "idle_timeout_s": 60.0}
    async with in_front_of(script, limits=limits) as (running, _):
        ends = await asyncio.gather(*(attacked(running, attack) for attack, _ in ATTACKS))
        for (attack, told), (said, took_s) in zip(ATTACKS, ends, strict=True):
            assert said == told or (said in ("408", "") and told == "408 or nothing"), attack.__name__
            assert took_s < LIMIT_S + SWEEP_S + SPARE_S, (attack.__name__, took_s)
        await running.nothing_left(within_s=LINGER_S + 2 * SWEEP_S + SPARE_S)


async def waits_between_requests(running: Running, wire: Wire) -> None:
    """A connection that has served is kept for `idle_timeout`, which is longer."""
    for _ in range(2):
        await wire.send(running.ask_bytes())
        assert (await wire.response()).status == 200
        await asyncio.sleep(LIMIT_S + SWEEP_S + 0.1)


async def uploads_slowly(running: Running, wire: Wire) -> None:
    """A sized body that makes headway: 2 KiB within the time in which one is asked for."""
    await wire.send(running.ask_bytes("POST", "/", f"Content-Length: {60 * 100}"))
    for _ in range(60):
        await wire.send(b"x" * 100)
        await asyncio.sleep(0.04)
    assert (await wire.response()).status == 200


async def streams_a_little_now_and_then(running: Running, wire: Wire) -> None:
    """A body of unknown length may be a live stream: any chunk in time is enough."""
    await wire.send(running.ask_bytes("POST", "/", "Transfer-Encoding: chunked"))
    for _ in range(5):
        await wire.send(b"1\r\nx\r\n")
        await asyncio.sleep(LIMIT_S / 2)
    await wire.send(b"0\r\n\r\n")
    assert (await wire.response()).status == 200


async def starts_late(running: Running, wire: Wire) -> None:
    """The time of a head begins with its first byte, also where the connection was made a while before."""
    await asyncio.sleep(LIMIT_S * 0.9)
    raw = running.ask_bytes()
    await wire.send(raw[:9])
    await asyncio.sleep(LIMIT_S * 0.9)
    await wire.send(raw[9:])
    assert (await wire.response()).status == 200


async def test_who_is_merely_slow_is_served() -> None:
    """None of them is cut, though each takes several times what an attack may."""
    limits = {"head_timeout_s": LIMIT_S, "body_idle_timeout_s": LIMIT_S, "idle_timeout_s": 60.0}
    slow: list[Callable[[Running, Wire], Awaitable[None]]] = [
        *(waits_between_requests, uploads_slowly, streams_a_little_now_and_then, starts_late)
    ]
    async with in_front_of(always(response()), limits=limits) as (running, _):
        await asyncio.gather(*[each(running, await running.connect()) for each in slow])


async def test_an_app_that_takes_its_answer_bit_by_bit_gets_it_whole() -> None:
    """Over several times the time-out: what counts is that it takes something, not how full our side is."""
    body = bytes(2_500_000)
    async with in_front_of(always(response(body)), limits={"body_idle_timeout_s": LIMIT_S}) as (running, _):
        wire = await running.connect()
        shrink(wire)
        await wire.send(running.ask_bytes())
        await wire.head()
        for _ in range(25):
            await wire.exactly(len(body) // 25)
            await asyncio.sleep(0.1)


async def test_a_pipelined_head_that_is_too_large_is_refused_at_once() -> None:
    """It waits, whole or not, while the answer before it is under way, and nothing else will come."""
    free = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.request()
        await free.wait()
        await wire.send(response())
        await wire.ended()

    async with in_front_of(script, limits={"head_bytes": 1000}) as (running, upstream):
        wire = await running.connect()
        await wire.send(running.ask_bytes() + running.ask_bytes("GET", "/next", f"X: {'x' * 2000}"))
        await until(lambda: upstream.requests)
        free.set()
        assert (await wire.response()).status == 200
        answer = await wire.response()
        assert (answer.status, answer.reason) == (431, "head_too_large")
        assert len(upstream.requests) == 1


async def test_a_slow_upload_while_the_upstream_is_slow_too() -> None:
    """What the sidecar itself does not read, because the upstream does not, is not held against the app."""
    free, size = asyncio.Event(), 30_000_000

    async def script(wire: Wire) -> None:
        await wire.head()
        wire.stop_reading()
        await free.wait()
        wire.read_again()
        await wire.exactly(size)
        await wire.send(response())

    async with in_front_of(script, limits={"body_idle_timeout_s": LIMIT_S}) as (running, _):
        wire = await running.connect()
        await wire.send(running.ask_bytes("POST", "/", f"Content-Length: {size}"))
        await asyncio.sleep(0.05)
        wire.writer.write(bytes(size))
        await until(lambda: not running.app_connections()[0].reading)
        await asyncio.sleep(LIMIT_S + SWEEP_S + 0.1)
        free.set()
        assert (await wire.response()).status == 200


async def test_who_stays_after_the_last_answer_is_cut() -> None:
    """Told, and read for a second so that it gets to know; then its place is needed."""
    async with in_front_of(always(response())) as (running, _):
        wire = await running.connect()
        await wire.send(b"nonsense\r\n\r\n")
        assert (await wire.response()).status == 400
        assert await wire.rest() == b""
        await until(lambda: not running.app_connections(), within_s=LINGER_S + 2 * SWEEP_S + SPARE_S)


async def test_a_crowd_of_slow_clients_harms_nobody(tmp_path: Path) -> None:
    """500 of them, silent or dribbling, against a process: gone in time, and meanwhile others are served as ever."""
    crowd_count, head_timeout_s = 500, 2.0
    async with in_front_of(always(response())) as (_, server):
        configuration = {
            "upstream": f"http://127.0.0.1:{server.port}",
            "credential": {"preset": "static", "api_key": {"env": "SLOW_KEY"}},
            "limits": {"head_timeout": f"{head_timeout_s:g}s"},
            "log": {"level": "info"},
        }
        async with running_process(tmp_path, configuration, {"SLOW_KEY": "key-of-the-slow-tests"}) as process:
            app = Client(process.port)
            before_s = await p99_s(app, 1.0)
            crowd = await asyncio.gather(
                *(asyncio.open_connection("127.0.0.1", process.port) for _ in range(crowd_count))
            )
            began_s = time.monotonic()

            async def dribble() -> None:
                for piece in b"GET / HTTP/1.1\r\n" + b"X" * 1000:
                    for _, writer in crowd[::2]:
                        if not writer.transport.is_closing():
                            writer.write(bytes((piece,)))
                    await asyncio.sleep(0.1)

            dribbling = asyncio.create_task(dribble())
            during_s = await p99_s(app, 1.0)
            async with asyncio.timeout(head_timeout_s + 5):
                await asyncio.gather(*(reader.read() for reader, _ in crowd), return_exceptions=True)
            took_s = time.monotonic() - began_s
            dribbling.cancel()
            await asyncio.wait([dribbling])
            for _, writer in crowd:
                writer.transport.abort()
        assert took_s < head_timeout_s + SWEEP_S + 1.0
        # The dribbler is in this very process, so a little of this is its own.
        assert during_s < max(2 * before_s, 0.02), (before_s, during_s)


async def p99_s(app: Client, for_s: float) -> float:
    """Ask one after the other on one connection for so long; return the 99th percentile of the time it takes."""
    times_s = []
    async with app.connected() as wire:
        ends_at = time.monotonic() + for_s
        while time.monotonic() < ends_at:
            began_s = time.perf_counter()
            await wire.send(app.request())
            assert (await wire.response()).status == 200
            times_s.append(time.perf_counter() - began_s)
            await asyncio.sleep(0.002)
    return sorted(times_s)[int(len(times_s) * 0.99)]
