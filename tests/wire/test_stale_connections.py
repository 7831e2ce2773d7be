"""An idle connection that the upstream has ended: what may be repeated is, once; what may not is never sent twice."""

from __future__ import annotations

import asyncio
import random
import socket

import pytest

from sidecar.dataplane.limits import PoolLimits
from tests.fakes import PATIENCE_S, Script, Wire, always, response
from tests.wire.running import in_front_of, route_to
from tests.wire.running import sidecar as sidecar_to


async def leaves_after_one(wire: Wire) -> None:
    """Answer one request, and take the next one without a word."""
    await wire.request()
    await wire.send(response())
    await wire.request()


def leaves_when_idle(most_s: float, how: str) -> Script:
    """Answer requests, and leave when there is none for a while, at random up to `most_s`."""

    async def script(wire: Wire) -> None:
        patience_s = PATIENCE_S
        while True:
            try:
                async with asyncio.timeout(patience_s):
                    await wire.request()
            except TimeoutError:
                getattr(wire, how)()
                return
            await wire.send(response())
            patience_s = most_s * random.random()

    return script


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_what_may_be_repeated_is_sent_again_on_a_new_connection(method: str, how: str) -> None:
    """The app sees nothing of it; the body is the same."""
    body = b"" if method in ("GET", "HEAD") else b"the same"
    reply = b"" if method == "HEAD" else b"fine"

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(response(reply))
        await wire.request()
        getattr(wire, how)()

    async with in_front_of(script) as (sidecar, upstream):
        for _ in range(3):
            assert (await sidecar.ask(method, "/x", body=body)).status == 200
        assert [len(upstream.connections), len(upstream.requests)] == [3, 5]
        assert {(request.method, request.body) for request in upstream.requests} == {(method.encode(), body)}


async def test_what_may_not_be_repeated_is_sent_once() -> None:
    """502, and the upstream has seen the POST once."""
    async with in_front_of(leaves_after_one) as (sidecar, upstream):
        assert (await sidecar.ask("POST", "/1")).status == 200
        answer = await sidecar.ask("POST", "/2", body=b"once")
        assert (answer.status, answer.proxy_error) == (502, b"connection_terminated")
        assert [request.target for request in upstream.requests] == [b"/1", b"/2"]
        assert (await sidecar.ask("POST", "/3")).status == 200


async def test_a_body_that_is_no_longer_whole_in_hand_is_not_repeated() -> None:
    """A PUT larger than what is kept gets 502."""
    async with in_front_of(leaves_after_one, route={"replay_body_bytes": 10}) as (sidecar, upstream):
        assert (await sidecar.ask("PUT", "/", body=b"short")).status == 200
        answer = await sidecar.ask("PUT", "/", body=b"longer than that")
        assert answer.status == 502
        assert len(upstream.requests) == 2


async def test_it_is_repeated_once_only() -> None:
    """A second connection that ends without an answer is a failure."""
    connections = 0

    async def script(wire: Wire) -> None:
        nonlocal connections
        connections += 1
        if connections == 1:
            await wire.request()
            await wire.send(response())
        await wire.request()

    async with in_front_of(script) as (sidecar, upstream):
        assert (await sidecar.ask()).status == 200
        assert (await sidecar.ask()).proxy_error == b"connection_terminated"
        assert len(upstream.requests) == 3


async def test_an_answer_that_has_begun_is_not_asked_for_again() -> None:
    """One byte of it, and the upstream may have done what it was asked."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(response())
        await wire.request()
        await wire.send(b"H")

    async with in_front_of(script) as (sidecar, upstream):
        assert (await sidecar.ask()).status == 200
        assert (await sidecar.ask()).proxy_error == b"connection_terminated"
        assert len(upstream.requests) == 2


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_the_race_with_an_upstream_that_leaves(how: str) -> None:
    """300 GETs and 300 POSTs while idle connections end at any moment: no GET fails, no POST comes twice."""
    async with in_front_of(leaves_when_idle(0.002, how)) as (sidecar, upstream):
        wire = await sidecar.connect()
        for number in range(300):
            for method in ("GET", "POST"):
                await wire.send(sidecar.ask_bytes(method, f"/{method}{number}"))
                answer = await wire.response()
                assert answer.status == 200 or (method, answer.status) == ("POST", 502)
                if number % 3 == 0:
                    await asyncio.sleep(0.002 * random.random())
        posts = [request.target for request in upstream.requests if request.method == b"POST"]
        assert len(posts) == len(set(posts))
        assert len(upstream.connections) > 50


async def test_an_end_that_has_arrived_is_seen_before_a_post_is_sent() -> None:
    """At once, and even where the loop has not come round to reading it: the socket is looked at."""
    async with in_front_of(leaves_when_idle(0, "close")) as (sidecar, upstream):
        for _ in range(50):
            assert (await sidecar.ask("POST", "/", body=b"x")).status == 200
            await asyncio.sleep(0.002)
        assert len(upstream.requests) == 50
    with socket.create_server(("127.0.0.1", 0)) as server:
        async with sidecar_to(route_to(server.getsockname()[1])) as sidecar:
            pool = sidecar.pool()
            pool.give_back(await pool.connect())
            server.accept()[0].close()  # from here to the end the loop does not run
            assert pool.idle_count == 1
            assert pool.take_idle(certain=True) is None


async def test_bytes_on_an_idle_connection_condemn_it() -> None:
    """They would be taken for the answer to the next request."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(response(b"mine"))
        await asyncio.sleep(0.02)
        await wire.send(response(b"smuggled"))
        await wire.ended()

    async with in_front_of(script) as (sidecar, upstream):
        for count in (1, 2):
            assert (await sidecar.ask()).body == b"mine"
            await asyncio.sleep(0.1)
            assert len(upstream.connections) == count
            assert not sidecar.upstream_connections()


async def test_bytes_behind_an_answer_condemn_its_connection() -> None:
    """At once, in the same segment."""
    async with in_front_of(always(response(b"mine") + response(b"smuggled"))) as (sidecar, upstream):
        for count in (1, 2, 3):
            assert (await sidecar.ask()).body == b"mine"
            assert len(upstream.connections) == count


async def test_an_idle_connection_is_ended_after_its_time() -> None:
    """The upstream sees a clean end."""
    ended = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(response())
        assert await wire.rest() == b""
        ended.set()

    async with in_front_of(script, route={"upstream": {"pool": PoolLimits(idle_s=0.1)}}) as (sidecar, _):
        assert (await sidecar.ask()).status == 200
        async with asyncio.timeout(2):
            await ended.wait()


async def test_many_apps_share_connections_without_mixing_answers() -> None:
    """50 at once, 20 requests each: every app gets its own answers, over far fewer connections."""

    async def echo(wire: Wire) -> None:
        while True:
            request = await wire.request()
            await wire.send(response(request.target + b" " + request.body))

    async with in_front_of(echo, route={"upstream": {"pool": PoolLimits(most=8)}}) as (sidecar, upstream):

        async def app(name: int) -> None:
            wire = await sidecar.connect()
            for number in range(20):
                target, body = f"/{name}/{number}", b"%d" % (name * number)
                await wire.send(sidecar.ask_bytes(random.choice(["GET", "POST", "PUT"]), target, body=body))
                assert (await wire.response()).body == target.encode() + b" " + body

        await asyncio.gather(*(app(name) for name in range(50)))
        assert len(upstream.connections) <= 8


@pytest.mark.parametrize(
    ("line", "ends"),
    [
        ("Keep-Alive: timeout=1", True),
        ("keep-alive: max=100, Timeout=1", True),
        ("Keep-Alive: timeout=0", True),
        ("Keep-Alive: timeout=60", False),
        ("Keep-Alive: timeout=soon", False),
        ("Keep-Alive: timeout=", False),
        ("Keep-Alive: max=1", False),
        ("X-Keep-Alive: timeout=1", False),
    ],
)
async def test_a_connection_is_let_go_of_before_the_upstream_ends_it(line: str, ends: bool) -> None:
    """Where it says how long it keeps idle ones: a request that may not be repeated would be lost with it."""
    async with in_front_of(always(response(b"fine", line))) as (sidecar, upstream):
        assert (await sidecar.ask()).status == 200
        assert sidecar.pool().idle_count == 1
        sidecar.pool().sweep(asyncio.get_running_loop().time() + 0.1)
        assert sidecar.pool().idle_count == (0 if ends else 1)
        assert (await sidecar.ask("POST", "/")).status == 200
        assert len(upstream.connections) == (2 if ends else 1)


async def test_the_hint_is_reckoned_from_the_last_answer() -> None:
    """Node's 5 s: used for 4 s after each answer."""
    async with in_front_of(always(response(b"fine", "Keep-Alive: timeout=5"))) as (sidecar, _):
        assert (await sidecar.ask()).status == 200
        now = asyncio.get_running_loop().time()
        for after_s, count in ((3.8, 1), (4.1, 0)):
            sidecar.pool().sweep(now + after_s)
            assert sidecar.pool().idle_count == count


async def test_a_connection_that_was_waited_for_and_has_just_ended() -> None:
    """The queue hands over a connection; the upstream ends it under the request: sent again, once."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await asyncio.sleep(0.05)
        await wire.send(response())
        await wire.request()  # and never a word

    async with in_front_of(script, route={"upstream": {"pool": PoolLimits(most=1)}}) as (sidecar, upstream):
        answers = await asyncio.gather(*(sidecar.ask(target=f"/{number}") for number in range(4)))
        assert [answer.status for answer in answers] == [200] * 4
        assert len(upstream.connections) == 4
