"""`Expect: 100-continue` and other interim answers: an app that asks before it sends is never left waiting."""

from __future__ import annotations

import asyncio
import time

import pytest

from sidecar.path import EXPECT_PATIENCE_S
from tests.fakes import Message, Tokens, Wire, always, response
from tests.wire.running import in_front_of, with_tokens

EXPECT = ("Expect: 100-continue", "Content-Length: 4")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nlink: </b.css>\r\n\r\n"


async def test_the_upstreams_go_on_is_passed_on() -> None:
    """Once, and the expectation itself goes upstream."""

    async def script(wire: Wire) -> None:
        head = Message(await wire.head())
        assert head.value("expect") == b"100-continue"
        await wire.send(CONTINUE, CONTINUE)
        await wire.send(response(await wire.exactly(4)))

    async with in_front_of(script) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", "/", *EXPECT))
        assert await wire.head() == CONTINUE
        await wire.send(b"body")
        answer = await wire.response()
        assert (answer.status, answer.body) == (200, b"body")


async def test_a_silent_upstream_is_answered_for() -> None:
    """The app hears "go on" from us within about a second; the upstream's own, later, is one too many."""

    async def script(wire: Wire) -> None:
        await wire.head()
        body = await wire.exactly(4)
        await wire.send(CONTINUE, response(body))

    async with in_front_of(script) as (sidecar, _):
        wire = await sidecar.connect()
        began_at = time.monotonic()
        await wire.send(sidecar.ask_bytes("POST", "/", *EXPECT))
        assert await wire.head() == CONTINUE
        assert EXPECT_PATIENCE_S / 2 < time.monotonic() - began_at < EXPECT_PATIENCE_S + 0.5
        await wire.send(b"body")
        assert (await wire.response()).body == b"body"


async def test_a_final_answer_at_once_is_passed_on() -> None:
    """The app need not send its body at all; its connection ends."""

    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(response(b"no", status="417 Expectation Failed"))
        await wire.ended()

    async with in_front_of(script) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", "/", *EXPECT))
        answer = await wire.response()
        assert (answer.status, answer.body, answer.value("connection")) == (417, b"no", b"close")
        assert await wire.rest() == b""


async def test_nothing_follows_an_answer_of_our_own() -> None:
    """No late "go on" after a 502 to a request whose body never came."""

    async def script(wire: Wire) -> None:
        await wire.head()
        await asyncio.sleep(EXPECT_PATIENCE_S / 2)

    async with in_front_of(script) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", "/", *EXPECT))
        assert (await wire.response()).status == 502
        await asyncio.sleep(EXPECT_PATIENCE_S)
        assert await wire.rest() == b""


async def test_an_app_that_does_not_wait_is_served() -> None:
    """Its body comes with the head."""
    async with in_front_of(always(response())) as (sidecar, upstream):
        wire = await sidecar.connect()
        for _ in range(2):
            await wire.send(sidecar.ask_bytes("POST", "/", *EXPECT) + b"body")
            assert (await wire.response()).status == 200
        assert [request.body for request in upstream.requests] == [b"body", b"body"]


async def test_an_http_10_app_is_not_asked_to_wait() -> None:
    """Its expectation is ignored (RFC 9110 10.1.1), and it gets no interim answer."""

    async def script(wire: Wire) -> None:
        request = await wire.request()
        await wire.send(CONTINUE, HINTS, response(request.body, f"X-Expect: {request.value('expect')!r}"))

    async with in_front_of(script) as (sidecar, _):
        wire = await sidecar.connect()
        host = sidecar.host.decode()
        await wire.send(
            f"POST / HTTP/1.0\r\nHost: {host}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody".encode()
        )
        answer = await wire.response()
        assert (answer.status, answer.body, answer.value("x-expect")) == (200, b"body", b"None")


async def test_early_hints_are_passed_on() -> None:
    """As they are, as soon as they are there, as often as they come."""
    asked = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(HINTS, HINTS)
        await asked.wait()
        await wire.send(HINTS + response())

    async with in_front_of(script) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes())
        for _ in range(2):
            assert await wire.head() == HINTS
        asked.set()
        assert await wire.head() == HINTS
        assert (await wire.response()).body == b"fine"


async def test_a_go_on_that_nobody_asked_for_is_dropped() -> None:
    """An app that did not expect it might take it for its answer."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(CONTINUE + response())

    async with in_front_of(script) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes())
        assert Message(await wire.head()).status == 200


async def test_interim_answers_without_end_are_cut_off() -> None:
    """An upstream that sends nothing else is not HTTP."""

    async def script(wire: Wire) -> None:
        await wire.request()
        while True:
            await wire.send(HINTS)

    async with in_front_of(script) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes())
        while (head := await wire.head()) == HINTS:
            pass
        answer = Message(head)
        assert (answer.status, answer.proxy_error) == (502, b"http_protocol_error")


@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized", "413 Content Too Large", "417 Expectation Failed"])
async def test_a_final_answer_of_any_kind_comes_instead_of_a_go_on(status: str) -> None:
    """It passes at once; no "go on" follows, and the upstream's connection is not used again."""

    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(response(b"at once", status=status))
        await wire.ended()

    async with in_front_of(script, route={"credential": None}, credential=None) as (sidecar, upstream):
        for count in (1, 2):
            wire = await sidecar.connect()
            began_at = time.monotonic()
            await wire.send(sidecar.ask_bytes("POST", "/", *EXPECT))
            answer = await wire.response()
            assert time.monotonic() - began_at < EXPECT_PATIENCE_S / 2
            assert (answer.start, answer.body) == (b"HTTP/1.1 " + status.encode(), b"at once")
            assert answer.value("connection") == b"close"
            assert await wire.rest() == b""
            assert len(upstream.connections) == count


async def test_an_app_that_sends_after_a_refusal_all_the_same_is_not_misread() -> None:
    """Its body is not the next request, although it looks like one (RFC 9110 10.1.1 lets it send)."""

    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(response(b"no", status="417 Expectation Failed"))
        await wire.ended()

    async with in_front_of(script) as (sidecar, upstream):
        wire = await sidecar.connect()
        smuggled = sidecar.ask_bytes("GET", "/smuggled")
        await wire.send(sidecar.ask_bytes("POST", "/", "Expect: 100-continue", f"Content-Length: {len(smuggled)}"))
        assert (await wire.response()).status == 417
        await wire.send(smuggled)
        assert await wire.rest() == b""
        assert len(upstream.connections) == 1


async def test_a_rejection_before_the_body_is_sent_is_replayed() -> None:
    """Nothing of the body has come, so the whole request is in hand; the app hears one "go on", from the replay."""
    tokens: list[bytes | None] = []

    async def script(wire: Wire) -> None:
        head = Message(await wire.head())
        tokens.append(head.value("authorization"))
        if len(tokens) == 1:
            await wire.send(response(status="401 Unauthorized"))
            assert await wire.ended() == b""
            return
        await wire.send(CONTINUE)
        await wire.send(response(await wire.exactly(4)))

    async with with_tokens(script, Tokens()) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", "/", *EXPECT))
        assert await wire.head() == CONTINUE
        await wire.send(b"body")
        answer = await wire.response()
        assert (answer.status, answer.body) == (200, b"body")
        assert tokens == [b"Bearer token-1", b"Bearer token-2"]


async def test_hints_may_come_before_and_after_the_go_on() -> None:
    """In the upstream's order."""

    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(HINTS, CONTINUE)
        body = await wire.exactly(4)
        await wire.send(HINTS, response(body))

    async with in_front_of(script) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", "/", *EXPECT))
        assert [await wire.head() for _ in range(2)] == [HINTS, CONTINUE]
        await wire.send(b"body")
        assert await wire.head() == HINTS
        assert (await wire.response()).body == b"body"


async def test_an_expectation_without_a_body_holds_nothing_up() -> None:
    """Not even where the upstream does not say "go on"; nor do we, later."""
    async with in_front_of(always(response())) as (sidecar, upstream):
        wire = await sidecar.connect()
        for lines in (["Expect: 100-continue"], ["Expect: 100-continue", "Content-Length: 0"]):
            await wire.send(sidecar.ask_bytes("POST", "/", *lines))
            assert (await wire.response()).status == 200
        await asyncio.sleep(EXPECT_PATIENCE_S + 0.1)
        await wire.send(sidecar.ask_bytes())
        assert (await wire.response()).status == 200
        assert len(upstream.requests) == 3


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_an_expectation_over_a_connection_that_has_ended(method: str) -> None:
    """A PUT is sent again on a new one, and the app hears one "go on"; a POST gets 502, and never a late one."""
    heads: list[Message] = []

    async def script(wire: Wire) -> None:
        first = not heads
        while True:
            heads.append(head := Message(await wire.head()))
            if head.value("expect") is None:
                await wire.send(response())
            elif first:
                return  # it had just been closed
            else:
                await wire.send(CONTINUE)
                await wire.send(response(await wire.exactly(4)))

    async with in_front_of(script) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes())
        assert (await wire.response()).status == 200
        await wire.send(sidecar.ask_bytes(method, "/", *EXPECT))
        if method == "POST":
            assert (await wire.response()).status == 502
            assert await wire.rest() == b""
            assert len(heads) == 2
            return
        assert await wire.head() == CONTINUE
        await wire.send(b"body")
        assert (await wire.response()).body == b"body"
        assert len(heads) == 3
