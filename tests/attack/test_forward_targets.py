"""Requests to a forward proxy: it is never an open one, by whatever trick another host is named.

Source: RFC 9112 3.2.2, RFC 9110 4.2.4 (userinfo) and 9.3.6 (CONNECT), RFC 3986 3.2.
"""

from __future__ import annotations

import json
import logging
from itertools import product

import pytest

from sidecar.config.values import GateConfig
from sidecar.dataplane.http1 import RequestReader
from sidecar.errors import Answerable
from sidecar.forward import ForwardRoutes, reaches
from sidecar.routes import Allow, Match, Routes
from tests.attack.asking import CHROMIUM, Pipelined, as_bytes, watched_network
from tests.attack.test_targets import METHODS, targets
from tests.fakes import Message, Tokens, Wire, always, response, upstream
from tests.wire.running import LOCAL, Running, exchanging, route_to, sidecar
from tests.wire.test_forward import PROXY, enter, proxy

# @ stands for the authority of the route's upstream.
STRANGERS = [
    "http://evil.example/", "http://evil.example:80/", "http://169.254.169.254/latest/meta-data/",
    "http://[::ffff:169.254.169.254]/", "http://127.0.0.1/", "http://127.0.0.1:22/", "http://localhost:<port>/",
    "http://[::1]:<port>/", "http://127.1:<port>/", "http://2130706433:<port>/", "http://0x7f.1:<port>/",
    "http://127.0.0.1.:<port>/", "http://127.0.0.1.nip.io:<port>/", "http://@.evil.example/", "http://evil.@/",
    "http://127.0.0.1:0<port>/", "http://127.0.0.1:<port>0/", "http://127.0.0.1:+<port>/", "http://127.0.0.1:/",
    "http://@:80/", "http://127.0.0.1:<proxy>/", "http://127.0.0.2:<proxy>/", "http://@;evil.example/",
    "http://@\\evil.example/", "http://@,evil.example/", "http://%31%32%37.0.0.1:<port>/", "http://@%00.evil.example/",
    "http://@%2f.evil.example/", "http://crm.local.evil.example/", "http://evilcrm.local/", "http://crm.local./",
    "http://crm.local:443/", "http://crm.local:8080/", "http://crm_local/", "http://xn--crm.local/", "http://:80/",
    "http://:<port>/",
]  # fmt: skip
NO_URLS = [
    "http://user@@/", "http://user:password@@/", "http://@@evil.example/", "http://evil.example@@/",
    "http://@:x@evil.example/", "http:///@/", "http:@/", "http:/@/", "https://@/", "ws://@/", "ftp://@/", "HTTPS://@/",
    "@", "//@/", "/", "*", "http://", "http://?@/", "http://#@/", "http://@#x", "http://@/#x",
]  # fmt: skip


def fill(running: Running, text: str, origin: str) -> bytes:
    """Put in the upstream's authority and the ports."""
    text = text.replace("@/", f"{origin}/", 1) if text.startswith("http://@") and "@@" not in text else text
    port, mine = origin.rpartition(":")[2], str(running.app.forward_addresses[0][1])
    text = text.replace("@@", f"@{origin}").replace("http://@", f"http://{origin}")
    return as_bytes(text.replace("<port>", port).replace("<proxy>", mine))


async def answer(running: Running, raw: bytes) -> Message:
    """Send these bytes to the proxy."""
    wire = await enter(running)
    await wire.send(raw)
    got = await wire.response(to=raw.partition(b" ")[0].decode("latin-1"))
    wire.close()
    return got


async def test_nothing_is_served_but_the_hosts_of_routes() -> None:
    """Each with the Host that belongs to it and with one that is served: nothing is connected to, nothing resolved."""
    async with proxy({}, {"name": "bound", "path": "/b/", "host": "crm.local"}) as (running, server, origin):
        with watched_network() as seen:
            for target, expected in [*((one, (403,)) for one in STRANGERS), *((one, (400, 403)) for one in NO_URLS)]:
                filled = fill(running, target, origin)
                authority = filled.partition(b"://")[2].partition(b"/")[0] or b"x"
                for host in (authority, origin.encode()):
                    got = await answer(running, b"GET %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (filled, host))
                    assert got.status in (*expected, 400), (filled, host, got.start)
                    assert b"evil" not in got.body
        entered = ("connect", running.app.forward_addresses[0])
        assert set(seen) <= {entered, ("resolve", "127.0.0.2"), ("connect", ("127.0.0.2", entered[1][1]))}
        assert server.connections == []


async def test_no_target_leads_elsewhere(caplog: pytest.LogCaptureFixture) -> None:
    """A thousand, most of them of a served host: whatever goes anywhere goes to that route's upstream."""
    caplog.set_level(logging.CRITICAL, "sidecar")
    async with upstream(always(response(b"x"))) as server, upstream(Tokens()) as endpoint:
        own = f"127.0.0.1:{server.port}"
        async with sidecar(
            route_to(server.port), credential=exchanging(endpoint.port), listen=(LOCAL, PROXY)
        ) as running:
            requests = []
            for number, target in enumerate(targets(1_000, own)):
                if target.startswith(b"/") and number % 5:
                    target = b"http://" + own.encode() + target
                # A server that took the Host's word, or the last authority's, would be led astray.
                host = own if number % 7 else target.partition(b"://")[2].partition(b"/")[0].decode("latin-1") or own
                line = b"%b %b HTTP/1.1\r\n" % (METHODS[number % len(METHODS)].encode(), target)
                requests.append(line + b"Host: " + host.encode("latin-1") + b"\r\n\r\n")
            with watched_network() as seen:
                asking = Pipelined(running, batch=3, address=running.app.forward_addresses[0])
                await asking.ask(requests)
            entered = {("connect", running.app.forward_addresses[0]), ("resolve", "127.0.0.2")}
        allowed = {("connect", ("127.0.0.1", port)) for port in (server.port, endpoint.port)}
        assert set(seen) - entered - {("resolve", "127.0.0.1")} <= allowed
        assert sum(asking.statuses.values()) == 1_000 and set(asking.statuses) <= {200, 400, 403, 404, 405}
        assert 100 < asking.statuses[200] == len(server.requests)
        assert all(one.target.startswith(b"/") for one in server.requests)
        assert {host for one in server.requests for host in one.values("host")} == {own.encode()}


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([], 400),
        (["Host: <origin>"], 200),
        (["Host: <ORIGIN>"], 200),
        (["Host: evil.example"], 403),
        (["Host: 127.0.0.1"], 403),
        (["Host:"], 403),
        (["Host: <origin>", "Host: evil.example"], 400),
        (["Host: evil.example, <origin>"], 403),
        (["Host: <origin>", "X-Forwarded-Host: evil.example", "Forwarded: host=evil.example"], 200),
    ],
)
async def test_the_host_is_the_target_s_authority(lines: list[str], status: int) -> None:
    """RFC 9112 3.2.2: a proxy takes the target's; whoever comes after may not. A client that says two is no client."""
    async with proxy() as (running, server, origin):
        filled = [line.replace("<origin>", origin).replace("<ORIGIN>", origin.upper()) for line in lines]
        raw = "\r\n".join([f"GET http://{origin}/ HTTP/1.1", *filled, "", ""]).encode()
        assert (await answer(running, raw)).status == status
        assert len(server.requests) == (status == 200)


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["Origin: http://<origin>"], 403),  # a page that came through the proxy is not the app
        (["Origin: http://evil.example"], 403),
        (["Origin: null"], 403),
        (["Sec-Fetch-Site: same-origin"], 403),
        (["Sec-Fetch-Site: none"], 403),
        (["Sec-Fetch-Site: cross-site"], 403),
        (["Origin: https://app.example.com", "Origin: https://app.example.com"], 403),
        (["Origin: https://app.example.com", "Sec-Fetch-Site: cross-site"], 200),
        (["Sec-Fetch-Mode: cors"], 200),  # Node's fetch says this
    ],
)
async def test_no_browser_is_served(lines: list[str], status: int) -> None:
    """One whose proxy this is would lend the token to every page; a page of a configured origin is asked for."""
    async with proxy(gate=GateConfig(origins=("https://app.example.com",))) as (running, server, origin):
        filled = [line.replace("<origin>", origin) for line in lines]
        raw = "\r\n".join([f"GET http://{origin}/ HTTP/1.1", f"Host: {origin}", *filled, "", ""]).encode()
        got = await answer(running, raw)
        assert got.status == status
        if status == 403:
            assert got.reason == "origin" and "browser" in json.loads(got.body)["message"]
        assert len(server.requests) == (status == 200)


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["Upgrade-Insecure-Requests: 1", *CHROMIUM, "Accept: text/html,*/*;q=0.8"], 403),
        (["Referer: http://127.0.0.1:3000/", *CHROMIUM, "Accept: image/avif,*/*;q=0.8"], 403),
        ([*CHROMIUM, "Accept: */*"], 403),
        (["Upgrade-Insecure-Requests: 1"], 403),
        (["Origin: https://app.example.com", *CHROMIUM], 200),
        (["User-Agent: Mozilla/5.0 (Windows NT 10.0; en-US) PowerShell/7.4.0"], 200),
        (["User-Agent: node", "Accept-Language: *"], 200),
    ],
)
async def test_what_a_browser_sends_for_a_link_or_an_image(lines: list[str], status: int) -> None:
    """Any page could have it sent; the same head a second time, too."""
    async with proxy(gate=GateConfig(origins=("https://app.example.com",))) as (running, server, origin):
        raw = "\r\n".join([f"GET http://{origin}/ HTTP/1.1", f"Host: {origin}", *lines, "", ""]).encode()
        wire = await enter(running)
        for _ in range(2):
            await wire.send(raw)
            assert (await wire.response()).status == status
        assert len(server.requests) == 2 * (status == 200)


async def test_a_tunnel_is_never_made() -> None:
    """Neither by CONNECT, in whatever spelling, nor by an upgrade to a protocol that carries requests."""
    async with proxy() as (running, server, origin):
        for method in ("CONNECT", "connect", "Connect"):
            for target in (origin, f"http://{origin}/", "evil.example:443"):
                got = await answer(running, f"{method} {target} HTTP/1.1\r\nHost: {origin}\r\n\r\n".encode())
                assert got.status in (400, 405), (method, target)
        assert server.connections == []
        upgrade = f"GET http://{origin}/ HTTP/1.1\r\nHost: {origin}\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
        assert (await answer(running, upgrade.encode())).status == 200
        assert server.requests[0].values("upgrade") == []


async def test_each_request_of_a_connection_is_judged_by_itself() -> None:
    """What the one before was allowed is not lent to the next, whichever of its bytes are the same."""

    async def asked(wire: Wire, target: str, host: str) -> int:
        await wire.send(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        return (await wire.response()).status

    async with proxy() as (running, server, origin):
        wire = await enter(running)
        assert await asked(wire, f"http://{origin}/", origin) == 200
        assert await asked(wire, "http://evil.example/", origin) == 403
        assert await asked(wire, f"http://{origin}/", origin) == 200
        assert await asked(wire, f"http://{origin}/", "evil.example") == 403
        assert await asked(wire, f"http://{origin}/", origin) == 200
        assert await asked(wire, "/", origin) == 400
        assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("url", "served", "refused"),
    [
        ("https://api.example.com", {"api.example.com", "api.example.com:80", "api.example.com:443"}, {"api:8443"}),
        ("https://Api.Example.com:443/v1", {"api.example.com", "api.example.com:80", "api.example.com:443"}, set()),
        ("https://api.example.com:8443", {"api.example.com:8443"}, {"api.example.com", "api.example.com:80"}),
        ("https://api.example.com:80", {"api.example.com:80"}, {"api.example.com", "api.example.com:443"}),
        ("http://[::1]:9000", {"[::1]:9000"}, {"[::1]"}),
        ("http://[::1]", {"[::1]", "[::1]:80"}, {"[::1]:443"}),
    ],
)
def test_which_authorities_stand_for_an_upstream(url: str, served: set[str], refused: set[str]) -> None:
    """RFC 6797 8.3: http without a port, or with 80, is https on 443; any other port is that port."""
    (reach,) = reaches("/", None, url, strip_prefix=False)
    assert {name.decode() for name in reach.authorities} == served
    assert not refused & {name.decode() for name in reach.authorities}


def test_the_authority_is_what_the_reader_takes_for_it() -> None:
    """Up to the path or the query; nothing else of a target can pass for it."""
    read = RequestReader(100).read
    for rest in ("/x", "?x", "/@evil", "?@evil", "/\\evil"):
        assert read(b"GET http://a:1%b HTTP/1.1\r\nHost: a:1\r\n\r\n" % rest.encode()).authority == b"a:1"


# Name, what it matches, its upstream's prefix, and whether the prefix is taken off: they overlap wherever they can.
OVERLAPPING = [
    ("all", "/", "", False),
    ("admin", "/admin/", "", False),
    ("crm", "/crm/", "/v1", True),
    ("deep", "/crm/admin/", "/v1/b", True),
    ("moved", "/b/", "/admin/c", True),
]
STEPS = ["/", "//", "/admin", "/%61dmin", "/b", "/c", "/..", "/%2e%2e", "/.", ";x", "\\", "%2fadmin", "?/admin"]
STARTS = ["", "/admin", "/crm", "/crm/admin", "/b", "/v1", "/v1/b", "/admin/c"]


def test_what_a_proxy_sends_an_ordinary_listener_would_have_sent() -> None:
    """The same target by the same route, for every path of a grammar of tricks, rules included."""
    allow = (Allow(("GET",), ("/**",)),)
    found, plain_routes = [], []
    for name, path, prefix, strip in OVERLAPPING:
        match = Match(path, host=None, strip_prefix=strip, upstream_prefix=prefix, allow=allow)
        plain_routes.append((match, name))
        found.append((match, name, reaches(path, None, f"https://api.test{prefix}", strip_prefix=strip)))
    plain = Routes(plain_routes)
    proxy_routes = ForwardRoutes(found, plain)

    def sent(routes: Routes[str] | ForwardRoutes[str], start: str, path: str) -> tuple[str, bytes] | None:
        head = read(f"GET {start}{path} HTTP/1.1\r\nHost: api.test\r\n\r\n".encode())
        try:
            way, route = routes.match(head)
            return route, way.admit(head)
        except Answerable:
            return None

    read = RequestReader(100).read
    paths = [
        start + "".join(steps)
        for start in STARTS
        for count in range(3)
        for steps in product(STEPS, repeat=count)
        if start or (steps and steps[0].startswith("/"))
    ]
    by_proxy = set(filter(None, (sent(proxy_routes, "http://api.test", path) for path in paths)))
    ordinary = {sent(plain, "", path) for path in paths}
    prefixes = {name: prefix.encode() for name, _, prefix, _ in OVERLAPPING}

    def with_a_root(name: str, target: bytes) -> bytes:
        """What an app of a proxy writes without a slash at the upstream's root, a listener sends with it."""
        rest = target.removeprefix(prefixes[name])
        return target if rest[:1] == b"/" else prefixes[name] + b"/" + rest

    assert {(name, target) for name, target in by_proxy if (name, with_a_root(name, target)) not in ordinary} == set()
    assert {name for name, _ in by_proxy} == set(prefixes)
    assert len(by_proxy) > 200
