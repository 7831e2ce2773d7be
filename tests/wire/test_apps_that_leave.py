"""An app that leaves takes its upstream request with it; one that only stops sending still gets its answer."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.config.values import LimitsConfig
from sidecar.dataplane.limits import PoolLimits
from tests.fakes import PATIENCE_S, Tokens, Wire, always, response, silent, until, upstream
from tests.wire.blackhole import blackhole
from tests.wire.running import exchanging, in_front_of, route_to
from tests.wire.running import sidecar as sidecar_to
from tests.wire.test_large_bodies import until_still

LEAVING = pytest.mark.parametrize("how", ["close", "reset"])
CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Ended:
    """A script that waits for the end of its connection, after what it was given to do."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self._ended = asyncio.Event()

    async def __call__(self, wire: Wire) -> None:
        await self.begin(wire)
        self.asked.set()
        await wire.ended(PATIENCE_S)
        self._ended.set()

    async def begin(self, wire: Wire) -> None:
        """Read a request's head."""
        await wire.head()

    async def within_a_second(self) -> None:
        """Wait for the end."""
        async with asyncio.timeout(1):
            await self._ended.wait()


@LEAVING
async def test_an_app_that_leaves_before_its_answer(how: str) -> None:
    """The upstream's connection ends within a second."""
    script = Ended()
    async with in_front_of(script) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes())
        await script.asked.wait()
        getattr(wire, how)()
        await script.within_a_second()
        await sidecar.nothing_left()
        sidecar.app.stats.count()
        assert sidecar.app.stats.route("crm").requests[b"GET"] == [0, 0, 0, 0, 1]  # aborted


@LEAVING
async def test_an_app_that_leaves_together_with_its_request(how: str) -> None:
    """Request and end in one go, many times: nothing stays behind."""
    async with in_front_of(silent) as (sidecar, _):
        for _ in range(30):
            wire = await sidecar.connect()
            wire.writer.write(sidecar.ask_bytes())
            getattr(wire, how)()
        await sidecar.nothing_left(within_s=2)


@LEAVING
async def test_an_app_that_leaves_within_its_request(how: str) -> None:
    """The upstream sees that the body is not whole."""
    script = Ended()
    async with in_front_of(script) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", "/", "Content-Length: 100"), b"some")
        await script.asked.wait()
        getattr(wire, how)()
        await script.within_a_second()
        await sidecar.nothing_left()


@LEAVING
@pytest.mark.parametrize("framing", ["sized", "chunked"])
async def test_an_app_that_leaves_within_its_answer(how: str, framing: str) -> None:
    """The upstream is not read to its end for nobody."""

    class Streaming(Ended):
        async def begin(self, wire: Wire) -> None:
            await wire.request()
            await wire.send(CHUNKED_HEAD if framing == "chunked" else b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")

    script = Streaming()
    async with in_front_of(script) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes())
        await wire.head()
        getattr(wire, how)()
        await script.within_a_second()
        await sidecar.nothing_left()


async def test_apps_that_leave_while_much_is_coming() -> None:
    """30 of them, at any moment of a large answer: each of their upstream connections ends."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(CHUNKED_HEAD)
        while True:
            await wire.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")

    async with in_front_of(script) as (sidecar, _):
        for number in range(30):
            wire = await sidecar.connect()
            await wire.send(sidecar.ask_bytes())
            await wire.exactly(1000 * number + 1)
            (wire.reset if number % 2 else wire.close)()
        await sidecar.nothing_left(within_s=2)


async def test_an_app_that_leaves_within_a_head() -> None:
    """Nothing goes upstream, nothing stays."""
    async with in_front_of(always(response())) as (sidecar, upstream):
        for how in ("close", "reset"):
            wire = await sidecar.connect()
            await wire.send(b"GET / HTTP/1.1\r\nHo")
            getattr(wire, how)()
        await sidecar.nothing_left()
        assert upstream.connections == []


async def test_an_app_that_stops_sending_still_gets_its_answer() -> None:
    """`nc -N` and HTTP/1.0 scripts end their side behind the request."""
    async with in_front_of(always(response())) as (sidecar, _):
        for _ in range(20):
            wire = await sidecar.connect()
            await wire.send(sidecar.ask_bytes("POST", "/", body=b"sent"))
            wire.half_close()
            answer = await wire.response()
            assert (answer.status, answer.body, answer.value("connection")) == (200, b"fine", b"close")
            assert await wire.rest() == b""
        await sidecar.nothing_left()


async def test_an_app_that_stops_sending_still_gets_all_its_answers() -> None:
    """To every request that it had pipelined."""
    async with in_front_of(always(response())) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes() * 5)
        wire.half_close()
        answers = [await wire.response() for _ in range(5)]
        assert [answer.value("connection") for answer in answers] == [None] * 4 + [b"close"]
        assert await wire.rest() == b""


async def test_an_app_that_stops_sending_still_gets_a_long_answer() -> None:
    """Longer than what is waited for one that has left: it reads, and that shows."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(CHUNKED_HEAD)
        for _ in range(12):
            await wire.send(b"1\r\nx\r\n")
            await asyncio.sleep(0.1)
        await wire.send(b"0\r\n\r\n")

    async with in_front_of(script) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes())
        wire.half_close()
        answer = await wire.response()
        assert (answer.status, answer.body) == (200, b"x" * 12)


async def test_an_app_that_leaves_does_not_disturb_others() -> None:
    """On the same route, at the same time."""

    async def script(wire: Wire) -> None:
        while True:
            request = await wire.request()
            await asyncio.sleep(0.01)
            await wire.send(response(request.target))

    async with in_front_of(script) as (sidecar, _):

        async def stays(number: int) -> None:
            assert (await sidecar.ask(target=f"/{number}")).body == b"/%d" % number

        async def leaves() -> None:
            wire = await sidecar.connect()
            await wire.send(sidecar.ask_bytes())
            await asyncio.sleep(0.005)
            wire.reset()

        await asyncio.gather(*(stays(number) for number in range(50)), *(leaves() for _ in range(50)))
        await sidecar.nothing_left()


async def test_an_app_that_never_takes_its_answer_is_cut() -> None:
    """It holds an upstream connection and memory of ours, so not for ever."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n" + bytes(50_000_000))

    async with in_front_of(script, limits={"body_idle_timeout_s": 0.2}) as (sidecar, _):
        wire = await sidecar.connect()
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a selector's or uvloop's: both can
        await wire.send(sidecar.ask_bytes())
        await until(lambda: len(sidecar.app_connections()) == 1 and not sidecar.app_connections()[0].writable)
        await until(lambda: not sidecar.app_connections())


@LEAVING
async def test_an_app_that_leaves_while_it_waits_for_a_token(how: str) -> None:
    """Nothing goes upstream for it, and its place is free for others at once."""
    ready = asyncio.Event()
    tokens = Tokens(ready)
    async with upstream(tokens) as endpoint, upstream(always(response())) as server:
        limits = LimitsConfig(waiting=1)
        async with sidecar_to(route_to(server.port), credential=exchanging(endpoint.port), limits=limits) as sidecar:
            wire = await sidecar.connect()
            await wire.send(sidecar.ask_bytes("POST", "/", body=b"never"))
            await until(sidecar.app_connections)
            await asyncio.sleep(0.02)
            assert (await sidecar.ask()).reason == "waiting"
            getattr(wire, how)()
            await sidecar.nothing_left()
            others = asyncio.create_task(sidecar.ask())
            await until(sidecar.app_connections)
            ready.set()
            assert (await others).status == 200
            assert [request.method for request in server.requests] == [b"GET"]
            assert tokens.count == 1


@LEAVING
async def test_an_app_that_leaves_while_it_waits_for_a_connection(how: str) -> None:
    """Its place in the queue is free within a second, and nothing goes upstream for it."""
    free = asyncio.Event()

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await free.wait()
            await wire.send(response())

    route = {"upstream": {"pool": PoolLimits(most=1)}}
    async with in_front_of(script, route=route, limits={"waiting": 1}) as (sidecar, server):
        first = asyncio.create_task(sidecar.ask())
        await until(lambda: server.requests)
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", "/", body=b"never"))
        await until(lambda: sidecar.pool()._waiting)
        getattr(wire, how)()
        await until(lambda: not sidecar.pool()._waiting, within_s=1)
        last = asyncio.create_task(sidecar.ask())
        await until(lambda: sidecar.pool()._waiting)
        free.set()
        assert [(await first).status, (await last).status] == [200, 200]
        assert [request.method for request in server.requests] == [b"GET", b"GET"]


@LEAVING
async def test_an_app_that_leaves_while_its_connection_is_made(how: str) -> None:
    """The attempt ends with it: the place is free within a second, long before the time-out."""
    with blackhole() as hole:
        async with sidecar_to(route_to(hole.address[1])) as sidecar:
            wire = await sidecar.connect()
            await wire.send(sidecar.ask_bytes())
            await until(lambda: sidecar.pool()._places_taken == 1)
            getattr(wire, how)()
            await until(lambda: sidecar.pool()._places_taken == 0, within_s=1)
            await sidecar.nothing_left()


@pytest.mark.parametrize("waits_for", ["the upstream to read", "a connection", "a tunnel's upstream"])
async def test_an_app_that_cuts_its_upload_off_while_nobody_reads_it(waits_for: str) -> None:
    """Reading from it is stopped, so the loop does not see it leave; within a second it shows all the same."""
    free = asyncio.Event()

    async def script(wire: Wire) -> None:
        if waits_for == "a tunnel's upstream":
            await wire.head()
            await wire.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
        wire.stop_reading()
        await free.wait()

    async with in_front_of(script, route={"upstream": {"pool": PoolLimits(most=1)}}) as (sidecar, _):
        if waits_for == "a connection":
            first = await sidecar.connect()
            await first.send(sidecar.ask_bytes())
            await until(sidecar.upstream_connections)
        wire = await sidecar.connect()
        if waits_for == "a tunnel's upstream":
            await wire.send(sidecar.ask_bytes("GET", "/", "Connection: Upgrade", "Upgrade: x"))
            assert b" 101 " in await wire.head()
        else:
            await wire.send(sidecar.ask_bytes("POST", "/", "Content-Length: 100000000"))
        wire.writer.write(bytes(30_000_000))
        await until_still(sidecar, wire)
        assert any(not connection.reading for connection in sidecar.app_connections())
        count = len(sidecar.app_connections())
        wire.reset()
        await until(lambda: len(sidecar.app_connections()) == count - 1, within_s=1)
        free.set()


async def test_what_an_app_has_pipelined_is_not_asked_for_once_it_has_left() -> None:
    """It did not take its answers, and the next ones wait for that; then it is gone, and nobody wants them."""
    async with in_front_of(always(response(b"x" * 200_000))) as (sidecar, upstream):
        wire = await sidecar.connect()
        wire.stop_reading()
        await wire.send(sidecar.ask_bytes() * 200 + sidecar.ask_bytes("POST", "/", "Content-Length: 5"))
        await until(lambda: sidecar.app_connections() and not sidecar.app_connections()[0].writable)
        asked = -1
        while asked != len(upstream.requests):  # until it waits for the app
            asked = len(upstream.requests)
            await asyncio.sleep(0.05)
        assert asked < 200
        wire.reset()
        await sidecar.nothing_left(2.0)
        assert len(upstream.requests) == asked
