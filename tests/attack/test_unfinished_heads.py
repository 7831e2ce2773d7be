"""What can no longer become a head or a trailer section is refused at once, not waited for until its time is over."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from tests.attack.sending import WAYS, refusals, send
from tests.fakes import Wire, silent, until
from tests.wire.running import in_front_of

# None of them has the empty line that ends a head.
BEGINNINGS = {
    "RFC 9112 2.2: lines that end with LF": b"GET / HTTP/1.1\nHost: <own>\n\n",
    "RFC 9112 2.2: a request line that ends with LF": b"GET / HTTP/1.1\nHost: <own>\r\n",
    "RFC 9112 2.2: a field that ends with LF": b"GET / HTTP/1.1\r\nHost: <own>\nX: y\r\n",
    "RFC 9112 2.2: LF and CRLF for an empty line": b"GET / HTTP/1.1\r\nHost: <own>\n\r\n",
    "RFC 9112 2.2: CRLF and LF for an empty line": b"GET / HTTP/1.1\r\nHost: <own>\r\n\n",
    "RFC 9112 2.2: lines that end with CR": b"GET / HTTP/1.1\rHost: <own>\r\r",
    "RFC 9112 2.2: CR within a value": b"GET / HTTP/1.1\r\nHost: <own>\r\nX: y\rz",
    "RFC 9112 2.2: empty lines that end with LF": b"\n\nGET / HTTP/1.1\r\n",
    "RFC 9110 5.5: NUL": b"GET / HTTP/1.1\r\nHost: <own>\r\nX: \x00\r\n",
    "RFC 9110 5.5: DEL": b"GET / HTTP/1.1\r\nHost: <own>\r\nX: \x7f\r\n",
    "RFC 1945 1.1: HTTP/0.9": b"GET /\n",
    "RFC 1945 1.1: HTTP/0.9, with CRLF": b"GET /\r\n",
    "RFC 9112 3: two spaces": b"GET  / HTTP/1.1\r\nHost: <own>\r\n",
    "RFC 9112 3: no request line behind an empty line": b"\r\nHost: <own>\r\n",
    "RFC 5321 4.1.1: SMTP": b"EHLO example.com\r\n",
    "RFC 8446 4.1.2: TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "SSH's greeting": b"\x00\x00\x00\x08",
    "a binary protocol": bytes(range(32)),
}
AT_ONCE_S = 1.0


@pytest.mark.parametrize("way", WAYS)
async def test_the_beginning_of_no_head(way: str) -> None:
    """400 at once, the connection's end, and nothing of it upstream."""
    async with in_front_of(silent) as (sidecar, upstream):
        async with asyncio.timeout(AT_ONCE_S):
            cases: list[tuple[str, bytes, tuple[int, ...]]] = [(*case, (400,)) for case in BEGINNINGS.items()]
            assert await refusals(sidecar, cases, way) == []
        assert upstream.connections == []


async def test_the_beginning_of_no_head_behind_a_request() -> None:
    """The request in front of it is answered, whether it was there by then or came later."""

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await wire.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    async with in_front_of(script) as (sidecar, upstream):
        for later in (False, True):
            for about, raw in BEGINNINGS.items():
                wire = await sidecar.connect()
                behind = raw.replace(b"<own>", sidecar.host)
                await wire.send(sidecar.ask_bytes() + (b"" if later else behind))
                assert (await wire.response()).status == 204, about
                if later:
                    await wire.send(behind)
                async with asyncio.timeout(AT_ONCE_S):
                    assert (await wire.response()).status == 400, about
                    assert await wire.rest() == b"", about
        assert len(upstream.requests) == 2 * len(BEGINNINGS)


async def test_a_client_that_wants_tls_is_told_what_is_wrong(caplog: pytest.LogCaptureFixture) -> None:
    """It cannot read an answer; whoever runs the sidecar reads the log."""
    async with in_front_of(silent) as (sidecar, _):
        with pytest.raises(ssl.SSLError):
            await asyncio.open_connection("127.0.0.1", sidecar.port, ssl=ssl.create_default_context())
    assert "TLS is not spoken here: use http://" in caplog.text


ANSWERS = {
    "RFC 9112 2.2: lines that end with LF": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "RFC 9112 2.2: a status line that ends with LF": b"HTTP/1.1 200 OK\nContent-Length: 2\r\n",
    "RFC 9112 2.2: lines that end with CR": b"HTTP/1.1 200 OK\rContent-Length: 2\r\rok",
    "RFC 9112 2.2: CRLF and LF for an empty line": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok",
    "RFC 9110 5.5: NUL": b"HTTP/1.1 200 OK\r\nX: \x00\r\n",
    "behind an interim answer": b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\nContent-Length: 2\n\nok",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("about", ANSWERS)
async def test_the_beginning_of_no_answer(about: str, way: str) -> None:
    """502 at once, and the upstream's connection ends."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await send(wire, ANSWERS[about], way)
        await wire.ended()

    async with in_front_of(script) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes())
        async with asyncio.timeout(AT_ONCE_S):
            while (answer := await wire.response()).status == 103:
                pass
        assert (answer.status, answer.proxy_error) == (502, b"http_protocol_error")
        await until(lambda: not sidecar.upstream_connections())


TRAILERS = {
    "RFC 9112 2.2: LF and CRLF for an empty line": b"0\r\nX: y\n\r\n",
    "RFC 9112 2.2: lines that end with LF": b"0\r\nX: y\n\n",
    "RFC 9112 2.2: LF for an empty line": b"0\r\n\n",
    "RFC 9112 2.2: CR for an empty line": b"0\r\n\rX",
    "RFC 9110 5.5: NUL": b"0\r\nX: \x00",
}


@pytest.mark.parametrize("about", TRAILERS)
async def test_the_beginning_of_no_trailers(about: str) -> None:
    """400 to an app that sends them, and the upstream sees half a request; a cut where the upstream does."""
    begun, cut = asyncio.Event(), asyncio.Event()

    async def script(wire: Wire) -> None:
        head = await wire.head()
        if head.startswith(b"POST"):
            begun.set()
            assert not (await wire.ended()).endswith(b"0\r\n\r\n")
            cut.set()
            return
        await wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        await asyncio.sleep(0.01)
        await wire.send(TRAILERS[about])
        await wire.ended()

    async with in_front_of(script) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", "/", "Transfer-Encoding: chunked"), b"1\r\nx\r\n")
        await begun.wait()
        await wire.send(TRAILERS[about])
        async with asyncio.timeout(AT_ONCE_S):
            assert (await wire.response()).status == 400
            await cut.wait()
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes())
        async with asyncio.timeout(AT_ONCE_S):
            with pytest.raises(ConnectionError):
                await wire.rest()
