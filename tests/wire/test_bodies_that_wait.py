"""A request that waits for a token or a connection holds what had come of its body by then, so a crowd stays small."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sidecar.dataplane.client import ClientConnection
from sidecar.dataplane.flow import Body
from sidecar.dataplane.limits import PoolLimits
from tests.fakes import ScriptedUpstream, Tokens, Wire, response, until, upstream
from tests.wire.running import Running, exchanging, in_front_of

LARGE = bytes(1_000_000)
SMALL = b"small" * 1000
FRAMINGS = {
    "sized": (f"Content-Length: {len(LARGE)}", LARGE),
    "chunked": ("Transfer-Encoding: chunked", b"%x\r\n%b\r\n0\r\n\r\n" % (len(LARGE), LARGE)),
}


@asynccontextmanager
async def waiting_for(what: str, go_on: asyncio.Event) -> AsyncIterator[tuple[Running, ScriptedUpstream]]:
    """Run a sidecar whose next request waits for a token, or for the only connection, until it may go on."""

    async def script(wire: Wire) -> None:
        while True:
            request = await wire.request()
            if request.target == b"/first":
                await go_on.wait()
            await wire.send(response())

    route = {"upstream": {"pool": PoolLimits(most=1)}}
    if what == "a connection":
        async with in_front_of(script, route=route) as (sidecar, server):
            first = await sidecar.connect()
            await first.send(sidecar.ask_bytes("GET", "/first"))
            await until(lambda: server.requests)
            yield sidecar, server
        return
    async with upstream(Tokens(go_on)) as endpoint, in_front_of(script, credential=exchanging(endpoint.port)) as both:
        yield both


async def waiting(sidecar: Running) -> ClientConnection:
    """Return the connection of the request that has begun to wait."""

    def those() -> list[ClientConnection]:
        connections = [one for one in sidecar.app_connections() if isinstance(one, ClientConnection)]
        return [one for one in connections if one.body is not None]

    await until(those)
    (connection,) = those()
    await asyncio.sleep(0.02)
    return connection


@pytest.mark.parametrize(("what", "framing"), [("a token", "sized"), ("a token", "chunked"), ("a connection", "sized")])
async def test_a_large_body_is_not_read_while_its_request_waits(what: str, framing: str) -> None:
    """Nothing of it is held, and all of it goes upstream in the end."""
    line, content = FRAMINGS[framing]
    go_on = asyncio.Event()
    async with waiting_for(what, go_on) as (sidecar, server):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", "/", line))
        connection = await waiting(sidecar)
        sending = asyncio.create_task(wire.send(content))
        await asyncio.sleep(0.1)
        assert connection.body is not None and connection.body.held_bytes == 0
        go_on.set()
        await sending
        assert (await wire.response()).status == 200
        assert server.requests[-1].body == LARGE


@pytest.mark.parametrize("what", ["a token", "a connection"])
async def test_a_small_body_is_there_when_its_request_has_waited(what: str) -> None:
    """It goes upstream in one segment with its head, as it does where nothing waits."""
    go_on = asyncio.Event()
    async with waiting_for(what, go_on) as (sidecar, server):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", "/", f"Content-Length: {len(SMALL)}"))
        connection = await waiting(sidecar)
        await wire.send(SMALL)
        await until(lambda: connection.body is not None and connection.body.complete)
        go_on.set()
        assert (await wire.response()).status == 200
        assert server.requests[-1].body == SMALL


async def test_an_app_that_leaves_while_its_large_body_waits() -> None:
    """Its end stands behind bytes that nobody reads; within a second it shows, and nothing goes upstream for it."""
    go_on = asyncio.Event()
    async with waiting_for("a token", go_on) as (sidecar, server):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", "/", FRAMINGS["sized"][0]))
        await waiting(sidecar)
        before = len(sidecar.app_connections())
        await wire.send(SMALL)
        wire.close()
        await until(lambda: len(sidecar.app_connections()) == before - 1, within_s=1)
        go_on.set()
        await asyncio.sleep(0.05)
        assert all(request.method == b"GET" for request in server.requests)


def test_a_body_that_was_given_up_holds_nothing_more() -> None:
    """What the loop still reads of an answer that is too long, before its connection is cut, is not kept."""

    class Source:
        def pause_reading(self) -> None: ...

        def resume_reading(self) -> None: ...

    body = Body(Source(), None)
    body.fail(ValueError())
    body.feed(b"x" * 1000)
    assert body.held == [] and body.held_bytes == 0
