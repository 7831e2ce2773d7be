"""What is odd but clear passes, and goes upstream as one message with one framing, in however many pieces it came."""

from __future__ import annotations

import asyncio

import pytest

from tests.attack.requests_to_pass import CLEAR, Passed
from tests.attack.sending import WAYS, send, send_in_two
from tests.fakes import Message, ScriptedUpstream, always, response
from tests.wire.running import STATIC_LINE, Running, in_front_of


def expected(case: Passed, upstream: ScriptedUpstream) -> list[Message]:
    """Return what an upstream should see of a case."""
    own = [b"Host: 127.0.0.1:%d" % upstream.port]
    return [
        Message(
            b"\r\n".join([sent.start, *own, *sent.lines, STATIC_LINE, b"", b""]),
            sent.body,
            sent.trailers,
        )
        for sent in case.sent
    ]


async def check(sidecar: Running, upstream: ScriptedUpstream, case: Passed, way: str) -> str:
    """Send a case; return what is wrong with what goes upstream or comes back, or ""."""
    wire = await sidecar.connect()
    upstream.requests.clear()
    raw = case.raw.replace(b"<own>", sidecar.host)
    sending = asyncio.create_task(send(wire, raw, way))
    try:
        answers = [(await wire.response()).status for _ in case.sent]
        if case.refused:
            answers.append((await wire.response()).status)
        elif case.stays:
            await sending
            await wire.send(sidecar.ask_bytes("GET", "/last"))
            answers.append((await wire.response()).status)
            upstream.requests.pop()
        if case.refused or not case.stays:
            assert await wire.ended() == b""
    except (TimeoutError, asyncio.IncompleteReadError, ConnectionError) as error:
        return f"{error!r}"
    finally:
        await sending
        wire.close()
    if answers[: len(case.sent)] != [200] * len(case.sent) or (case.refused and answers[-1] != 400):
        return f"{answers}"
    if upstream.requests != expected(case, upstream):
        return f"{upstream.requests}"
    return ""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("about", CLEAR)
async def test_a_clear_request(about: str, way: str) -> None:
    """Exactly these bytes go upstream, and the connection goes on where it may."""
    async with in_front_of(always(response())) as (sidecar, upstream):
        # A head of thousands of bytes says no more when each of them comes alone.
        cases = [case for case in CLEAR[about] if way == "whole" or len(case.raw) < 2000]
        wrong = [(case.source, await check(sidecar, upstream, case, way)) for case in cases]
        assert [case for case in wrong if case[1]] == []
        # A connection that has carried trailers carries nothing else; no other one is ended.
        spent = sum(bool(sent.trailers) for case in cases for sent in case.sent)
        assert len(upstream.connections) == 1 + spent


WHOLE = [
    b"GET /a HTTP/1.1\r\nHost: <own>\r\n\r\n",
    b"\r\nPOST / HTTP/1.1\r\nHost: <own>\r\nContent-Length: 5\r\n\r\nhello",
    b"POST / HTTP/1.1\r\nHost: <own>\r\nTransfer-Encoding: chunked\r\n\r\n05;x=y\r\nhello\r\n1\r\n!\r\n"
    b"0\r\nX: y\r\n\r\n",
]


@pytest.mark.parametrize("raw", WHOLE, ids=("no body", "sized", "chunked"))
async def test_a_request_in_two_pieces(raw: bytes) -> None:
    """Wherever it is cut, and whatever follows it in the second piece: the same goes upstream."""
    async with in_front_of(always(response())) as (sidecar, upstream):
        wire = await sidecar.connect()
        raw = raw.replace(b"<own>", sidecar.host)
        follows = sidecar.ask_bytes("GET", "/next")
        await wire.send(raw)
        assert (await wire.response()).status == 200
        whole = upstream.requests.pop()
        for cut in range(1, len(raw)):
            await send_in_two(wire, raw + follows, cut)
            assert [(await wire.response()).status for _ in range(2)] == [200, 200], f"cut at {cut}: {raw[:cut]!r}"
            first, second = upstream.requests[-2:]
            assert first == whole, f"cut at {cut}: {raw[:cut]!r}"
            assert second.target == b"/next"
        assert len(upstream.requests) == 2 * (len(raw) - 1)


async def test_a_first_piece_of_any_size() -> None:
    """On a new connection; also three bytes, to which "not found" (-1) is where an empty line would be."""
    async with in_front_of(always(response())) as (sidecar, _):
        ask = sidecar.ask_bytes()
        for size in range(1, len(ask)):
            wire = await sidecar.connect()
            await send_in_two(wire, ask, size)
            assert (await wire.response()).status == 200, f"{size} bytes first"
            wire.close()
