"""DNS rebinding: a name that a stranger has pointed at this machine reaches a listener, and is not one of its own.

Source: RFC 9110 7.2, RFC 9112 3.2; Ollama's CVE-2024-28224 and the MCP SDKs' CVE-2025-66414 had no such check.
"""

from __future__ import annotations

import pytest

from sidecar.config.values import Address, GateConfig
from sidecar.gate import authorities
from tests.attack.asking import answer, at, head
from tests.fakes import Tokens, always, response
from tests.wire.running import LOCAL, in_front_of, with_tokens

GATE = GateConfig(hosts=("crm.local", "api.example.com:8443"))

ADMITTED = [
    b"127.0.0.1:<port>",
    b"localhost:<port>",
    b"LOCALHOST:<port>",
    b"[::1]:<port>",
    b"crm.local",
    b"crm.local:<port>",
    b"CRM.Local",
    b"api.example.com:8443",
    b" \tlocalhost:<port> \t",  # optional white space is no part of a value, RFC 9110 5.5
]
STRANGERS = [
    b"",
    b"evil.example",
    b"evil.example:<port>",
    # Without the port or with another one: a page of what listens there.
    b"localhost",
    b"127.0.0.1",
    b"[::1]",
    b"localhost:",
    b"localhost:80",
    b"localhost:0<port>",
    b"localhost:<port>0",
    b"localhost:+<port>",
    b"localhost:<port>:<port>",
    b"api.example.com",
    b"api.example.com:<port>x",
    b"crm.local:81",
    # Names that lead here too.
    b"localhost.:<port>",
    b"crm.local.",
    b"127.0.0.1.:<port>",
    b"127.0.0.2:<port>",
    b"0.0.0.0:<port>",
    b"0:<port>",
    b"127.1:<port>",
    b"127.000.000.001:<port>",
    b"2130706433:<port>",
    b"0x7f000001:<port>",
    b"0x7f.1:<port>",
    b"0177.0.0.1:<port>",
    b"[::ffff:127.0.0.1]:<port>",
    b"[::ffff:7f00:1]:<port>",
    b"[0:0:0:0:0:0:0:1]:<port>",
    b"[::]:<port>",
    b"[::1%25lo]:<port>",
    b"::1:<port>",
    b"localhost.localdomain:<port>",
    b"127.0.0.1.nip.io:<port>",
    # Names that begin, end or go on like ours.
    b"localhost.evil.example:<port>",
    b"evil.localhost:<port>",
    b"evillocalhost:<port>",
    b"crm.local.evil.example",
    b"evil.crm.local",
    b"evilcrm.local",
    b"crm-local",
    b"crm_local",
    b"xn--localhost-:<port>",
]
# Not a host and a port; some parsers make one of ours of them.
NO_HOSTS = [
    b"user@localhost:<port>",
    b"evil.example@localhost:<port>",
    b"localhost:<port>@evil.example",
    b"localhost:<port>/",
    b"localhost:<port>#evil",
    b"localhost:<port>?evil",
    b"localhost:<port>\\evil",
    b"localhost:<port>,evil.example",
    b"localhost:<port>, evil.example",
    b"evil.example, localhost:<port>",
    b"localhost:<port> evil.example",
    b"localhost :<port>",
    b"local%68ost:<port>",
    b"http://localhost:<port>",
    b"*",
    b"*:<port>",
    b"\xe2\x93\x9bocalhost:<port>",  # a circled l: IDNA maps it to one
    b"\xef\xbd\x8cocalhost:<port>",  # full-width
    b"loc\xe4lhost:<port>",
]


async def test_a_stranger_s_host_reaches_nothing() -> None:
    """4xx, not a byte to the upstream, no exchange; our own names, however they are spelt, get through."""
    async with with_tokens(always(response()), tokens := Tokens(), gate=GATE) as (sidecar, upstream):
        exchanges = tokens.count
        for host in STRANGERS:
            for method in ("GET", "POST", "OPTIONS", "HEAD"):
                raw = at(sidecar, head("/x", method=method, host=host))
                got = await answer(sidecar, raw)
                assert got.status in (400, 403), (host, method, got.start)
        for host in NO_HOSTS:
            got = await answer(sidecar, at(sidecar, head("/x", host=host)))
            assert (got.status, got.value("connection")) == (400, b"close"), host  # RFC 9112 3.2
        assert upstream.connections == [] and tokens.count == exchanges
        for host in ADMITTED:
            assert (await answer(sidecar, at(sidecar, head(host=host)))).status == 200, host
        assert len(upstream.requests) == len(ADMITTED)


@pytest.mark.parametrize(
    "lines",
    [
        [b"Forwarded: host=localhost:<port>;for=127.0.0.1"],
        [b"X-Forwarded-Host: localhost:<port>"],
        [b"X-Host: localhost:<port>", b"X-Original-Host: localhost:<port>", b"X-Forwarded-Server: localhost"],
    ],
)
async def test_no_other_field_speaks_for_host(lines: list[bytes]) -> None:
    """Neither lets a stranger in nor keeps one of ours out; they go on as they came."""
    async with in_front_of(always(response())) as (sidecar, upstream):
        assert (await answer(sidecar, at(sidecar, head("/", *lines, host=b"evil.example")))).status == 403
        assert upstream.connections == []
        evil = [line.replace(b"localhost:<port>", b"evil.example") for line in lines]
        assert (await answer(sidecar, at(sidecar, head("/", *evil)))).status == 200
        assert all(line in upstream.requests[0].lines for line in evil)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # RFC 9112 3.2: 400 without one, or with two
        (b"GET / HTTP/1.1\r\nHost: @\r\nHost: @\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: @\r\nhost: evil.example\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : @\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: @\r\n evil.example\r\n\r\n", 400),
        (b"GET / HTTP/1.0\r\n\r\n", 400),  # allowed there, and no way to tell a rebound name
        # RFC 9112 3.2.2: of an absolute target the authority counts; whoever comes after may take the Host.
        (b"GET http://localhost:<port>/ HTTP/1.1\r\nHost: @\r\n\r\n", 403),
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: @\r\n\r\n", 403),
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
        (b"GET http://127.0.0.1:<port>/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
        (b"GET http://127.0.0.1/ HTTP/1.1\r\nHost: @\r\n\r\n", 403),
        (b"GET http://127.0.0.1:<port>/ HTTP/1.1\r\n\r\n", 400),
        (b"GET https://127.0.0.1:<port>/ HTTP/1.1\r\nHost: @\r\n\r\n", 400),
        (b"GET ftp://127.0.0.1:<port>/ HTTP/1.1\r\nHost: @\r\n\r\n", 400),
        (b"GET http://127.0.0.1:<port>@evil.example/ HTTP/1.1\r\nHost: @\r\n\r\n", 400),
        (b"GET http://evil.example\\@127.0.0.1:<port>/ HTTP/1.1\r\nHost: @\r\n\r\n", 400),
        (b"GET http:///127.0.0.1:<port>/ HTTP/1.1\r\nHost: @\r\n\r\n", 400),
        (b"GET http://127.0.0.1:<port>/ HTTP/1.1\r\nHost: @\r\n\r\n", 200),
        (b"GET HTTP://127.0.0.1:<port>/ HTTP/1.1\r\nHost: @\r\n\r\n", 200),
        (b"GET http://LocalHost:<port>/ HTTP/1.1\r\nHost: localhost:<port>\r\n\r\n", 200),
    ],
)
async def test_one_host_and_the_target_s_authority_is_the_same(raw: bytes, status: int) -> None:
    """What could be read as two hosts is not forwarded to one."""
    async with in_front_of(always(response())) as (sidecar, upstream):
        assert (await answer(sidecar, at(sidecar, raw))).status == status
        assert len(upstream.requests) == (status == 200)


async def test_a_listener_answers_to_the_address_it_is_bound_to() -> None:
    """An app dials it; a name cannot be rebound to a Host that is a number. Not to the addresses of others."""
    async with in_front_of(always(response()), listen=(LOCAL, Address("127.0.0.2", 0))) as (sidecar, _):
        second = sidecar.app.addresses[1][1]
        door = sidecar.app._doors._doors[Address("127.0.0.2", 0)].authorities
        assert b"127.0.0.2:%d" % second in door and b"127.0.0.1:%d" % second in door
        assert b"127.0.0.2" not in door
        assert b"127.0.0.2:%d" % sidecar.port not in sidecar.app._doors._doors[LOCAL].authorities


def test_what_stands_for_every_address_is_no_name() -> None:
    """Browsers send pages of any origin to 0.0.0.0, and say nothing of it in Sec-Fetch-Site; IPv6 has its brackets."""
    assert Address("0.0.0.0", 80).name is None and Address("::", 80).name is None
    assert Address(path="/run/x").name is None
    assert b"[2001:db8::1]:8080" in authorities(8080, (), Address("2001:db8::1", 8080).name)


async def test_without_a_port_only_where_that_is_the_default() -> None:
    """On port 80 a client leaves it out (RFC 9110 4.2.3); a unix socket has none."""
    assert {b"localhost", b"localhost:80"} <= authorities(80, ())
    assert b"localhost" not in authorities(8080, ())
    assert authorities(None, ()) == {b"localhost", b"127.0.0.1", b"[::1]"}
