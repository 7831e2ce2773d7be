"""An upstream that swallows connections: everyone is told in time, a bounded crowd waits, and it recovers at once."""

from __future__ import annotations

import asyncio
import time

from sidecar.config.values import LimitsConfig, RouteConfig
from sidecar.dataplane.limits import PoolLimits, Timeouts
from tests.fakes import Message, ScriptedUpstream, always, response, until
from tests.wire.blackhole import blackhole
from tests.wire.running import Running, in_front_of, route_to, sidecar

CONNECT_S = 0.6
MOST = 4
LIMITS = LimitsConfig(waiting=10)


def small_pool(port: int) -> RouteConfig:
    """Return a route to this port through a few connections."""
    return route_to(port, upstream={"timeouts": Timeouts(connect_s=CONNECT_S), "pool": PoolLimits(most=MOST)})


async def ask(running: Running) -> tuple[Message, float]:
    """Ask; return the answer and how long it took."""
    began_at = time.monotonic()
    wire = await running.connect()
    await wire.send(running.ask_bytes())
    answer = await wire.response()
    took_s = time.monotonic() - began_at
    wire.close()
    return answer, took_s


async def test_a_crowd_is_told_in_time() -> None:
    """504 where a connection was tried; 503 to those who waited for that in vain, and at once to the rest."""
    with blackhole() as hole:
        async with sidecar(small_pool(hole.address[1]), limits=LIMITS) as running:
            answers = await asyncio.gather(*(ask(running) for _ in range(40)))
            tried = [took_s for answer, took_s in answers if answer.status == 504]
            in_vain = [took_s for answer, took_s in answers if b"became free in time" in answer.body]
            at_once = [took_s for answer, took_s in answers if b"too many requests wait" in answer.body]
            assert len(at_once) == 40 - MOST - LIMITS.waiting
            assert len(tried) >= MOST  # who came a little later may get the place of one whose time was over
            assert len(tried) + len(in_vain) == MOST + LIMITS.waiting
            assert CONNECT_S <= min(tried) and max(tried + in_vain) < 2 * CONNECT_S + 0.5
            assert {answer.status for answer, _ in answers} == {503, 504}
            assert {answer.reason for answer, _ in answers} == {"connect", "upstream_pool_full"}


async def test_one_too_many_is_told_within_50_ms() -> None:
    """While the queue is full."""
    with blackhole() as hole:
        async with sidecar(small_pool(hole.address[1]), limits=LIMITS) as running:
            crowd = [asyncio.create_task(ask(running)) for _ in range(MOST + LIMITS.waiting)]
            await until(lambda: len(running.pool()._waiting) == LIMITS.waiting)
            answers = [await ask(running) for _ in range(5)]
            assert {(answer.status, answer.value("retry-after")) for answer, _ in answers} == {(503, b"1")}
            assert min(took_s for _, took_s in answers) < 0.05
            await asyncio.gather(*crowd)


async def test_only_so_many_connections_are_tried_at_a_time() -> None:
    """A thousand requests at once make four attempts."""
    with blackhole() as hole:
        async with sidecar(small_pool(hole.address[1]), limits=LimitsConfig(waiting=1000)) as running:
            wires = [await running.connect() for _ in range(500)]
            for wire in wires:
                wire.writer.write(running.ask_bytes() * 2)
            await until(lambda: len(running.pool()._waiting) == 500 - MOST)
            assert running.pool()._places_taken == MOST


async def test_it_recovers_when_the_upstream_does() -> None:
    """Within 2 s; those who still wait by then are served."""
    server = ScriptedUpstream(always(response()))
    with blackhole() as hole:
        async with sidecar(route_to(hole.address[1], upstream={"pool": PoolLimits(most=MOST)})) as running:
            crowd = [asyncio.create_task(ask(running)) for _ in range(20)]
            await until(lambda: len(running.pool()._waiting) == 20 - MOST)
            back = await asyncio.start_server(server.serve, sock=hole.open_up())
            began_at = time.monotonic()
            assert {answer.status for answer, _ in await asyncio.gather(*crowd)} == {200}
            assert (await ask(running))[0].status == 200
            assert time.monotonic() - began_at < 2
            running.leave()
            back.close()
            await server.end()


async def test_who_has_waited_longest_is_next() -> None:
    """One that comes as a place becomes free queues behind."""
    async with in_front_of(always(response()), route={"upstream": {"pool": PoolLimits(most=1)}}) as (running, _):
        pool = running.pool()
        connection = await pool.connect()
        waits = asyncio.create_task(pool.connect())
        await until(lambda: pool._waiting)
        connection.abort()
        pool.forget(connection)  # as the loop will call it; whoever waits has not run yet
        comes = pool.connect()
        comes.send(None)
        assert len(pool._waiting) == 1
        comes.close()
        async with asyncio.timeout(1):
            assert await waits is not connection
