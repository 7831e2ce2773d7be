"""What is not one clear request is refused, the connection ends, and not one byte of it goes upstream."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.fakes import Wire, always, response, until
from tests.wire.running import Running, in_front_of

HOST = b"Host: <own>\r\n"


async def answer_to(sidecar: Running, raw: bytes) -> tuple[int, str]:
    """Send bytes; return the status and reason of an answer that ends the connection."""
    wire = await sidecar.connect()
    await wire.send(raw.replace(b"<own>", sidecar.host))
    answer = await wire.response()
    assert answer.value("connection") == b"close"
    assert answer.proxy_error
    assert await wire.rest() == b""
    return answer.status, answer.reason


@pytest.mark.parametrize(
    ("raw", "status", "reason"),
    [
        (b"hello\r\n\r\n", 400, "malformed"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "malformed"),
        (b"GET /\r\n\r\n", 400, "malformed"),
        (b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n", 400, "malformed"),
        (b"GET / x HTTP/1.1\r\n" + HOST + b"\r\n", 400, "malformed"),
        (b"GET / HTTP/1.2\r\n" + HOST + b"\r\n", 400, "malformed"),
        (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 400, "malformed"),
        (b"GET / http/1.1\r\n" + HOST + b"\r\n", 400, "malformed"),
        (b"GET /\x01 HTTP/1.1\r\n" + HOST + b"\r\n", 400, "malformed"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"no colon\r\n\r\n", 400, "malformed"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A : b\r\n\r\n", 400, "malformed"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n folded\r\n\r\n", 400, "malformed"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\x00c\r\n\r\n", 400, "malformed"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\nB: c\r\n\r\n", 400, "malformed"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "host"),
        (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400, "host"),
        (b"GET example HTTP/1.1\r\n" + HOST + b"\r\n", 400, "malformed"),
        (b"GET https://<own>/ HTTP/1.1\r\n" + HOST + b"\r\n", 400, "target"),
        (b"OPTIONS http://<own> HTTP/1.1\r\n" + HOST + b"\r\n", 400, "target"),
        (b"GET http://user@<own>/ HTTP/1.1\r\n" + HOST + b"\r\n", 400, "target"),
        (b"GET /#fragment HTTP/1.1\r\n" + HOST + b"\r\n", 400, "target"),
        (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 400, "target"),
        (b"CONNECT example.com:443 HTTP/1.1\r\n" + HOST + b"\r\n", 405, "method"),
        (b"TRACE / HTTP/1.1\r\n" + HOST + b"\r\n", 405, "method"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "http2_preface"),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400, "malformed"),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400, "malformed"),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400, "malformed"),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1, 1\r\n\r\nx", 400, "malformed"),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Content_Length: 1\r\n\r\nx", 400, "framing"),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer_Encoding: chunked\r\n\r\n", 400, "framing"),
        (
            b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "malformed",
        ),
        (b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "framing"),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, "framing"),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "framing"),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n", 400, "framing"),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n1\nx\n0\n\n", 400, "framing"),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Expect: the-unexpected\r\nContent-Length: 1\r\n\r\nx", 417, "expect"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 100 + b"\r\n", 431, "head_too_large"),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 70_000 + b"\r\n\r\n", 431, "head_too_large"),
        (b"GET /" + b"x" * 70_000, 414, "head_too_large"),  # RFC 9112 3
    ],
)
async def test_a_bad_request(raw: bytes, status: int, reason: str) -> None:
    """Its own status and reason; whoever comes next, on another connection, is served."""
    async with in_front_of(always(response())) as (sidecar, upstream):
        assert await answer_to(sidecar, raw) == (status, reason)
        assert upstream.connections == []
        assert (await sidecar.ask()).status == 200
        assert len(upstream.requests) == 1
        # The answer names its reason: what was refused, and how often, can be seen.
        assert sum(count for (word, _), count in sidecar.app.stats.refusals.by_reason.items() if word == reason) == 1


async def test_what_comes_before_a_bad_request_is_answered() -> None:
    """Pipelined in one segment: the good one passes, the bad one ends the connection."""
    async with in_front_of(always(response())) as (sidecar, upstream):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes() + b"nonsense\r\n\r\n" + sidecar.ask_bytes())
        assert (await wire.response()).status == 200
        assert (await wire.response()).status == 400
        assert await wire.rest() == b""
        assert len(upstream.requests) == 1


async def test_a_body_whose_framing_breaks_later() -> None:
    """400, and the upstream sees that the request is not whole."""
    asked = asyncio.Event()
    left: list[bytes] = []

    async def script(wire: Wire) -> None:
        await wire.head()
        asked.set()
        left.append(await wire.ended())

    async with in_front_of(script) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", "/", "Transfer-Encoding: chunked"), b"4\r\ngood\r\n")
        await asked.wait()
        await wire.send_slowly(b"4\r\ntoo long\r\n0\r\n\r\n")
        answer = await wire.response()
        assert (answer.status, answer.reason, answer.value("connection")) == (400, "framing", b"close")
        assert await wire.rest() == b""
        wire.close()
        await until(lambda: left)
        assert not left[0].endswith(b"0\r\n\r\n")


async def test_a_405_says_what_is_allowed() -> None:
    """RFC 9110 15.5.6."""
    async with in_front_of(always(response())) as (sidecar, _):
        assert b"GET" in ((await sidecar.ask("TRACE")).value("allow") or b"")


async def test_a_head_that_comes_too_slowly() -> None:
    """408 once its time is over, however busily its bytes trickle in; an app that sent nothing gets nothing."""
    async with in_front_of(always(response()), limits={"head_timeout_s": 0.2}) as (sidecar, upstream):
        wire = await sidecar.connect()
        began_at = time.monotonic()
        await wire.send(b"GET / HTTP/1.1\r\n")
        answer = await wire.response()
        assert (answer.status, answer.reason) == (408, "too_slow")
        assert 0.1 < time.monotonic() - began_at < 1.5
        assert await wire.rest() == b""
        assert upstream.connections == []


async def test_a_body_that_stops_coming() -> None:
    """408, and the upstream's connection ends."""
    ended: list[bool] = []

    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.ended()
        ended.append(True)

    async with in_front_of(script, limits={"body_idle_timeout_s": 0.2}) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", "/", "Content-Length: 10"), b"some")
        answer = await wire.response()
        assert (answer.status, answer.reason) == (408, "too_slow")
        await until(lambda: ended)


async def test_a_flood_of_empty_lines_is_cheap() -> None:
    """A megabyte of them before a request keeps nobody else waiting."""
    async with in_front_of(always(response())) as (sidecar, _):
        wire = await sidecar.connect()
        began_at = time.monotonic()
        await wire.send(b"\r\n" * 500_000 + sidecar.ask_bytes())
        assert (await wire.response()).status == 200
        assert time.monotonic() - began_at < 2


async def test_a_head_as_large_as_is_allowed() -> None:
    """100 fields and nearly 64 KiB pass."""
    async with in_front_of(always(response())) as (sidecar, upstream):
        lines = [f"X-{number}: {'x' * 640}" for number in range(98)]
        assert (await sidecar.ask("GET", "/", *lines)).status == 200
        assert upstream.requests[0].lines[1:-1] == [line.encode() for line in lines]
