"""What of a head passes: everything as it was received, but for what belongs to the connection, Host and token."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from sidecar.credentials.rules import Injection
from tests.fakes import Wire, always, response
from tests.wire.running import STATIC, STATIC_LINE, in_front_of

# Order, case, duplicates, white space, empty values, odd but legal bytes.
LINES = [
    "User-Agent: curl/8",
    "accept:*/*",
    "X-TWICE: 1",
    "x-between:   spaces  kept ",
    "X-Twice: 2",
    "X-Empty:",
    "X-Odd: \"é\t;'<>|^`~{}",
    "Cookie: a=b; c=d",
    "Accept-Encoding: gzip, br",
    "Cookie: e=f",
]


def upstream_lines(port: int, *lines: str) -> list[bytes]:
    """The lines that an upstream should see: its own Host, these, and the token."""
    return [b"Host: 127.0.0.1:%d" % port, *(line.encode() for line in lines), STATIC_LINE]


async def test_a_request_passes_byte_for_byte() -> None:
    """Target, order, case, duplicates and values; Host is the upstream's, the token is there once, nothing is added."""
    target = "/a%2Fb//c/;x=1/%7euser?q=%zz&r=a+b&q=\"'|^`{}[]&&=?"
    async with in_front_of(always(response())) as (sidecar, upstream):
        assert (await sidecar.ask("GET", target, *LINES)).status == 200
        assert upstream.requests[0].start == b"GET %b HTTP/1.1" % target.encode()
        assert upstream.requests[0].lines == upstream_lines(upstream.port, *LINES)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "PURGE"])
async def test_methods_pass(method: str) -> None:
    """Also those that only WebDAV or a cache knows."""
    async with in_front_of(always(response(b"" if method == "HEAD" else b"fine"))) as (sidecar, upstream):
        assert (await sidecar.ask(method)).status == 200
        assert upstream.requests[0].method == method.encode()


async def test_a_response_passes_byte_for_byte() -> None:
    """Reason, order, case, duplicates and values; nothing is added."""
    lines = ["Server: x", "set-cookie: a=1; Path=/", "X-Empty:", "Set-Cookie: b=2", "x-odd:  é\t~ ", "Date: today"]
    async with in_front_of(always(response(b"fine", *lines, status="299 Rather  fine é"))) as (sidecar, _):
        answer = await sidecar.ask()
        assert answer.start == "HTTP/1.1 299 Rather  fine é".encode()
        assert answer.lines == [*(line.encode() for line in lines), b"Content-Length: 4"]
        assert answer.body == b"fine"


async def test_a_response_without_a_reason_passes() -> None:
    """With the space after the status and without it."""
    async with in_front_of(always(response(status="200 "), response(status="200"))) as (sidecar, _):
        assert (await sidecar.ask()).start == b"HTTP/1.1 200 "
        assert (await sidecar.ask()).start == b"HTTP/1.1 200"


async def test_fields_of_the_connection_end_here() -> None:
    """Those of RFC 9110 7.6.1, and whatever Connection names, in any case; not what frames the message."""
    lines = [
        "Connection: X-Named, keep-alive , content-length, HOST",
        "X-Named: 1",
        "x-NAMED: 2",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "TE: trailers",
        "Proxy-Authorization: Basic eDp5",
        "Proxy: http://evil",
        "X-Named-Not: stays",
        "connection: x_other",
        "X-Other: 3",
    ]
    async with in_front_of(always(response())) as (sidecar, upstream):
        assert (await sidecar.ask("POST", "/", *lines, body=b"sent")).status == 200
        assert upstream.requests[0].lines == upstream_lines(upstream.port, "X-Named-Not: stays", "Content-Length: 4")
        assert upstream.requests[0].body == b"sent"


async def test_fields_of_the_upstreams_connection_end_here_too() -> None:
    """And a reflected Authorization, which would hand the token to the app."""
    lines = [
        "Connection: X-Named",
        "X-Named: 1",
        "Keep-Alive: timeout=5",
        "Proxy-Authenticate: Basic",
        "Authorization: Bearer the-key",
        "authorization: Bearer the-key",
        "Upgrade: h2c",
        "X-Stays: 1",
    ]
    async with in_front_of(always(response(b"fine", *lines))) as (sidecar, _):
        assert (await sidecar.ask()).lines == [b"X-Stays: 1", b"Content-Length: 4"]


async def test_every_copy_of_authorization_is_dropped() -> None:
    """Exactly one goes upstream, and it is ours."""
    lines = ["Authorization: Bearer mine", "AUTHORIZATION:x", "authorization: Basic eDp5", "X-Authorization: stays"]
    async with in_front_of(always(response())) as (sidecar, upstream):
        assert (await sidecar.ask("GET", "/", *lines)).status == 200
        assert upstream.requests[0].lines == upstream_lines(upstream.port, "X-Authorization: stays")


async def test_every_copy_of_another_injected_field_is_dropped() -> None:
    """Its spellings with `_` and `.` included, which many servers take for the same; and the other fields to drop."""
    injection = Injection("X-Api-Key", "{token}", drop=("Api-Secret",))
    lines = [
        "X-Api-Key: mine",
        "x_api_key: mine",
        "X.API_Key: mine",
        "X-Api-Keys: stays",
        "api_secret: mine",
        "Authorization: stays",
    ]
    async with in_front_of(always(response()), credential=replace(STATIC, inject=injection)) as (sidecar, upstream):
        assert (await sidecar.ask("GET", "/", *lines)).status == 200
        assert upstream.requests[0].lines == [
            b"Host: 127.0.0.1:%d" % upstream.port,
            b"X-Api-Keys: stays",
            b"Authorization: stays",
            b"X-Api-Key: the-key",
        ]


async def test_an_injected_field_is_dropped_from_trailers_and_responses() -> None:
    """An upstream that reflects the token does not hand it to the app; a trailer does not outrank it."""
    injection = Injection("X-Api-Key", "{token}")
    echo = response(b"fine", "X-Api-Key: the-key", "x_api_key: the-key")
    async with in_front_of(always(echo), credential=replace(STATIC, inject=injection)) as (sidecar, upstream):
        wire = await sidecar.connect()
        ask = sidecar.ask_bytes("POST", "/", "Transfer-Encoding: chunked", "Trailer: X-Api-Key, X-Sum")
        await wire.send(ask + b"1\r\nx\r\n0\r\nX_Api_Key: mine\r\nX-Sum: 1\r\nX-Api-Key: mine\r\n\r\n")
        assert (await wire.response()).lines == [b"Content-Length: 4"]
        assert upstream.requests[0].trailers == (b"X-Sum: 1",)


async def test_a_route_without_a_credential_adds_nothing() -> None:
    """The app's own Authorization passes."""
    async with in_front_of(always(response()), route={"credential": None}) as (sidecar, upstream):
        assert (await sidecar.ask("GET", "/", "Authorization: Bearer mine")).status == 200
        assert upstream.requests[0].lines == [b"Host: 127.0.0.1:%d" % upstream.port, b"Authorization: Bearer mine"]


async def test_the_upstreams_host_can_be_given() -> None:
    """As it was configured, and once."""
    async with in_front_of(always(response()), route={"upstream": {"host_header": "Api.Example.com"}}) as (
        sidecar,
        upstream,
    ):
        assert (await sidecar.ask()).status == 200
        assert upstream.requests[0].values("host") == [b"Api.Example.com"]


async def test_an_offer_of_http_2_is_dropped() -> None:
    """What Java's client and `curl --http2` send: the request is served as HTTP/1.1."""
    lines = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"]
    async with in_front_of(always(response())) as (sidecar, upstream):
        wire = await sidecar.connect()
        for _ in range(2):
            await wire.send(sidecar.ask_bytes("GET", "/", *lines))
            assert (await wire.response()).status == 200
            assert upstream.requests.pop().lines == upstream_lines(upstream.port)


async def test_an_upgrade_that_connection_does_not_name_is_dropped() -> None:
    """It came from the hop before (RFC 9110 7.8)."""
    async with in_front_of(always(response())) as (sidecar, upstream):
        assert (await sidecar.ask("GET", "/", "Upgrade: websocket")).status == 200
        assert upstream.requests[0].lines == upstream_lines(upstream.port)


async def test_absolute_form_for_our_own_authority_is_served() -> None:
    """The upstream gets the path alone."""
    async with in_front_of(always(response())) as (sidecar, upstream):
        for host in (sidecar.host.decode(), f"LOCALHOST:{sidecar.port}"):
            wire = await sidecar.connect()
            await wire.send(f"GET http://{host}/a?b=http://c/ HTTP/1.1\r\nHost: {host.lower()}\r\n\r\n".encode())
            assert (await wire.response()).status == 200
        assert [request.start for request in upstream.requests] == [b"GET /a?b=http://c/ HTTP/1.1"] * 2


async def test_a_head_may_come_byte_by_byte() -> None:
    """From the app as well as from the upstream."""

    async def slowly(wire: Wire) -> None:
        await wire.request()
        await wire.send_slowly(response(b"fine", "X-Stays: 1"))

    async with in_front_of(slowly) as (sidecar, upstream):
        wire = await sidecar.connect()
        await wire.send_slowly(sidecar.ask_bytes("POST", "/x", *LINES, body=b"sent"))
        assert (await wire.response()).lines == [b"X-Stays: 1", b"Content-Length: 4"]
        assert upstream.requests[0].lines == upstream_lines(upstream.port, *LINES, "Content-Length: 4")


@pytest.mark.parametrize("size", range(1, 9))
async def test_a_head_may_begin_with_a_segment_of_any_size(size: int) -> None:
    """Three bytes are not the end of a head, whatever is reckoned from their end."""
    async with in_front_of(always(response())) as (sidecar, upstream):
        wire = await sidecar.connect()
        for _ in range(2):
            ask = sidecar.ask_bytes()
            await wire.send(ask[:size])
            await asyncio.sleep(0.01)
            await wire.send(ask[size:])
            assert (await wire.response()).status == 200
        assert [request.start for request in upstream.requests] == [b"GET / HTTP/1.1"] * 2


@pytest.mark.parametrize(
    ("lines", "passes"),
    [
        (["Connection: TE", "TE: trailers"], True),
        (["Connection: close, te", "te: gzip;q=0.5, Trailers"], True),
        (["Connection: TE", "TE: gzip"], False),
        (["Connection: TE"], False),
        (["TE: trailers"], False),
    ],
)
async def test_that_trailers_are_taken_is_said_for_this_hop_too(lines: list[str], passes: bool) -> None:
    """RFC 9110 10.1.4: they pass both ways, so where the app takes them we do; no other coding."""
    async with in_front_of(always(response())) as (sidecar, upstream):
        assert (await sidecar.ask("GET", "/", *lines, "X-Stays: 1")).status == 200
        hop = [b"Connection: TE", b"TE: trailers"] if passes else []
        port = b"%d" % upstream.port
        assert upstream.requests[0].lines == [b"Host: 127.0.0.1:" + port, b"X-Stays: 1", *hop, STATIC_LINE]


async def test_an_upgrade_and_trailers_go_together() -> None:
    """One Connection field that names both."""
    lines = ["Connection: TE, Upgrade", "Upgrade: x/1", "TE: trailers"]
    async with in_front_of(always(response())) as (sidecar, upstream):
        assert (await sidecar.ask("GET", "/", *lines)).status == 200
        assert upstream.requests[0].lines == upstream_lines(
            upstream.port, "Connection: Upgrade, TE", "Upgrade: x/1", "TE: trailers"
        )


async def test_a_framing_that_http_10_does_not_know_is_not_named_to_it() -> None:
    """Neither where the answer has a body nor to HEAD (RFC 9112 6.1)."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Stays: 1\r\n\r\n"
    async with in_front_of(always(head)) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(b"HEAD / HTTP/1.0\r\nHost: %b\r\n\r\n" % sidecar.host)
        assert (await wire.response(to="HEAD")).lines == [b"X-Stays: 1", b"Connection: close"]
