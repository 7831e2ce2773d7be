"""Rules of routes hold however a server reads the path: no encoding, folding, separator or field is a way around one.

Source: RFC 3986 5.2.4 and 6.2.2; CVE-2021-29492 (Envoy, %2F), CVE-2001-0333 (IIS), CVE-2018-14773 (X-Original-URL).
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from sidecar.config.values import CredentialConfig, ShieldConfig
from sidecar.dataplane.http1 import RequestReader
from sidecar.errors import Answerable, BadRequest, Refused
from sidecar.messages import RequestHead
from sidecar.readings import LONGEST_BYTES, readings
from sidecar.routes import Allow, Match, Routes
from tests.attack.asking import answer, at, head
from tests.attack.servers import SERVERS
from tests.fakes import always, response, upstream
from tests.wire.running import KEY, route_to, sidecar

DOTS = [
    "..",
    "%2e%2e",
    ".%2E",
    "%2e.",
    "%252e%252e",
    "%25252e.",
    "..;",
    "..;x=1",
    ";/..",
    "%2e%2e;",
    ". .",
    "..%20",
    "...",
]
DOTS += [
    "%c0%ae%c0%ae",
    "%e0%80%ae.",
    "%u002e.",
    "..%00",
    "%00..",
    ".%09.",
    ".%0a.",
    "%ef%bc%8e.",
    "%e2%80%a5",
    "..%23",
]
SLASHES = [
    "/",
    "/",
    "/",
    "//",
    "%2f",
    "%2F",
    "%252f",
    "\\",
    "%5c",
    "%255C",
    "%c0%af",
    "%u2215",
    "%ef%bc%8f",
    "/./",
    ";/",
    "/%2e/",
]
NAMES = [
    "crm",
    "admin",
    "open",
    "notes",
    "x",
    "text",
    "1",
    "CRM",
    "%63rm",
    "adm%69n",
    "%61dmin",
    "admin.",
    "admin%20",
    "open;a",
]
NAMES += [
    "%2561dmin",
    "open%3f",
    "open%23",
    "open%00",
    "%",
    "%zz",
    "open%0d%0a",
    "a%2fb",
    "",
    ".",
    "%3badmin",
    "crm%3b",
]


def paths(count: int, seed: int, *begin: str) -> Iterator[str]:
    """Yield this many paths, half of them made to look like what is allowed."""
    chance = random.Random(seed)
    for _ in range(count):
        path = chance.choice(begin)
        for _ in range(chance.randint(1, 6)):
            path += chance.choice(SLASHES) + chance.choice(DOTS if chance.random() < 0.35 else NAMES)
        yield path + chance.choice(("", "", "/", "?x=/../admin", "/text", "%2ftext"))


def read(target: str, method: str = "GET", *lines: str, watched: frozenset[bytes] = frozenset()) -> RequestHead:
    """Return the head that asks for this, as the reader makes it."""
    raw = b"\r\n".join(
        [f"{method} {target} HTTP/1.1".encode("latin-1"), b"Host: localhost", *map(str.encode, lines), b"", b""]
    )
    return RequestReader(100, watched).read(raw)


def sent(routes: Routes[str], target: str) -> tuple[str, bytes] | None:
    """Return the route and the target that goes upstream, or None."""
    try:
        asked = read(target)
        match, route = routes.match(asked)
        return route, match.admit(asked)
    except (BadRequest, Answerable):
        return None


def match(
    path: str, allow: tuple[Allow, ...] = (), *, strip: bool = False, prefix: str = "", host: str | None = None
) -> Match:
    """Return what a route matches."""
    return Match(path, host=host, strip_prefix=strip, upstream_prefix=prefix, allow=allow)


def served(target: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what each server makes of a target."""
    path = target.partition(b"?")[0]
    for server in SERVERS:
        yield server.__name__, server(path)


COUNT = 6_000


def test_no_server_serves_what_no_rule_allows() -> None:
    """Each forwarded target is, for every server, inside the route and allowed; and it is the target that came."""
    rules = (Allow(("GET",), ("/crm/open/**", "/crm/notes/*/text", "/crm/x")),)
    routes = Routes([(match("/crm/", rules), "crm")])
    forwarded = 0
    for target in paths(COUNT, 1, "/crm/open", "/crm/open", "/crm/notes/1", "/crm/x", "/crm"):
        if (found := sent(routes, target)) is None:
            continue
        forwarded += 1
        assert found == ("crm", target.encode())
        for server, path in served(found[1]):
            parts = path.split(b"/")
            allowed = path.startswith(b"/crm/open/") or path == b"/crm/x"
            allowed = allowed or (len(parts) == 5 and path.startswith(b"/crm/notes/") and parts[4] == b"text")
            assert allowed, (target, server, path)
    assert forwarded > COUNT / 50


@pytest.mark.parametrize("prefix", ["/v1", "/v1/deep/"])
def test_no_server_serves_what_is_outside_the_upstream_s_prefix(prefix: str) -> None:
    """A route that is stripped of its prefix and given another: nothing climbs above that."""
    routes = Routes([(match("/crm", strip=True, prefix=prefix), "crm"), (match("/all", prefix=prefix), "all")])
    forwarded = 0
    for target in paths(COUNT // 2, 2, "/crm", "/crm/open", "/all", "/all/x/y"):
        if (found := sent(routes, target)) is None:
            continue
        forwarded += 1
        for server, path in served(found[1]):
            assert path.startswith(prefix.rstrip("/").encode() + b"/"), (target, server, path)
    assert forwarded > COUNT / 50


def test_no_server_serves_a_path_of_another_route() -> None:
    """What is under `/admin` is that route's, also where `/` takes all the rest to the same upstream."""
    routes = Routes([(match("/"), "rest"), (match("/admin/", (Allow(("GET",), ("/admin/open",)),)), "admin")])
    forwarded = 0
    for target in paths(COUNT, 3, "", "", "/x", "/open"):
        if not target.startswith("/") or (found := sent(routes, target)) is None:
            continue
        forwarded += 1
        for server, path in served(found[1]):
            inside = path == b"/admin" or path.startswith(b"/admin/")
            assert not inside or (found[0] == "admin" and path == b"/admin/open"), (target, server, path)
    assert forwarded > COUNT / 50


def test_a_prefix_that_is_encoded_itself() -> None:
    """Decoded, it is still the route's; without its parameters it is somebody else's."""
    assert sent(Routes([(match("/a%20b/"), "r")]), "/a%20b/c%20d") == ("r", b"/a%20b/c%20d")
    assert sent(Routes([(match("/a%20b/"), "r"), (match("/"), "rest")]), "/%61%20b/c") is None
    assert sent(Routes([(match("/a;v=1/"), "r")]), "/a;v=1/c") is None


def test_what_is_stripped_leaves_one_slash() -> None:
    """`//evil` would be an authority to some (RFC 3986 4.2); with a prefix before it, it is none."""
    bare, under = match("/crm", strip=True), match("/crm", strip=True, prefix="/v1")
    for rest in ("//evil.example/x", "/\\evil.example/x", "///", "/\\/x", "//"):
        with pytest.raises(Refused):
            bare.admit(read(f"/crm{rest}"))
        assert under.admit(read(f"/crm{rest}")) == b"/v1" + rest.encode()
    for target, expected in {
        "/crm": b"/",
        "/crm/": b"/",
        "/crm?": b"/?",
        "/crm?//x": b"/?//x",
        "/crm/?a": b"/?a",
        "/crm/a//b": b"/a//b",
    }.items():
        assert bare.admit(read(target)) == expected


ALLOW = (
    Allow(("GET", "HEAD"), ("/crm/open/**",)),
    Allow(("POST",), ("/crm/notes/*",)),
    Allow(("GET",), ("/crm/a%20b/*", "/crm/caf%C3%A9", "/crm/pages/*/text")),
)


@pytest.mark.parametrize(
    ("method", "target", "allowed"),
    [
        ("GET", "/crm/open/x", True),
        ("HEAD", "/crm/open/x", True),
        ("GET", "/crm/open/x?y=/../../admin;%00", True),  # a query is no path
        ("GET", "/crm/open/a%40b", True),
        ("GET", "/crm/open/a;v=1/b", True),
        ("GET", "/crm/open/a//b/./c", True),
        ("GET", "/crm/open/x/../y", True),
        ("GET", "/crm/open/%E2%82%AC", True),  # a euro sign
        ("GET", "/crm/open/.well-known/x.json", True),
        ("GET", "/crm/a%20b/c", True),
        ("GET", "/crm/caf%C3%A9", True),
        ("GET", "/crm/caf%c3%a9", False),  # digits in lower case are other bytes; as it is written, no rule has them
        ("GET", "/crm/open", False),
        ("GET", "/crm/openx", False),
        ("GET", "/crm/Open/x", False),
        ("GET", "/crm/%6fpen/x", False),
        ("POST", "/crm/open/x", False),
        ("PUT", "/crm/open/x", False),
        ("OPTIONS", "/crm/open/x", False),
        ("POST", "/crm/notes/1", True),
        ("POST", "/crm/notes/1/2", False),
        ("POST", "/crm/notes/1%2f2", False),
        ("POST", "/crm/notes/1%252f2", False),
        ("POST", "/crm/notes/1%5c2", False),
        ("POST", "/crm/notes/1\\2", False),
        ("POST", "/crm/notes/", True),
        ("POST", "/crm/notes/1/", False),
        ("POST", "/crm/notes//1", False),
        ("POST", "/crm/notes/.", True),
        ("POST", "/crm/notes/..", False),
        ("POST", "/crm/notes/%2e%2e", False),
        ("POST", "/crm/notes/x%2f..%2f..%2fadmin", False),
        ("GET", "/crm/pages/1/text", True),
        ("GET", "/crm/pages/1;x/text", False),  # to some, all from the semicolon on is a parameter
        ("GET", "/crm/open/..//open/x", False),  # RFC 3986: /crm//open/x
        ("GET", "/crm/open/../admin", False),
        ("GET", "/crm/open/..;/admin", False),
        ("GET", "/crm/open/%2e%2e;/admin", False),
        ("GET", "/crm/open/..%3b/admin", False),
        ("GET", "/crm/open/;/../../admin", False),
        ("GET", "/crm/open/..%5cadmin", False),
        ("GET", "/crm/open/..\\admin", False),
        ("GET", "/crm/open/%252e%252e/admin", False),
        ("GET", "/crm/open/%25252e%25252e/admin", False),
        ("GET", "/crm/open/%c0%ae%c0%ae/admin", False),
        ("GET", "/crm/open/%c0%ae%c0%ae%c0%afadmin", False),
        ("GET", "/crm/open/%e0%80%ae./x", False),
        ("GET", "/crm/open/%f0%80%80%ae./x", False),
        ("GET", "/crm/open/%u002e%u002e/admin", False),
        ("GET", "/crm/open/%uff0e./admin", False),
        ("GET", "/crm/open/%ef%bc%8e%ef%bc%8e/admin", False),
        ("GET", "/crm/open/x%00", False),
        ("GET", "/crm/open/x%00/../../admin", False),
        ("GET", "/crm/open%00/x", False),
        ("GET", "/crm/open%2500/x", False),
        ("GET", "/crm/open%23/x", False),
        ("GET", "/crm/open%3f/x", False),
        ("GET", "/crm/open%0d%0a/x", False),
        ("GET", "/crm/open;/x", False),
        ("GET", "/crm/open;x=/../open/y", False),
        ("GET", "/crm/open./x", False),
        ("GET", "/crm/open%20/x", False),
        ("GET", "/crm/open/..%20/admin", False),
        ("GET", "/crm/open/. ./admin", False),
        ("GET", "/crm/open/.%09./admin", False),
        ("GET", "/crm/open/.../admin", False),
        ("GET", "/crm/open/...%20/x", False),
        ("GET", "/crm//open/x", False),
        ("GET", "//crm/open/x", False),
        ("GET", "/./crm/open/x", False),
        ("GET", "/%63rm/open/x", False),
        ("GET", "/crm%2fopen/x", False),
        ("GET", "/crm/open%2fx", False),
        ("GET", "/admin", False),
    ],
)
async def test_a_rule_is_for_every_reading(method: str, target: str, allowed: bool) -> None:
    """Over the wire: what passes arrives as it came, the rest nowhere."""
    async with upstream(always(response())) as server:
        async with sidecar(route_to(server.port, "/crm/", credential=None, allow=ALLOW), credential=None) as running:
            got = await answer(running, at(running, head(target, method=method)))
            assert (got.status == 200) == allowed, (got.start, got.body)
            assert got.status in (200, 400, 403, 404)
            assert [asked.target for asked in server.requests] == ([target.encode()] if allowed else [])


@pytest.mark.parametrize("method", ["get", "Get", "gET", "post", "GETX", "HEADER"])
async def test_methods_are_case_sensitive(method: str) -> None:
    """RFC 9110 9.1; a server that is not must not be asked."""
    async with upstream(always(response())) as server:
        async with sidecar(route_to(server.port, "/crm/", credential=None, allow=ALLOW), credential=None) as running:
            got = await answer(running, at(running, head("/crm/open/x", method=method)))
            assert got.status in (400, 403)
            assert server.connections == []


@pytest.mark.parametrize(
    ("lines", "allowed"),
    [
        ([], True),
        (["X-HTTP-Method-Override: POST"], True),
        (["X-HTTP-Method-Override: GET"], False),
        (["X-HTTP-Method-Override: DELETE"], False),
        (["x-http-method-override: delete"], False),
        (["X_HTTP_Method_Override: DELETE"], False),
        (["X-HTTP-Method: PUT"], False),
        (["X-Method-Override: PATCH"], False),
        (["X-Method-Override: POST", "X-HTTP-Method: DELETE"], False),
        (["X-HTTP-Method-Override: POST, DELETE"], False),
        (["X-HTTP-Method-Override:"], False),
        (["X-Original-URL: /admin"], False),
        (["X-Rewrite-URL: /crm/notes/1"], False),
        (["X-Original-Method: DELETE", "X-Forwarded-Uri: /admin"], True),  # said of what was, by proxies
    ],
)
async def test_a_field_that_names_another_method_or_path_is_part_of_the_question(
    lines: list[str], allowed: bool
) -> None:
    """Where there are rules, and there alone: elsewhere it goes on as it came."""
    async with upstream(always(response())) as server:
        ruled = route_to(server.port, "/crm/", credential=None, allow=ALLOW)
        free = route_to(server.port, "/free/", name="free", credential=None)
        async with sidecar(ruled, free, credential=None) as running:
            got = await answer(running, at(running, head("/crm/notes/1", *lines, method="POST")))
            assert got.status == (200 if allowed else 403)
            if not allowed:
                assert got.reason == "rule"
            assert (await answer(running, at(running, head("/free/x", *lines, method="POST")))).status == 200
            assert len(server.requests) == 1 + allowed
            assert all(line.encode() in server.requests[-1].lines for line in lines)


async def test_hosts_of_routes() -> None:
    """In any case, with a port where one is given; a route for another Host is no reason to refuse a reading."""
    routes = Routes(
        [
            (match("/", host="CRM.local"), "crm"),
            (match("/", host="crm.local:81"), "crm81"),
            (match("/", host="[::1]"), "six"),
            (match("/admin", host="crm.local"), "admin"),
            (match("/"), "rest"),
        ]
    )

    def found(host: str, target: str = "/") -> str:
        raw = f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        asked = RequestReader(100).read(raw)
        matched, route = routes.match(asked)
        matched.admit(asked)
        return route

    for host, expected in {
        "crm.local": "crm",
        "Crm.LOCAL:8080": "crm",
        "crm.local:81": "crm81",
        "[::1]": "six",
        "[::1]:8080": "six",
        "crm.local.": "rest",
        "xcrm.local": "rest",
        "localhost": "rest",
    }.items():
        assert found(host) == expected
    assert found("crm.local", "/admin/x") == "admin"
    assert found("localhost", "/%61dmin/x") == "rest"
    with pytest.raises(Refused):
        found("crm.local", "/%61dmin/x")


async def test_the_exchange_of_an_sdk_needs_no_rule() -> None:
    """The shield answers it here: nothing goes upstream that a rule could be about."""
    credential = CredentialConfig("crm", KEY, preset="static", shield=ShieldConfig("/auth/token"))
    async with upstream(always(response())) as server:
        read_only = route_to(server.port, "/crm/", allow=(Allow(("GET",)),))
        async with sidecar(read_only, credential=credential) as running:
            got = await running.ask("POST", "/crm/auth/token", body=b'{"apiKey": "gct_placeholder"}')
            assert got.status == 200 and b"placeholder" in got.body
            assert (await running.ask("POST", "/crm/auth/token/x")).status == 403
            assert server.connections == []


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-protected-resource",
        "/x/.well-known/%6fauth-server",
        "/.well-known/./oauth-a",
        "/.well-known//oauth-a",
    ],
)
async def test_an_agent_safe_route_has_no_oauth_metadata_in_any_reading(path: str) -> None:
    """404, whatever the upstream would say."""
    async with upstream(always(response())) as server:
        async with sidecar(route_to(server.port, credential=None, agent_safe=True), credential=None) as running:
            assert (await running.ask("GET", path)).status == 404
            assert server.connections == []


def test_the_work_on_a_path_is_bounded() -> None:
    """Of many readings, and of a long path that has several, nothing is made: a peer could make them cost much."""
    assert list(readings(b"/crm/x")) == [b"/crm/x"]
    assert list(readings(b"/crm/a%40b")) == [b"/crm/a%40b", b"/crm/a@b"]
    assert list(readings(b"/" + b"x" * 60_000)) == [b"/" + b"x" * 60_000]
    for path in (
        b"/" + b"%41" * LONGEST_BYTES,  # too long
        b"/%" + b"25" * 80 + b"41",  # too many readings
        b"/%252e%252541;%20.x" * 400,  # too much in all of them together
    ):
        with pytest.raises(Refused, match="too"):
            readings(path)
