"""A forward proxy's listener: an app that names the API's own URL, in absolute form, gets its route."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sidecar.config.values import Address, GateConfig, KeyConfig, RouteConfig, UpstreamConfig
from sidecar.gate import HeaderRule
from sidecar.routes import Allow
from sidecar.secret import Secret
from tests.fakes import Message, ScriptedUpstream, Wire, always, response, upstream
from tests.wire.running import LOCAL, STATIC_LINE, Running, config, sidecar
from tests.wire.test_reload import Loads

PROXY = Address("127.0.0.2", 0, mode="forward")
TOKEN = GateConfig(require_token=KeyConfig("value", value=Secret("let-me-in")))


async def enter(running: Running, forward: bool = True) -> Wire:
    """Connect to the proxy."""
    return await running.connect(address=running.app.forward_addresses[0] if forward else None)


async def ask(running: Running, target: str, *lines: str, method: str = "GET", host: str | None = None) -> Message:
    """Ask the proxy as an honest client does, with the target's authority as Host unless another is given."""
    wire = await enter(running)
    host = target.partition("://")[2].partition("/")[0] if host is None else host
    await wire.send("\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode())
    answer = await wire.response(to=method)
    wire.close()
    return answer


@asynccontextmanager
async def proxy(*routes: dict[str, Any], **keys: Any) -> AsyncIterator[tuple[Running, ScriptedUpstream, str]]:
    """Run a proxy with these routes, all to one upstream; yield that with its authority.

    Args:
        routes: keys of `RouteConfig`; `prefix` is the path of the upstream's URL.
        keys: of `sidecar`.
    """
    async with upstream(always(response())) as server:
        origin = f"127.0.0.1:{server.port}"
        made = [
            RouteConfig(
                route.pop("name", "crm"),
                UpstreamConfig(f"http://{origin}{route.pop('prefix', '')}"),
                credential="crm",
                **route,
            )
            for route in routes or ({},)
        ]
        async with sidecar(*made, listen=(LOCAL, PROXY), **keys) as running:
            yield running, server, origin


async def test_a_request_goes_to_its_route_with_the_token() -> None:
    """As it came, in origin-form; what the app says to the proxy stays here, and a connection carries many requests."""
    async with proxy() as (running, server, origin):
        wire = await enter(running)
        head = f"GET http://{origin}/a%2Fb//c?q=%20 HTTP/1.1\r\nHost: {origin}\r\n"
        more = "Authorization: of-the-app\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eDp5\r\n\r\n"
        for _ in range(3):
            await wire.send((head + more).encode())
            assert (await wire.response()).status == 200
        seen = server.requests
        assert [one.start for one in seen] == [b"GET /a%2Fb//c?q=%20 HTTP/1.1"] * 3
        assert all(sorted(one.lines) == sorted([STATIC_LINE, b"Host: " + origin.encode()]) for one in seen)
        assert (await ask(running, f"http://{origin}")).status == 200
        assert seen[-1].target == b"/"


async def test_a_base_url_is_another_listener_s() -> None:
    """Each says what it is for; neither does the other's work."""
    async with proxy() as (running, server, origin):
        wire = await enter(running)
        await wire.send(b"GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        answer = await wire.response()
        assert (answer.status, answer.reason) == (400, "target")
        assert "set http_proxy to it" in json.loads(answer.body)["message"]
        wire = await enter(running, forward=False)
        await wire.send(f"GET http://{origin}/ HTTP/1.1\r\nHost: {origin}\r\n\r\n".encode())
        assert (await wire.response()).reason == "host"
        assert server.requests == []


async def test_an_app_that_wants_a_tunnel_is_told_what_to_do() -> None:
    """CONNECT would hide the request from us, and lead anywhere."""
    async with proxy() as (running, server, origin):
        wire = await enter(running)
        await wire.send(f"CONNECT {origin} HTTP/1.1\r\nHost: {origin}\r\n\r\n".encode())
        answer = await wire.response()
        assert (answer.status, answer.reason) == (405, "method")
        assert "ask for http:// in place of https://" in json.loads(answer.body)["message"]
        assert server.connections == []


async def test_an_app_that_asks_the_proxy_for_https_is_told_what_to_do() -> None:
    """Some clients ask for it in absolute form, without a tunnel."""
    async with proxy() as (running, server, origin):
        answer = await ask(running, f"https://{origin}/")
        assert (answer.status, answer.reason) == (400, "target")
        assert "ask for http:// in place of https://" in json.loads(answer.body)["message"]
        assert server.connections == []


@pytest.mark.parametrize(
    ("route", "target", "sent"),
    [
        ({}, "/x?y", "/x?y"),
        ({"prefix": "/v1"}, "/v1/x", "/v1/x"),
        ({"prefix": "/v1"}, "/v1?x", "/v1?x"),
        ({"prefix": "/v1"}, "/v2/x", None),
        ({"prefix": "/v1"}, "/v1x", None),
        ({"prefix": "/v1"}, "/%761/x", None),
        ({"path": "/crm/"}, "/crm/x", "/crm/x"),
        ({"path": "/crm/"}, "/x", None),
        ({"path": "/crm/", "strip_prefix": True}, "/x", "/x"),
        ({"path": "/crm/", "strip_prefix": True, "prefix": "/v1"}, "/v1/x", "/v1/x"),
        ({"path": "/crm/", "strip_prefix": True, "prefix": "/v1"}, "/crm/x", None),
        ({"path": "/crm/", "prefix": "/v1"}, "/v1/crm", "/v1/crm"),
        ({"path": "/crm/", "prefix": "/v1"}, "/v1/x", None),
    ],
)
async def test_the_upstream_s_urls_are_those_that_its_route_reaches(
    route: dict[str, Any], target: str, sent: str | None
) -> None:
    """The app writes the API's own paths, and they go there as they are, or nowhere."""
    async with proxy(dict(route)) as (running, server, origin):
        answer = await ask(running, f"http://{origin}{target}")
        assert answer.status == (404 if sent is None else 200)
        assert [one.target.decode() for one in server.requests] == ([] if sent is None else [sent])


async def test_rules_hold_as_on_any_listener() -> None:
    """They are written for the listener's paths, which an app of the proxy never sees."""
    allow = (Allow(("GET",), ("/crm/open/**",)),)
    async with proxy({"path": "/crm/", "strip_prefix": True, "prefix": "/v1", "allow": allow}) as (running, _, origin):
        assert (await ask(running, f"http://{origin}/v1/open/x")).status == 200
        for method, path in (("POST", "open/x"), ("GET", "x"), ("GET", "open/../x"), ("GET", "open/%2e%2e/x")):
            assert (await ask(running, f"http://{origin}/v1/{path}", method=method)).status == 403, path


async def test_a_rule_for_the_root_holds_for_the_upstream_s() -> None:
    """Which has no slash at its end where the app writes none."""
    async with proxy({"prefix": "/v1", "allow": (Allow(("GET",), ("/",)),)}) as (running, server, origin):
        for path, status in (("/v1", 200), ("/v1?x", 200), ("/v1/", 200), ("/v1/x", 403)):
            assert (await ask(running, f"http://{origin}{path}")).status == status, path
        assert [one.target for one in server.requests] == [b"/v1", b"/v1?x", b"/v1/"]


async def test_a_host_that_a_route_is_bound_to() -> None:
    """It has the listener's paths, whatever the upstream's are; without a port, only that of http is meant."""
    bound = {"path": "/crm/", "strip_prefix": True, "prefix": "/v1", "host": "Crm.Local"}
    async with proxy(bound) as (running, server, origin):
        for target in ("http://crm.local/crm/x", "HTTP://CRM.local:80/crm/x", f"http://{origin}/v1/x"):
            assert (await ask(running, target)).status == 200, target
        assert (await ask(running, "http://crm.local:80/crm/x", host="crm.local")).status == 200
        assert (await ask(running, "http://crm.local/crm/x", host="crm.local:80")).status == 200
        assert [one.target for one in server.requests] == [b"/v1/x"] * 5
        assert (await ask(running, "http://crm.local/v1/x")).status == 404
        assert (await ask(running, "http://crm.local:81/crm/x")).reason == "host"


async def test_a_host_that_a_route_is_bound_to_with_the_port_of_http() -> None:
    """It is the same name as without (RFC 9110 4.2.3), which is how clients write it."""
    async with proxy({"host": "crm.local:80"}) as (running, server, _):
        for target in ("http://crm.local/x", "http://crm.local:80/x"):
            assert (await ask(running, target)).status == 200, target
        assert [one.target for one in server.requests] == [b"/x"] * 2


async def test_what_another_route_shadows_is_out_of_reach() -> None:
    """On a listener the second route has /admin, so the first one never sends that; here neither."""
    first = {"name": "all"}
    second = {"name": "admin", "path": "/admin/", "strip_prefix": True, "prefix": "/x"}
    async with proxy(first, second) as (running, server, origin):
        assert (await ask(running, f"http://{origin}/admin/y")).reason == "no_route"
        assert (await ask(running, f"http://{origin}/%61dmin/y")).reason == "path"
        assert (await ask(running, f"http://{origin}/x/y")).status == 200  # the second one's, as it is longer
        assert (await ask(running, f"http://{origin}/%78/y")).reason == "path"
        assert [one.target for one in server.requests] == [b"/x/y"]


async def test_the_longest_path_wins_among_upstreams_of_one_host() -> None:
    """Whatever their order in the configuration."""
    async with upstream(always(response())) as server:
        url = f"http://127.0.0.1:{server.port}"
        routes = [
            RouteConfig("a", UpstreamConfig(url), "/a/", strip_prefix=True, credential="crm"),
            RouteConfig("b", UpstreamConfig(f"{url}/b"), "/z/", strip_prefix=True, credential=None),
        ]
        async with sidecar(*routes, listen=(LOCAL, PROXY)) as running:
            for path in ("/b/x", "/bx"):
                assert (await ask(running, url + path)).status == 200
        assert [len(one.values("authorization")) for one in server.requests] == [0, 1]


def basic(text: str) -> str:
    """Return the field that a client sends for these credentials in its proxy's URL."""
    return f"Proxy-Authorization: Basic {base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    ("lines", "admitted"),
    [
        ([basic("any:let-me-in")], True),
        ([basic(":let-me-in").replace("Basic", "bASIC")], True),
        (["Sidecar-Token: let-me-in"], True),
        ([], False),
        ([basic("let-me-in")], False),
        ([basic("let-me-in:")], False),
        ([basic("any:let-me-in:x")], False),
        ([basic("any:wrong")], False),
        ([basic("any:let-me-in").replace("Basic", "Bearer")], False),
        ([basic("any:let-me-in") + "!"], False),
        (["Proxy-Authorization: Basic let-me-in"], False),
        ([basic("any:let-me-in")] * 2, False),
        ([basic("any:wrong"), "Sidecar-Token: let-me-in"], False),
        (["Authorization: Basic YW55OmxldC1tZS1pbg=="], False),
    ],
)
async def test_the_token_comes_in_the_proxy_s_url(lines: list[str], admitted: bool) -> None:
    """That is where clients have a place for it; it is asked for as they expect it, and goes no further."""
    async with proxy(gate=TOKEN) as (running, server, origin):
        answer = await ask(running, f"http://{origin}/", *lines)
        assert answer.status == (200 if admitted else 407)
        if not admitted:
            assert answer.reason == "require_token"
            assert answer.value("proxy-authenticate") == b'Basic realm="sidecar"'
            assert b"let-me-in" not in answer.body
        for one in server.requests:
            assert sorted(one.lines) == sorted([STATIC_LINE, b"Host: " + origin.encode()])


async def test_a_required_header_is_required_here_too() -> None:
    """With exactly its value."""
    async with proxy(gate=GateConfig(require_header=HeaderRule("X-Sidecar-Request", "true"))) as (running, _, origin):
        assert (await ask(running, f"http://{origin}/")).reason == "require_header"
        assert (await ask(running, f"http://{origin}/", "x-sidecar-request: true")).status == 200


async def test_a_name_that_two_routes_have_is_the_one_s_that_is_bound_to_it() -> None:
    """It was named on purpose; the other's upstream merely has that name."""
    async with upstream(always(response())) as server:
        url = f"http://127.0.0.1:{server.port}"
        first = RouteConfig("first", UpstreamConfig(url), "/x/", strip_prefix=True, credential="crm")
        bound = RouteConfig("bound", UpstreamConfig(url), host=url[7:], credential=None)
        async with sidecar(first, bound, listen=(LOCAL, PROXY)) as running:
            assert (await ask(running, f"{url}/y")).status == 200
        assert [one.values("authorization") for one in server.requests] == [[]]


async def test_a_name_that_a_route_is_bound_to_has_no_other_paths() -> None:
    """Also where it is its upstream's name: one URL does not mean two things."""
    async with upstream(always(response())) as server:
        url = f"http://127.0.0.1:{server.port}"
        bound = RouteConfig("bound", UpstreamConfig(f"{url}/v1"), host=url[7:], credential=None)
        async with sidecar(bound, listen=(LOCAL, PROXY)) as running:
            for path in ("/x", "/v1/x"):
                assert (await ask(running, url + path)).status == 200
        assert [one.target for one in server.requests] == [b"/v1/x", b"/v1/v1/x"]


async def test_an_ordinary_listener_does_not_take_a_proxy_s_token() -> None:
    """There, it is a field of a hop that nobody asked for; and nobody is asked for it."""
    async with proxy(gate=TOKEN) as (running, _, _):
        answer = await running.ask("GET", "/", basic("any:let-me-in"))
        assert (answer.status, answer.reason, answer.values("proxy-authenticate")) == (403, "require_token", [])


async def test_it_says_what_it_is(caplog: pytest.LogCaptureFixture) -> None:
    """In the log and in the status; it is none of the addresses that an app takes for a base URL."""
    caplog.set_level(logging.INFO, "sidecar")
    async with proxy() as (running, _, _):
        name = f"127.0.0.2:{running.app.forward_addresses[0][1]} (forward proxy)"
        assert list(running.app.listeners) == [f"127.0.0.1:{running.port}", name]
        assert f"listening on {name}" in caplog.messages
        assert [host for host, _ in running.app.addresses] == ["127.0.0.1"]


async def test_a_reload_makes_a_proxy_of_a_listener_and_back() -> None:
    """On the same socket: who is in goes on as they came, who comes later finds the new."""
    async with upstream(always(response())) as server:
        url, origin = f"http://127.0.0.1:{server.port}", f"127.0.0.1:{server.port}"
        route = RouteConfig("crm", UpstreamConfig(url), credential="crm")
        loads = Loads(config(route))
        async with sidecar(route, load=loads) as running:
            before, port, mine = await running.connect(), running.port, running.host
            loads.loaded = config(route, listen=(Address("127.0.0.1", 0, mode="forward"),))
            await running.app.reload()
            assert list(running.app.forward_addresses) == [("127.0.0.1", port)]
            proxied = await running.connect(address=("127.0.0.1", port))
            absolute = f"GET {url}/ HTTP/1.1\r\nHost: {origin}\r\n\r\n".encode()
            plain = b"GET / HTTP/1.1\r\nHost: " + mine + b"\r\n\r\n"
            for wire, request in ((before, plain), (proxied, absolute)):
                await wire.send(request)
                assert (await wire.response()).status == 200
            loads.loaded = config(route)
            await running.app.reload()
            after = await running.connect()
            for wire, request in ((proxied, absolute), (after, plain)):
                await wire.send(request)
                assert (await wire.response()).status == 200
            loads.loaded = config(RouteConfig("other", UpstreamConfig("http://127.0.0.1:1"), credential="crm"))
            await running.app.reload()
            await proxied.send(absolute)  # its route has gone, and so has what it remembers of the request
            assert (await proxied.response()).reason == "host"
