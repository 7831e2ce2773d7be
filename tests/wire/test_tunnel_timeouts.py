"""A tunnel in which nothing moves either way for the upstream's idle time-out is cut, as an answer would be."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from sidecar.app import SWEEP_S
from sidecar.dataplane.limits import Timeouts
from tests.fakes import PATIENCE_S, Wire, until
from tests.wire.running import in_front_of
from tests.wire.test_large_bodies import SMALL_BUFFER, shrink
from tests.wire.test_upgrade import after_switch, echo, switched

IDLE_S = 0.4
ROUTE = {"upstream": {"timeouts": Timeouts(head_s=0.1, idle_s=IDLE_S)}}
# What an app may take for a request; a tunnel is none.
LIMITS = {"body_idle_timeout_s": 0.1, "idle_timeout_s": 0.1, "head_timeout_s": 0.1}


async def cut_after(wire: Wire) -> float:
    """Wait for the reset; return after how long it came."""
    began_at = time.monotonic()
    with pytest.raises(ConnectionResetError):
        await wire.rest()
    return time.monotonic() - began_at


async def test_silence_ends_it() -> None:
    """By a reset on both sides, after the idle time-out and not before."""
    cut: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def script(wire: Wire) -> None:
        cut.set_result(await cut_after(wire))

    async with in_front_of(after_switch(script), route=ROUTE, limits=LIMITS) as (sidecar, _):
        wire = await switched(sidecar)
        for took_s in await asyncio.gather(cut_after(wire), cut):
            assert IDLE_S - 0.1 < took_s < IDLE_S + SWEEP_S + 0.3
        await sidecar.nothing_left()


async def send_now_and_then(wire: Wire) -> None:
    """Send something for a second, always well within the time-out."""
    for _ in range(6):
        await wire.send(b"x")
        await asyncio.sleep(IDLE_S * 0.4)


@pytest.mark.parametrize("sender", ["app", "upstream"])
async def test_bytes_one_way_keep_it(sender: str) -> None:
    """Whichever way they go; when they stop, it ends."""

    async def script(wire: Wire) -> None:
        if sender == "upstream":
            await send_now_and_then(wire)
        await wire.ended()

    async with in_front_of(after_switch(script), route=ROUTE, limits=LIMITS) as (sidecar, _):
        wire = await switched(sidecar)
        if sender == "app":
            await send_now_and_then(wire)
        else:
            assert await wire.exactly(6) == b"x" * 6
        assert len(sidecar.app_connections()) == 1
        assert await cut_after(wire) < IDLE_S + SWEEP_S + 0.3


@pytest.mark.parametrize("ended", ["app", "upstream"])
async def test_a_half_that_is_left_ends_as_well(ended: str) -> None:
    """One side has ended, and the other says nothing."""

    async def script(wire: Wire) -> None:
        if ended == "upstream":
            wire.half_close()
        await wire.ended()

    async with in_front_of(after_switch(script), route=ROUTE, limits=LIMITS) as (sidecar, _):
        wire = await switched(sidecar)
        if ended == "app":
            wire.half_close()
        await until(lambda: not sidecar.app_connections(), within_s=IDLE_S + SWEEP_S + 0.5)
        await until(lambda: not sidecar.upstream_connections())


async def test_a_side_that_takes_nothing_ends_it() -> None:
    """The upstream sends, and the app never reads: nothing moves, and what waits is not held for ever."""

    async def script(wire: Wire) -> None:
        await wire.send(bytes(16 * 1024 * 1024))

    async with in_front_of(after_switch(script), route=ROUTE, limits=LIMITS) as (sidecar, _):
        wire = await switched(sidecar)
        wire.stop_reading()
        await until(lambda: not sidecar.app_connections(), within_s=3)
        await sidecar.nothing_left()


async def test_one_that_is_used_outlives_every_other_time_out() -> None:
    """Those for heads, for idle connections and for bodies do not count here."""
    async with in_front_of(after_switch(echo), route=ROUTE, limits=LIMITS) as (sidecar, _):
        wire = await switched(sidecar)
        for _ in range(6):
            await wire.send(b"x")
            assert await wire.exactly(1) == b"x"
            await asyncio.sleep(IDLE_S * 0.5)


async def test_an_upstream_that_does_not_take_the_last_of_it_is_cut() -> None:
    """Both directions have ended, and some bytes still wait to be written: not for ever."""

    async def script(wire: Wire) -> None:
        shrink(wire)
        wire.stop_reading()
        wire.half_close()
        await asyncio.sleep(PATIENCE_S)

    async with in_front_of(after_switch(script), route=ROUTE, limits=LIMITS) as (sidecar, _):
        wire = await switched(sidecar)
        (own,) = sidecar.upstream_connections()
        own.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        waiting = own.transport.get_write_buffer_size
        while waiting() < 8000:
            await wire.send(bytes(8000))
            await asyncio.sleep(0.02)  # until the kernel's buffers are full as well
        wire.half_close()
        await until(lambda: not sidecar.app_connections(), within_s=IDLE_S / 2)
        assert waiting() and own in sidecar.upstream_connections()
        await until(lambda: not sidecar.upstream_connections(), within_s=IDLE_S + SWEEP_S + 0.5)
