"""Request targets: whatever one says, a request goes to the configured upstream as it came, or nowhere.

Source: RFC 9112 3.2; LiteLLM's CVE-2024-6587 and many an SSRF before it took the target's word for where to go.
"""

from __future__ import annotations

import logging
import os
import random

import pytest

from sidecar.config.values import GateConfig
from tests.attack.asking import Pipelined, answer, at, head, watched_network
from tests.fakes import Tokens, Wire, always, response, upstream
from tests.wire.running import Running, exchanging, in_front_of, route_to, sidecar


@pytest.fixture
def silence(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of warnings are not what is looked at here."""
    caplog.set_level(logging.CRITICAL, "sidecar")


MANY = 10_000 if os.environ.get("SIDECAR_LONG") else 2_000
METHODS = ("GET", "POST", "OPTIONS", "HEAD", "CONNECT", "PUT")
EVIL = ("evil.example", "evil.example:80", "169.254.169.254", "[::ffff:169.254.169.254]", "127.0.0.1:1", "localhost:1")
SHAPES = [
    "//{evil}/x", "///{evil}/x", "/\\{evil}/x", "\\\\{evil}\\x", "/\\/{evil}", "@{evil}", "/@{evil}/", ":@{evil}",
    "@{evil}/", "http:{evil}", "http:/{evil}", "http:\\\\{evil}", "http:///{evil}/", "http://{evil}/",
    "HTTP://{evil}/x", "https://{evil}/", "http://{own}@{evil}/", "http://{evil}@{own}/", "http://{own}#@{evil}/",
    "http://{own}?@{evil}/", "http://{own}\\@{evil}/", "http://{own}/", "http://{own}/x?y=http://{evil}/",
    "http://{own}:80/", "http://{own}.{evil}/", "http://{evil}/{own}", "{evil}", "{evil}:443", "{own}", "*", "*/x",
    "/*", "?", "?x=http://{evil}/", "#", "/#{evil}", ".", "..", "../x", "x", "/http://{evil}/", "/{evil}/",
    "/..//{evil}", "/%2f%2f{evil}/", "/%5c{evil}", "/.{evil}/", "/?url=http://{evil}/", "/x://{evil}",
    "ftp://{evil}/", "file:///etc/passwd", "gopher://{evil}/_x", "javascript:alert(1)", "data:,x", "ws://{evil}/",
    "unix:/run/x", "http+unix://%2Frun%2Fx/", "dict://{evil}:11211/", "jar:http://{evil}!/",
    "view-source:http://{evil}", "about:blank",
]  # fmt: skip
PIECES = [
    "/",
    "//",
    "\\",
    "@",
    ":",
    "?",
    "#",
    "*",
    ".",
    "..",
    "%2f",
    "%00",
    "%0d%0a",
    "%09",
    "http:",
    "x",
    "{evil}",
    "{own}",
]
PIECES += [
    "\t",
    "\x0b",
    "\x7f",
    "\xa0",
    "\xe9",
    "%",
    "%zz",
    "[",
    "]",
    "::1",
    ";",
    "&",
    "=",
    "~",
    "|",
    "^",
    "{{",
    "}}",
    '"',
    "<",
]


def targets(count: int, own: str) -> list[bytes]:
    """Return this many targets, the same in every run."""
    chance = random.Random(9112)
    found = [shape.format(evil=evil, own=own) for shape in SHAPES for evil in EVIL]
    while len(found) < count:
        shape = "".join(chance.choices(PIECES, k=chance.randint(1, 7)))
        if chance.random() < 0.6:
            shape = chance.choice(("/", "//", "http://", "http://{own}", "/\\", "@")) + shape
        found.append(shape.format(evil=chance.choice(EVIL), own=own))
    return [target.encode("latin-1") for target in found[:count]]


@pytest.mark.usefixtures("silence")
async def test_no_target_says_where_a_request_goes() -> None:
    """Over thousands of them nothing is connected to but upstream and token endpoint, and no other name is resolved."""
    fine = always(response(b"x"))
    async with upstream(fine) as server, upstream(Tokens()) as endpoint:
        with watched_network() as seen:
            async with sidecar(route_to(server.port), credential=exchanging(endpoint.port)) as running:
                requests = []
                for number, target in enumerate(targets(MANY, running.host.decode())):
                    method = METHODS[number % len(METHODS)]
                    requests.append(at(running, head(target, method=method)))
                before = len(seen)
                asking = Pipelined(running, batch=3)  # most of them end their connection
                await asking.ask(requests)
                own = ("connect", ("127.0.0.1", running.port))
        allowed = {("connect", ("127.0.0.1", port)) for port in (server.port, endpoint.port)}
        assert set(seen) - {own, ("resolve", "127.0.0.1")} <= allowed, set(seen) - allowed
        assert before < len(seen)
        assert sum(asking.statuses.values()) == MANY and set(asking.statuses) == {200, 400, 403, 405}
        assert asking.statuses[200] > MANY // 10 and asking.statuses[200] == len(server.requests)
        assert all(asked.target.startswith(b"/") for asked in server.requests)
        assert {host for asked in server.requests for host in asked.values("host")} == {b"127.0.0.1:%d" % server.port}


def path_of(rest: str) -> bytes:
    """Return the target to send for what stands behind an authority (RFC 9110 4.2.3)."""
    return (rest if rest.startswith("/") else f"/{rest}").encode()


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("CONNECT", "evil.example:443", 405),  # RFC 9110 9.3.6: a tunnel to anywhere
        ("CONNECT", "127.0.0.1:<port>", 405),
        ("CONNECT", "/", 405),
        ("TRACE", "/", 405),  # RFC 9110 9.3.8: it would show the token
        ("TRACE", "http://evil.example/", 405),
        ("OPTIONS", "*", 400),  # RFC 9110 9.3.7: about a server as a whole, and there may be several behind us
        ("OPTIONS", "http://127.0.0.1:<port>", 400),  # RFC 9112 3.2.4: the same
        ("OPTIONS", "http://127.0.0.1:<port>?x", 400),
        ("GET", "*", 400),
        ("GET", "http://", 400),
        ("GET", "http://?x", 400),
        ("GET", "http://user@127.0.0.1:<port>", 400),
        ("GET", "http://127.0.0.1:<port>#x", 400),
        ("GET", "http://evil.example", 403),
        ("GET", "http://evil.example?http://127.0.0.1:<port>/", 403),
        ("GET", "http://127.0.0.1:<port>?@evil.example/", 200),
        ("GET", "evil.example", 400),
        ("GET", "http:evil.example", 400),
        ("GET", "http:/evil.example", 400),
        ("GET", "http:///evil.example", 400),
        ("GET", "@evil.example", 400),
        ("GET", "\\evil.example", 400),
        ("GET", "?x", 400),
        ("GET", "/x\ty", 400),
        ("GET", "/x#y", 400),
        ("GET", "//evil.example/x", 200),  # origin-form: a path whose first segment is empty
        ("GET", "/\\evil.example", 200),
        ("GET", "/@evil.example", 200),
    ],
)
async def test_a_target_is_a_path_or_it_is_refused(method: str, target: str, status: int) -> None:
    """Nothing of another form is forwarded; a path is, as it came."""
    async with in_front_of(always(response())) as (running, server):
        raw = at(running, head(target, method=method))
        assert (await answer(running, raw)).status == status
        sent = target.removeprefix("http://127.0.0.1:<port>")
        assert [asked.target for asked in server.requests] == ([path_of(sent)] if status == 200 else [])


async def test_no_path_of_the_upstream_is_taken_by_us() -> None:
    """Health, metrics, status and orders are on a listener of their own, and no prefix here is reserved."""
    paths = [
        "/livez",
        "/healthz",
        "/readyz",
        "/readyz/crm",
        "/startupz",
        "/metrics",
        "/status",
        "/-/quit",
        "/-/refresh",
        "/-/reload",
    ]
    async with in_front_of(always(response(b"theirs"))) as (running, server):
        for path in ["/", *paths]:
            for method in ("GET", "POST"):
                assert (await running.ask(method, path)).body == b"theirs"
        assert len(server.requests) == 2 * len(paths) + 2 and not running.app.draining


@pytest.mark.parametrize("host", [b"@", b"evil.example"])
async def test_trace_is_never_served(host: bytes) -> None:
    """Whatever else is said of it: with a rule for it, an override, a body, or for a stranger."""
    async with in_front_of(always(response())) as (running, server):
        for lines in ([], ["Max-Forwards: 0"], ["X-HTTP-Method-Override: GET"], ["Content-Length: 0"]):
            got = await answer(running, at(running, head("/", *lines, method="TRACE", host=host)))
            assert (got.status, got.reason) == (405, "method")
        for method in ("trace", "Trace", "TRACK", "Track", "connect"):
            assert (await answer(running, at(running, head("/", method=method, host=host)))).status == 405
        assert server.connections == []


# RFC 3986 3.3 and 3.4: what a path and a query are made of, and percent-encoded bytes in either case.
_PCHAR = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@"


def valid_target(chance: random.Random) -> str:
    """Return an origin-form target (RFC 9112 3.2.1)."""

    def run(alphabet: str, most: int) -> str:
        pieces = chance.choices(alphabet, k=chance.randint(0, most))
        if chance.random() < 0.4:
            digits = chance.choice(("%{:02x}", "%{:02X}"))
            pieces.insert(chance.randint(0, len(pieces)), digits.format(chance.randint(0, 255)))
        return "".join(pieces)

    segments = [chance.choice(("", ".", "..", run(_PCHAR, 12))) for _ in range(chance.randint(1, 6))]
    path = "/" + "/".join(segments)
    return path + "?" + run(_PCHAR + "/?", 30) if chance.random() < 0.5 else path


async def noting_targets(wire: Wire) -> None:
    """Answer each request with the target that it had."""
    while True:
        asked = await wire.request()
        await wire.send(response(asked.target))


async def test_a_valid_target_arrives_byte_for_byte() -> None:
    """Thousands at random, dot segments, empty ones and encoded bytes among them, on one connection."""
    chance = random.Random(3986)
    wanted = [valid_target(chance) for _ in range(MANY)]
    wanted[:3] = ["////x", "/?", "/??&=?"]
    async with in_front_of(noting_targets) as (running, _):
        before = await series(running)
        wire = await running.connect()
        for begin in range(0, len(wanted), 100):
            part = wanted[begin : begin + 100]
            await wire.send(b"".join(running.ask_bytes("GET", target) for target in part))
            for target in part:
                got = await wire.response()
                assert (got.status, got.body) == (200, target.encode())
        assert len(running.app_connections()) == 1
        assert await series(running) == before


SERIES = 227


async def series(running: Running) -> int:
    """Return how many series the admin listener shows."""
    from sidecar.metrics import Metrics

    body, _ = Metrics(running.app).render(None)
    return sum(not line.startswith(b"#") for line in body.splitlines())


@pytest.mark.usefixtures("silence")
async def test_no_request_makes_a_metric() -> None:
    """Series come from the configuration alone, whatever paths, hosts and methods are asked for: no more than 227."""
    methods = "GET POST PUT PATCH DELETE OPTIONS HEAD PROPFIND MKCOL LOCK SEARCH REPORT PURGE LINK TRACE".split()
    async with in_front_of(always(response(b"x")), gate=GateConfig(hosts=("crm.local",))) as (running, _):
        await running.ask()
        before = await series(running)
        asking = Pipelined(running)
        requests = []
        for number in range(MANY):
            host = (b"@", b"crm.local", b"@", b"crm.local", b"h%d.example" % number)[number % 5]
            method = methods[number % len(methods)] if number % 2 else f"M{number}"
            requests.append(at(running, head(f"/p{number}?q={number}", f"X-{number}: 1", method=method, host=host)))
        await asking.ask(requests)
        assert await series(running) == before <= SERIES
