"""Connections outlive requests, on both sides, and requests on one of them are answered in order."""

from __future__ import annotations

import pytest

from tests.fakes import Wire, always, response
from tests.wire.running import in_front_of


async def test_requests_one_after_the_other_share_one_upstream_connection() -> None:
    """Ten requests on one app connection, and ten on connections of their own, take one upstream connection."""
    async with in_front_of(always(response())) as (sidecar, upstream):
        wire = await sidecar.connect()
        for number in range(10):
            await wire.send(sidecar.ask_bytes(target=f"/{number}"))
            answer = await wire.response()
            assert (answer.status, answer.body, answer.values("connection")) == (200, b"fine", [])
        for _ in range(10):
            assert (await sidecar.ask()).status == 200
        assert len(upstream.connections) == 1
        assert [request.target for request in upstream.requests[:10]] == [b"/%d" % number for number in range(10)]


async def test_pipelined_requests_are_answered_in_order_with_their_own_methods() -> None:
    """A DELETE right behind a GET and a POST changes neither of them."""

    async def echo(wire: Wire) -> None:
        while True:
            request = await wire.request()
            await wire.send(response(request.start + b" " + request.body))

    async with in_front_of(echo) as (sidecar, _):
        wire = await sidecar.connect()
        requests = [("GET", "/a", b""), ("POST", "/b", b"sent"), ("DELETE", "/c", b""), ("GET", "/d", b"")]
        await wire.send(b"".join(sidecar.ask_bytes(method, target, body=body) for method, target, body in requests))
        for method, target, body in requests:
            assert (await wire.response()).body == b"%b %b HTTP/1.1 %b" % (method.encode(), target.encode(), body)


async def test_a_hundred_pipelined_requests_get_a_hundred_answers() -> None:
    """All of them sent at once, in pieces that end anywhere."""
    async with in_front_of(always(response())) as (sidecar, upstream):
        wire = await sidecar.connect()
        all_of_them = b"".join(sidecar.ask_bytes(target=f"/{number}") for number in range(100))
        await wire.send_slowly(all_of_them, size=17)
        for _ in range(100):
            assert (await wire.response()).status == 200
        assert [request.target for request in upstream.requests] == [b"/%d" % number for number in range(100)]


async def test_an_app_that_says_close_is_answered_and_closed() -> None:
    """The answer says so too, and the connection to the upstream stays."""
    async with in_front_of(always(response())) as (sidecar, upstream):
        for _ in range(3):
            wire = await sidecar.connect()
            await wire.send(sidecar.ask_bytes("GET", "/", "Connection: close"))
            answer = await wire.response()
            assert (answer.status, answer.value("connection")) == (200, b"close")
            assert await wire.rest() == b""
        assert len(upstream.connections) == 1


async def test_close_outweighs_keep_alive() -> None:
    """Whichever of the two stands first."""
    async with in_front_of(always(response())) as (sidecar, _):
        for lines in (["Connection: close", "Connection: keep-alive"], ["Connection: keep-alive, close"]):
            wire = await sidecar.connect()
            await wire.send(sidecar.ask_bytes("GET", "/", *lines))
            assert (await wire.response()).value("connection") == b"close"
            assert await wire.rest() == b""


async def test_an_upstream_that_says_close_is_not_used_again() -> None:
    """The app's own connection stays, and its next request takes a new upstream connection."""
    async with in_front_of(always(response(b"last", "Connection: close"))) as (sidecar, upstream):
        wire = await sidecar.connect()
        for count in (1, 2, 3):
            await wire.send(sidecar.ask_bytes())
            answer = await wire.response()
            assert (answer.body, answer.values("connection")) == (b"last", [])
            assert len(upstream.connections) == count


@pytest.mark.parametrize("kept", [True, False])
async def test_http_10_apps_are_served(kept: bool) -> None:
    """Closed after one answer, unless they ask for more; the upstream sees HTTP/1.1."""
    async with in_front_of(always(response())) as (sidecar, upstream):
        wire = await sidecar.connect()
        ask = b"GET /old HTTP/1.0\r\nHost: " + sidecar.host + b"\r\n"
        await wire.send(ask + (b"Connection: keep-alive\r\n\r\n" if kept else b"\r\n"))
        answer = await wire.response()
        assert (answer.status, answer.body) == (200, b"fine")
        assert answer.value("connection") == (b"keep-alive" if kept else b"close")
        if kept:
            await wire.send(ask + b"\r\n")
            assert (await wire.response()).value("connection") == b"close"
        assert await wire.rest() == b""
        assert {request.start for request in upstream.requests} == {b"GET /old HTTP/1.1"}


async def test_http_10_upstreams_are_served_too() -> None:
    """Their connections are closed after one answer unless they say keep-alive."""
    old = b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n%b\r\nold"
    async with in_front_of(always(old % b"Connection: keep-alive\r\n", old % b"")) as (sidecar, upstream):
        for connections in (1, 1, 2):
            answer = await sidecar.ask()
            assert (answer.start, answer.body) == (b"HTTP/1.1 200 OK", b"old")
            assert len(upstream.connections) == connections


async def test_empty_lines_before_a_request_are_ignored() -> None:
    """Before the first one and between two, as old clients send them after a body."""
    async with in_front_of(always(response())) as (sidecar, upstream):
        wire = await sidecar.connect()
        await wire.send(b"\r\n" + sidecar.ask_bytes("POST", "/", body=b"x") + b"\r\n\r\n" + sidecar.ask_bytes())
        assert [(await wire.response()).status for _ in range(2)] == [200, 200]
        assert [request.method for request in upstream.requests] == [b"POST", b"GET"]


async def test_an_idle_app_connection_is_closed_after_its_time() -> None:
    """Without an answer that nobody asked for."""
    async with in_front_of(always(response()), limits={"idle_timeout_s": 0.2}) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes())
        assert (await wire.response()).status == 200
        assert await wire.ended(within_s=2) == b""
