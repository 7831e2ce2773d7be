"""Interim answers (1xx) pass in order, before the final one, to apps that can read them (RFC 9110 15.2)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from sidecar.credentials.rules import Injection
from tests.fakes import Message, Script, Tokens, Wire, response
from tests.wire.running import STATIC, in_front_of, with_tokens

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nlink: </b.css>\r\n\r\n"
UNKNOWN = b"HTTP/1.1 199 Whatever comes\r\nX-Odd:  value \r\nX-Odd:\r\n\r\n"
EXPECT = ("Expect: 100-continue", "Content-Length: 4")


def sends(*pieces: bytes) -> Script:
    """Send these to each request."""

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await wire.send(*pieces)

    return script


@pytest.mark.parametrize("in_one", [True, False])
async def test_several_pass_in_order(in_one: bool) -> None:
    """Byte for byte, also a status that nobody knows; both connections go on."""
    pieces = [PROCESSING, HINTS, HINTS, UNKNOWN, response()]
    async with in_front_of(sends(*([b"".join(pieces)] if in_one else pieces))) as (sidecar, upstream):
        wire = await sidecar.connect()
        for _ in range(3):
            await wire.send(sidecar.ask_bytes())
            assert [await wire.head() for _ in range(4)] == [PROCESSING, HINTS, HINTS, UNKNOWN]
            assert (await wire.response()).body == b"fine"
        assert len(upstream.connections) == 1


async def test_each_passes_before_the_next_is_sent() -> None:
    """None is held back for the final answer."""
    seen = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.request()
        for interim in (PROCESSING, HINTS, PROCESSING):
            await wire.send(interim)
            await seen.wait()
            seen.clear()
        await wire.send(response())

    async with in_front_of(script) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes())
        for interim in (PROCESSING, HINTS, PROCESSING):
            assert await wire.head() == interim
            seen.set()
        assert (await wire.response()).status == 200


async def test_none_goes_to_http_10() -> None:
    """It knows none (RFC 9110 15.2), and would take the first for its answer."""
    async with in_front_of(sends(PROCESSING + HINTS + UNKNOWN + response())) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(b"GET / HTTP/1.0\r\nHost: %b\r\n\r\n" % sidecar.host)
        assert (await wire.response()).status == 200
        assert await wire.rest() == b""


async def test_each_answer_of_a_pipeline_has_its_own() -> None:
    """The second request's come after the first one's final answer."""
    async with in_front_of(sends(HINTS + response())) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes() * 3)
        for _ in range(3):
            assert await wire.head() == HINTS
            assert (await wire.response()).body == b"fine"


async def test_what_does_not_pass_in_an_answer_does_not_pass_in_an_interim_one() -> None:
    """The token, where an upstream reflects it, and what belongs to the connection."""
    hints = b"HTTP/1.1 103 Early Hints\r\nX-Api-Key: the-key\r\nConnection: X-Hop\r\nX-Hop: 1\r\nLink: <a>\r\n\r\n"
    credential = replace(STATIC, inject=Injection("X-Api-Key", "{token}"))
    async with in_front_of(sends(hints + response()), credential=credential) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes())
        assert await wire.head() == b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n"
        assert (await wire.response()).status == 200


async def test_those_of_a_rejected_try_and_of_its_replay_pass() -> None:
    """In order; the rejection itself does not."""

    async def script(wire: Wire) -> None:
        while True:
            request = await wire.request()
            good = request.value("authorization") == b"Bearer token-2"
            await wire.send(HINTS + response() if good else PROCESSING + response(status="401 Unauthorized"))

    async with with_tokens(script, Tokens()) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes())
        assert [await wire.head() for _ in range(2)] == [PROCESSING, HINTS]
        assert (await wire.response()).body == b"fine"


@pytest.mark.parametrize("first_says_continue", [True, False])
async def test_an_app_that_waits_for_a_go_on_hears_it_once(first_says_continue: bool) -> None:
    """Although the replay's upstream says it too; and the body goes to the replay whole."""

    async def script(wire: Wire) -> None:
        while True:
            head = Message(await wire.head())
            assert head.value("expect") == b"100-continue"
            if head.value("authorization") == b"Bearer token-1":
                if first_says_continue:
                    await wire.send(CONTINUE)
                    assert await wire.exactly(4) == b"body"
                await wire.send(response(status="401 Unauthorized"))
                if not first_says_continue:
                    return
            else:
                await wire.send(CONTINUE)
                await wire.send(response(await wire.exactly(4)))

    async with with_tokens(script, Tokens()) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", "/", *EXPECT))
        assert await wire.head() == CONTINUE
        await wire.send(b"body")
        answer = await wire.response()
        assert (answer.status, answer.body) == (200, b"body")
