"""What an app gets where the upstream fails: an answer of ours that says so, or, once an answer has begun, a cut."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl

import pytest

from sidecar.dataplane.limits import Timeouts
from sidecar.tls import TLSRules
from tests.fakes import Message, Script, Wire, always, response, upstream
from tests.ports import free_port
from tests.servers.certificates import Certificates
from tests.wire.blackhole import blackhole
from tests.wire.running import Running, in_front_of, route_to, sidecar

SHORT = Timeouts(connect_s=0.3, head_s=0.3, idle_s=0.3)


def assert_ours(answer: Message, status: int, error: bytes) -> None:
    """Check that this is the sidecar's own answer, complete and well formed."""
    assert (answer.status, answer.proxy_error) == (status, error)
    assert answer.value("content-type") == b"application/problem+json"
    assert answer.value("proxy-status") == b"sidecar; error=" + error
    assert answer.value("cache-control") == b"no-store"
    problem = json.loads(answer.body)
    assert problem["status"] == status
    assert problem["title"] and problem["detail"]
    assert b"the-key" not in answer.head + answer.body


async def test_an_upstream_that_refuses_connections() -> None:
    """502, and the app's connection goes on."""
    async with sidecar(route_to(free_port())) as running:
        wire = await running.connect()
        for method in ("GET", "POST"):
            await wire.send(running.ask_bytes(method))
            assert_ours(await wire.response(), 502, b"connection_refused")


async def test_an_upstream_whose_name_does_not_resolve() -> None:
    """502 that says so."""
    async with sidecar(route_to(0, upstream={"url": "http://no-such-host.invalid"})) as running:
        assert_ours(await running.ask(), 502, b"dns_error")


async def test_an_upstream_that_cannot_be_reached_in_time() -> None:
    """504: its queue of connections is full, and nobody takes one."""
    with blackhole() as hole:
        async with sidecar(route_to(hole.address[1], upstream={"timeouts": SHORT})) as running:
            assert_ours(await running.ask(), 504, b"connection_timeout")


def server_context(certificates: Certificates) -> ssl.SSLContext:
    """The test certificates as a server shows them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server_cert_file, certificates.server_key_file)
    return context


@pytest.mark.parametrize(
    ("ca", "server_name", "error"),
    [
        ("ca_file", None, b""),
        ("ca_file", "api.test", b""),
        ("ca_file", "other.test", b"tls_certificate_error"),
        ("other_ca_file", None, b"tls_certificate_error"),
        (None, None, b"tls_certificate_error"),
    ],
)
async def test_a_tls_upstream_is_verified(
    certificates: Certificates, ca: str | None, server_name: str | None, error: bytes
) -> None:
    """By its authority and its name; one that does not hold gets not one byte of a request."""
    rules = TLSRules(ca_file=str(getattr(certificates, ca)) if ca else None, server_name=server_name)
    async with upstream(always(response()), tls=server_context(certificates)) as server:
        to = {"url": f"https://127.0.0.1:{server.port}", "tls": rules}
        async with sidecar(route_to(0, upstream=to)) as running:
            for _ in range(2):
                answer = await running.ask("POST", "/", body=b"sent")
                if error:
                    assert_ours(answer, 502, error)
                else:
                    assert (answer.status, answer.body) == (200, b"fine")
        assert len(server.requests) == (0 if error else 2)
        assert len(server.connections) <= 1


async def test_an_upstream_that_does_not_speak_tls(certificates: Certificates) -> None:
    """502 at once."""

    async def script(wire: Wire) -> None:
        await wire.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with upstream(script) as server:
        to = {"url": f"https://127.0.0.1:{server.port}", "tls": TLSRules(ca_file=str(certificates.ca_file))}
        async with sidecar(route_to(0, upstream=to)) as running:
            assert_ours(await running.ask(), 502, b"tls_protocol_error")


async def test_a_tls_handshake_that_never_ends(certificates: Certificates) -> None:
    """504 after the time for connecting."""

    async def script(wire: Wire) -> None:
        await wire.ended()

    async with upstream(script) as server:
        tls = TLSRules(ca_file=str(certificates.ca_file))
        to = {"url": f"https://127.0.0.1:{server.port}", "tls": tls, "timeouts": SHORT}
        async with sidecar(route_to(0, upstream=to)) as running:
            assert_ours(await running.ask(), 504, b"connection_timeout")


async def test_an_upstream_that_does_not_answer_in_time() -> None:
    """504, and its connection is ended."""
    ended = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.ended()
        ended.set()

    async with in_front_of(script, route={"upstream": {"timeouts": SHORT}}) as (running, _):
        assert_ours(await running.ask(), 504, b"http_response_timeout")
        async with asyncio.timeout(1):
            await ended.wait()


async def test_a_slow_app_is_not_the_upstreams_fault() -> None:
    """While the app has not sent its body, no time-out of the upstream runs."""
    async with in_front_of(always(response()), route={"upstream": {"timeouts": SHORT}}) as (running, upstream_):
        wire = await running.connect()
        await wire.send(running.ask_bytes("POST", "/", "Content-Length: 4"), b"bo")
        await asyncio.sleep(1.2)
        await wire.send(b"dy")
        assert (await wire.response()).status == 200
        assert upstream_.requests[0].body == b"body"


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"hello\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\x00c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000,
    ],
)
async def test_an_answer_that_is_not_http(garbage: bytes) -> None:
    """502 at once, even where the upstream then just waits; nothing of it reaches the app."""

    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(garbage)
        await wire.ended()

    async with in_front_of(script) as (running, _):
        assert_ours(await running.ask(), 502, b"http_protocol_error")


@pytest.mark.parametrize("beginning", [b"", b"HTT", b"HTTP/1.1 200 OK\r\nContent-Le"])
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_an_upstream_that_ends_before_its_head(beginning: bytes, how: str) -> None:
    """502, on a connection that was made for this request."""

    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(beginning)
        getattr(wire, how)()

    async with in_front_of(script) as (running, upstream_):
        assert_ours(await running.ask(), 502, b"connection_terminated")
        assert len(upstream_.connections) == 1


async def test_an_upstream_that_ends_as_soon_as_it_is_connected_to() -> None:
    """502, whichever of the two is noticed first, many times over."""

    async def script(wire: Wire) -> None:
        wire.reset()

    async with in_front_of(script) as (running, _):
        for _ in range(50):
            answer = await running.ask()
            assert_ours(answer, 502, answer.proxy_error)
        assert not running.upstream_connections()


BROKEN = {
    "sized": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n",
    "within a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nbegun",
    "within the last chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n0\r\n",
}


def breaks(data: bytes, how: str) -> Script:
    """Begin an answer, wait until it has arrived, and break it off."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(data)
        await asyncio.sleep(0.02)
        getattr(wire, how)()

    return script


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("framing", BROKEN)
async def test_an_answer_that_breaks_off_is_a_cut(framing: str, version: str) -> None:
    """Never a clean end, not even to an HTTP/1.0 app, for which the end of the connection ends a body."""
    async with in_front_of(breaks(BROKEN[framing], "close")) as (running, _):
        await assert_cut(await asked(running, version))


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_an_unframed_answer_that_is_reset_is_a_cut(version: str) -> None:
    """Its end by a reset is not the end of its body."""
    async with in_front_of(breaks(b"HTTP/1.1 200 OK\r\n\r\nbegun", "reset")) as (running, _):
        await assert_cut(await asked(running, version))


async def test_an_answer_that_stops_coming_is_a_cut() -> None:
    """After the time for silence."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(BROKEN["chunked"])
        await wire.ended()

    async with in_front_of(script, route={"upstream": {"timeouts": SHORT}}) as (running, _):
        await assert_cut(await asked(running, "1.1"))


async def asked(running: Running, version: str) -> Wire:
    """Send a request and read the head of its answer."""
    wire = await running.connect()
    await wire.send(b"GET / HTTP/%b\r\nHost: %b\r\n\r\n" % (version.encode(), running.host))
    assert Message(await wire.head()).status == 200
    return wire


async def assert_cut(wire: Wire) -> None:
    """Check that what follows is at most the beginning of a body, and then a reset."""
    got = b""
    with pytest.raises(ConnectionResetError):
        while data := await wire.reader.read(100):
            got += data
    assert got in (b"", b"begun", b"5\r\nbegun\r\n")


async def test_failures_are_counted_and_logged_without_the_request(caplog: pytest.LogCaptureFixture) -> None:
    """By phase; the log names the route and nothing that the app sent."""
    async with sidecar(route_to(free_port())) as running:
        with caplog.at_level(logging.WARNING):
            await running.ask("GET", "/secret-path", "X-Secret: s3cret")
        assert running.app.stats.route("crm").failures["connect"] == 1
    assert "crm" in caplog.text
    assert "s3cret" not in caplog.text and "secret-path" not in caplog.text
