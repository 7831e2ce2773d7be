"""Which route a request takes, what it may do there, and the target that goes upstream."""

from __future__ import annotations

import pytest

from sidecar.config.values import RouteConfig
from sidecar.routes import Allow
from tests.fakes import ScriptedUpstream, Wire, response, upstream
from tests.wire.running import Running, route_to, sidecar


async def named(wire: Wire) -> None:
    """Answer with the target and the upstream's own Host."""
    while True:
        request = await wire.request()
        await wire.send(response(request.target + b" " + (request.value("host") or b"")))


async def ask(running: Running, target: str, method: str = "GET", host: str | None = None) -> str:
    """Return the target and host that arrived, or the reason why none did."""
    wire = await running.connect()
    await wire.send(f"{method} {target} HTTP/1.1\r\nHost: {host or running.host.decode()}\r\n\r\n".encode())
    answer = await wire.response()
    return answer.body.decode() if answer.status == 200 else f"{answer.status} {answer.reason}"


def routes_to(server: ScriptedUpstream, *routes: tuple[str, dict[str, object]]) -> list[RouteConfig]:
    """Return routes whose upstream is told apart by its Host, which is the route's path."""
    return [
        route_to(server.port, path, name=path, credential=None, upstream={"host_header": path}, **keys)
        for path, keys in routes
    ]


async def test_the_longest_prefix_wins_on_segment_boundaries() -> None:
    """`/crm/` also matches `/crm`; `/crmx` is something else."""
    async with upstream(named) as server:
        paths = ("/crm/", "/crm/v2", "/x")
        async with sidecar(*routes_to(server, *((path, {}) for path in paths)), credential=None) as running:
            for target, expected in {
                "/crm": "/crm /crm/",
                "/crm/": "/crm/ /crm/",
                "/crm?x=/crm/v2": "/crm?x=/crm/v2 /crm/",
                "/crm/v1/a": "/crm/v1/a /crm/",
                "/crm/v2": "/crm/v2 /crm/v2",
                "/crm/v2?a": "/crm/v2?a /crm/v2",
                "/crm/v2/b": "/crm/v2/b /crm/v2",
                "/crm/v22": "/crm/v22 /crm/",
                "/x//y": "/x//y /x",
                "/crmx": "404 no_route",
                "/CRM/": "404 no_route",
                "/": "404 no_route",
                "/y": "404 no_route",
            }.items():
                assert await ask(running, target) == expected


async def test_a_prefix_can_be_stripped_and_one_be_put_before() -> None:
    """The rest stays byte for byte, the query too."""
    async with upstream(named) as server:
        under = {"url": f"http://127.0.0.1:{server.port}/v1/", "host_header": "u"}
        routes = [
            route_to(server.port, "/crm/", name="a", credential=None, strip_prefix=True, upstream={"host_header": "u"}),
            route_to(server.port, "/api", name="b", credential=None, strip_prefix=True, upstream=under),
            route_to(server.port, "/", name="c", credential=None, upstream=under),
        ]
        async with sidecar(*routes, credential=None) as running:
            for target, expected in {
                "/crm/a%2Fb?c=%20": "/a%2Fb?c=%20",
                "/crm": "/",
                "/crm/": "/",
                "/crm?x=1": "/?x=1",
                "/crm/crm/x": "/crm/x",
                "/api/x//y": "/v1/x//y",
                "/api": "/v1/",
                "/other?q": "/v1/other?q",
                "/": "/v1/",
            }.items():
                assert await ask(running, target) == f"{expected} u"


async def test_a_route_can_be_bound_to_a_host() -> None:
    """It wins over one that is not; its port does not matter."""
    async with upstream(named) as server:
        routes = [
            route_to(server.port, "/", name="any", credential=None, upstream={"host_header": "any"}),
            route_to(server.port, "/", name="own", credential=None, host="localhost", upstream={"host_header": "own"}),
        ]
        async with sidecar(*routes, credential=None) as running:
            assert await ask(running, "/") == "/ any"
            assert await ask(running, "/", host=f"localhost:{running.port}") == "/ own"
            assert await ask(running, "/", host=f"LOCALHOST:{running.port}") == "/ own"


async def test_only_what_a_rule_allows_passes() -> None:
    """`*` is any run within a segment, `**` any run."""
    rules = (Allow(("GET", "HEAD"), ("/crm/**",)), Allow(("POST",), ("/crm/notes/*/text",)), Allow((), ("/crm/open",)))
    async with upstream(named) as server:
        async with sidecar(*routes_to(server, ("/crm", {"allow": rules})), credential=None) as running:
            for method, target, allowed in [
                ("GET", "/crm/a/b?c", True),
                ("GET", "/crm/", True),
                ("GET", "/crm", False),
                ("POST", "/crm/notes/1/text", True),
                ("POST", "/crm/notes/1/text?x=/../", True),
                ("POST", "/crm/notes/1/2/text", False),
                ("POST", "/crm/notes/1%2F2/text", False),
                ("POST", "/crm/notes//text", False),
                ("POST", "/crm/notes/1/text/", False),
                ("DELETE", "/crm/a", False),
                ("DELETE", "/crm/open", True),
                ("PATCH", "/crm/a", False),
            ]:
                got = await ask(running, target, method)
                assert got == (f"{target} /crm" if allowed else got)
                assert got.startswith("403 ") != allowed, (method, target, got)
        assert all(request.method in (b"GET", b"POST", b"DELETE") for request in server.requests)


ESCAPES = [
    "/crm/../admin",
    "/crm/..",
    "/crm/%2e%2e/admin",
    "/crm/.%2E/admin",
    "/crm/x/../../admin",
    "/crm/x/..%2f../admin",
    "/crm/%2e%2e%2fadmin",
    "/crm/..%5cadmin",
    "/crm/..\\admin",
    "/crm/%252e%252e/admin",
    "/crm/..;/admin",
    "/crm/..;x=1/admin",
    "/crm//../../admin",
    "/crm/./../admin",
    "/crm/../crm/x",
    "/crm/../crm",
]


@pytest.mark.parametrize("target", ESCAPES)
@pytest.mark.parametrize("keys", [{}, {"strip_prefix": True}, {"allow": (Allow((), ("/crm/**",)),)}])
async def test_a_path_that_leaves_its_route_is_refused(target: str, keys: dict[str, object]) -> None:
    """In whatever way some server would decode or fold it."""
    async with upstream(named) as server:
        async with sidecar(*routes_to(server, ("/crm", keys)), credential=None) as running:
            got = await ask(running, target)
            assert got == "403 path"
        assert server.requests == []


@pytest.mark.parametrize("target", ["/../admin", "/%2e%2e/admin", "/x/../../admin", "/..%2fadmin", "/..;/admin", "/.."])
async def test_a_path_that_leaves_the_upstreams_prefix_is_refused(target: str) -> None:
    """Where all of a listener goes to one part of an upstream."""
    async with upstream(named) as server:
        to = {"url": f"http://127.0.0.1:{server.port}/v1"}
        async with sidecar(route_to(0, credential=None, upstream=to), credential=None) as running:
            assert await ask(running, target) == "403 path"
        assert server.requests == []


@pytest.mark.parametrize("target", ["/crm/a/../b", "/crm/a%2Fb", "/crm/./a", "/crm/a//b/", "/crm/a;v=1/b", "/crm/%41"])
async def test_a_path_that_stays_passes_as_it_is(target: str) -> None:
    """Odd is not forbidden; nothing is repaired."""
    async with upstream(named) as server:
        async with sidecar(*routes_to(server, ("/crm", {})), credential=None) as running:
            assert await ask(running, target) == f"{target} /crm"


@pytest.mark.parametrize("target", ["/../admin", "/a/../../b", "/%2e%2e%2f", "/%", "/%zz", "/\\", "//evil.com/"])
async def test_one_open_route_passes_every_path_as_it_is(target: str) -> None:
    """There is nothing to leave."""
    async with upstream(named) as server:
        async with sidecar(route_to(server.port, credential=None), credential=None) as running:
            assert await ask(running, target) == f"{target} 127.0.0.1:{server.port}"
