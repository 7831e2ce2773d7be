"""The machine slept, or this process was stopped: what was idle meanwhile is not trusted any more."""

from __future__ import annotations

import asyncio
import os
import socket
import time

import pytest

from sidecar.clock import SystemClock
from sidecar.dataplane import standstill
from sidecar.dataplane.standstill import LONGEST_GAP_S, Standstill
from sidecar.dataplane.upstream import UpstreamConnection
from sidecar.sockets import UNACKNOWLEDGED_S
from tests.fakes import Script, Wire, always, response, until
from tests.wire.running import Running, in_front_of

SLEPT_S = 60.0


class SleptClock(SystemClock):
    """The machine's clocks, after a sleep of `slept_s`: the wall clock alone went on."""

    def __init__(self) -> None:
        self.slept_s = 0.0
        self.wall = lambda: time.time() + self.slept_s


def waits_for(answered: asyncio.Event) -> Script:
    """Answer each request, one for `/slow` when it is time."""

    async def script(wire: Wire) -> None:
        while True:
            if (await wire.request()).target == b"/slow":
                await answered.wait()
            await wire.send(response())

    return script


def user_timeouts(sidecar: Running) -> list[int]:
    """Return TCP_USER_TIMEOUT of each connection to an upstream, in milliseconds."""
    socks = [connection.transport.get_extra_info("socket") for connection in sidecar.upstream_connections()]
    return [sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) for sock in socks]


def outdated(sidecar: Running) -> list[bool]:
    """Return for each connection to an upstream whether it takes no further request."""
    connections = sidecar.upstream_connections()
    return [connection.outdated for connection in connections if isinstance(connection, UpstreamConnection)]


async def test_idle_connections_are_let_go_after_a_sleep() -> None:
    """Their upstreams may be gone without a word; the next request, which may not be repeated, is on a new one."""
    clock = SleptClock()
    async with in_front_of(always(response()), clock=clock) as (sidecar, upstream):
        assert (await sidecar.ask()).status == 200
        assert sidecar.pool().idle_count == 1
        clock.slept_s = SLEPT_S
        await until(lambda: sidecar.pool().idle_count == 0)
        assert (await sidecar.ask("POST", "/", body=b"x")).status == 200
        assert len(upstream.connections) == 2
        await asyncio.sleep(0.6)
        assert sidecar.pool().idle_count == 1, "once, not at every sweep from then on"


async def test_what_was_sent_on_one_since_then_is_given_up_soon() -> None:
    """In the half second before it is noticed: the kernel ends it unless the upstream acknowledges. It is the last."""
    clock, answered = SleptClock(), asyncio.Event()
    async with in_front_of(waits_for(answered), clock=clock) as (sidecar, upstream):
        assert (await sidecar.ask()).status == 200
        clock.slept_s = SLEPT_S
        request = asyncio.create_task(sidecar.ask("POST", "/slow", body=b"small"))
        await until(lambda: user_timeouts(sidecar) == [UNACKNOWLEDGED_S * 1000])
        answered.set()
        assert (await request).status == 200, "it was there"
        await until(lambda: not sidecar.upstream_connections())
        assert len(upstream.connections) == 1


async def test_a_new_connection_is_trusted_and_so_is_one_that_takes_a_body() -> None:
    """The first was made when the network was there; the second has an upstream that may be slow to read."""
    clock, answered = SleptClock(), asyncio.Event()
    async with in_front_of(waits_for(answered), clock=clock) as (sidecar, _):
        assert (await sidecar.ask()).status == 200
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", "/", "Content-Length: 10") + b"half")
        await until(lambda: sidecar.pool().busy_count == 1)
        other = asyncio.create_task(sidecar.ask("GET", "/slow"))
        await until(lambda: sidecar.pool().busy_count == 2)
        clock.slept_s = SLEPT_S
        await asyncio.sleep(0.6)
        assert outdated(sidecar) == [False, False]
        assert user_timeouts(sidecar) == [0, 0]
        answered.set()
        await wire.send(b"whole!")
        assert (await wire.response()).status == 200
        await other


async def test_what_has_arrived_is_read_before_deadlines_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request on a kept connection whose idle time ended meanwhile: nobody was there to read it."""
    monkeypatch.setattr(standstill, "LONGEST_GAP_S", 0.8)
    async with in_front_of(always(response()), limits={"idle_timeout_s": 0.5}) as (sidecar, upstream):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes())
        assert (await wire.response()).status == 200
        raw, bell = socket.socket(fileno=os.dup(wire.writer.get_extra_info("socket").fileno())), socket.socketpair()

        def stand_still() -> None:
            """While the loop looks at its sockets: the timers are next, and only then what has arrived."""
            asyncio.get_running_loop().remove_reader(bell[0])
            raw.send(sidecar.ask_bytes("POST", "/", body=b"x"))
            time.sleep(1.0)

        asyncio.get_running_loop().add_reader(bell[0], stand_still)
        bell[1].send(b"!")
        assert (await wire.response()).status == 200
        assert len(upstream.requests) == 2
        for sock in (raw, *bell):
            sock.close()


@pytest.mark.parametrize(
    ("wall_s", "monotonic_s", "is_over"),
    [
        (0.5, 0.5, False),
        (LONGEST_GAP_S - 0.1, LONGEST_GAP_S - 0.1, False),
        (60.5, 0.5, True),  # it slept
        (60.5, 60.5, True),  # it was stopped
        (0.5, 60.5, True),  # and the clock was set back, too
        (-3600.0, 0.5, False),  # the clock was set back, and no time was lost
    ],
)
def test_time_was_lost(wall_s: float, monotonic_s: float, is_over: bool) -> None:
    """Where either clock has moved too far between two looks; once."""

    class TwoClocks:
        at = (1e9, 100.0)

        def wall(self) -> float:
            return self.at[0]

        def monotonic(self) -> float:
            return self.at[1]

    clock = TwoClocks()
    looked = Standstill(clock)
    clock.at = (1e9 + wall_s, 100.0 + monotonic_s)
    assert looked.is_over() is is_over
    assert looked.is_over() is False
