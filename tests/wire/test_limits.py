"""What is more than a limit allows is told so at once, and does not disturb the rest."""

from __future__ import annotations

import asyncio

from sidecar.config.values import LimitsConfig
from sidecar.dataplane.limits import PoolLimits, Timeouts
from tests.fakes import Message, Tokens, Wire, always, response, until, upstream
from tests.wire.running import Running, exchanging, in_front_of, route_to, sidecar


def assert_busy(answer: Message, reason: str) -> None:
    """Check that this is a 503 of ours that says when to come again."""
    assert (answer.status, answer.reason) == (503, reason)
    assert int(answer.value("retry-after") or b"0") >= 1


async def test_connections_beyond_the_limit_are_told_so_and_closed() -> None:
    """Those within it go on; a place that becomes free is taken by the next."""
    async with in_front_of(always(response()), limits={"connections": 3}) as (running, upstream_):
        kept = [await running.connect() for _ in range(3)]
        for wire in kept:
            await wire.send(running.ask_bytes())
            assert (await wire.response()).status == 200
        for _ in range(3):
            wire = await running.connect()
            answer = await wire.response()
            assert_busy(answer, "connections")
            assert answer.value("connection") == b"close"
            assert answer.proxy_error == b"connection_limit_reached"
            assert await wire.rest() == b""
            wire.close()
        await kept[0].send(running.ask_bytes())
        assert (await kept[0].response()).status == 200
        kept.pop().close()
        await until(lambda: len(running.app_connections()) == 2)
        assert (await running.ask()).status == 200
        assert len(upstream_.requests) == 5


async def test_a_flood_of_connections_is_cut() -> None:
    """Only so many are told; those within the limit go on."""
    async with in_front_of(always(response()), limits={"connections": 1}) as (running, _):
        kept = await running.connect()
        await kept.send(running.ask_bytes())
        assert (await kept.response()).status == 200
        flood = [await running.connect() for _ in range(200)]
        got = [await wire.ended() for wire in flood]
        assert 0 < sum(answer.startswith(b"HTTP/1.1 503 ") for answer in got) < 200
        await kept.send(running.ask_bytes())
        assert (await kept.response()).status == 200


async def statuses(running: Running, count: int) -> list[Message]:
    """Ask this many times at once."""
    return await asyncio.gather(*(running.ask() for _ in range(count)))


async def test_requests_share_few_upstream_connections() -> None:
    """Beyond `pool.most` they wait their turn; all are answered."""

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await asyncio.sleep(0.005)
            await wire.send(response())

    async with in_front_of(script, route={"upstream": {"pool": PoolLimits(most=3)}}) as (running, upstream_):
        assert {answer.status for answer in await statuses(running, 60)} == {200}
        assert len(upstream_.connections) == 3


async def test_connections_that_end_make_room_for_those_that_wait() -> None:
    """An upstream that closes after each answer, behind a pool of two."""
    close = response(b"fine", "Connection: close")
    async with in_front_of(always(close), route={"upstream": {"pool": PoolLimits(most=2)}}) as (running, upstream_):
        assert {answer.status for answer in await statuses(running, 40)} == {200}
        assert len(upstream_.connections) == 40


async def test_an_upstream_that_keeps_all_connections_busy() -> None:
    """Who waited long enough for one is told so; who finds the queue full, at once."""
    free = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.request()
        await free.wait()
        await wire.send(response())
        await wire.ended()

    to = {"pool": PoolLimits(most=1), "timeouts": Timeouts(connect_s=0.1)}
    async with in_front_of(script, route={"upstream": to}, limits={"waiting": 2}) as (running, _):
        first = asyncio.create_task(running.ask())
        await until(running.upstream_connections)
        waiting = [asyncio.create_task(running.ask()) for _ in range(2)]
        await asyncio.sleep(0.02)
        assert_busy(await running.ask(), "upstream_pool_full")
        assert not any(task.done() for task in waiting)
        for answer in await asyncio.gather(*waiting):
            assert_busy(answer, "upstream_pool_full")
        free.set()
        assert (await first).status == 200


async def test_those_who_leave_the_queue_do_not_take_a_place_with_them() -> None:
    """Half of those who wait for a connection leave; the other half is served."""

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await asyncio.sleep(0.01)
            await wire.send(response())

    async with in_front_of(script, route={"upstream": {"pool": PoolLimits(most=1)}}) as (running, _):

        async def leaves(after_s: float) -> None:
            wire = await running.connect()
            await wire.send(running.ask_bytes())
            await asyncio.sleep(after_s)
            wire.reset()

        leaving = [leaves(0.003 * number) for number in range(20)]
        answers = await asyncio.gather(*(running.ask() for _ in range(20)), *leaving)
        assert [answer.status for answer in answers if answer is not None] == [200] * 20
        await running.nothing_left()


async def test_a_place_is_not_lost_with_who_leaves_as_it_is_called() -> None:
    """The next in the queue gets the very connection."""
    async with in_front_of(always(response()), route={"upstream": {"pool": PoolLimits(most=1)}}) as (running, _):
        pool = running.pool()
        connection = await pool.connect()
        waiting = [asyncio.create_task(pool.connect()) for _ in range(2)]
        await asyncio.sleep(0)
        pool.give_back(connection)
        waiting[0].cancel()
        async with asyncio.timeout(1):
            assert await waiting[1] is connection


async def test_only_so_many_wait_for_a_token() -> None:
    """Those beyond are told so at once; the others get theirs from one exchange."""
    ready = asyncio.Event()
    tokens = Tokens(ready)
    async with upstream(tokens) as endpoint, upstream(always(response())) as server:
        limits = LimitsConfig(waiting=10)
        async with sidecar(route_to(server.port), credential=exchanging(endpoint.port), limits=limits) as running:
            asked = [asyncio.create_task(running.ask()) for _ in range(30)]
            await until(lambda: sum(task.done() for task in asked) == 20)
            for task in asked:
                if task.done():
                    assert_busy(task.result(), "waiting")
            assert server.requests == []
            ready.set()
            assert sorted([answer.status for answer in await asyncio.gather(*asked)]) == [200] * 10 + [503] * 20
            assert tokens.count == 1


async def test_nothing_goes_upstream_without_a_token() -> None:
    """503 after the time for waiting."""
    async with upstream(Tokens(asyncio.Event())) as endpoint, upstream(always(response())) as server:
        limits = LimitsConfig(wait_for_token_s=0.1)
        async with sidecar(route_to(server.port), credential=exchanging(endpoint.port), limits=limits) as running:
            assert_busy(await running.ask("POST", "/", body=b"x"), "no_token")
            assert server.connections == []
