"""Web pages of strangers: what a browser sends for one is refused, whatever the method, and nothing goes upstream.

Source: Fetch 3.1 (Origin), Fetch Metadata 2, RFC 6455 10.2; CVE-2025-52882 (WebSockets of an IDE's plug-in).
"""

from __future__ import annotations

import hmac

import pytest

from sidecar.config.values import GateConfig, KeyConfig
from sidecar.gate import HeaderRule
from sidecar.secret import Secret
from tests.attack.asking import CHROMIUM, answer, at, head
from tests.fakes import Wire, always, response
from tests.wire.running import in_front_of

GATE = GateConfig(hosts=("crm.local",), origins=("https://app.example.com", "http://localhost:5173"))
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND")

FOREIGN = [
    ["Origin: http://evil.example"],
    ["Origin: null"],  # a sandboxed frame, a data: URL, a redirect
    ["Origin: NULL"],
    ["Origin: file://"],
    ["Origin:"],
    ["Origin: *"],
    ["Origin: http://localhost:3000"],
    ["Origin: http://localhost"],
    ["Origin: http://localhost:<port>"],  # another name than the Host's: another origin
    ["Origin: http://[::1]:<port>"],
    ["Origin: https://127.0.0.1:<port>"],
    ["Origin: ws://127.0.0.1:<port>"],
    ["Origin: 127.0.0.1:<port>"],
    ["Origin: //127.0.0.1:<port>"],
    ["Origin: http://127.0.0.1:<port>/"],
    ["Origin: http://127.0.0.1:<port>/x"],
    ["Origin: http://127.0.0.1:<port>.evil.example"],
    ["Origin: http://127.0.0.1:<port>@evil.example"],
    ["Origin: http://evil.example#http://127.0.0.1:<port>"],
    ["Origin: http://127.0.0.1:<port> http://evil.example"],  # RFC 6454 7.1 knew lists
    ["Origin: http://127.0.0.1:<port>, http://evil.example"],
    ["Origin: http://127.0.0.1:<port>", "Origin: http://evil.example"],
    ["Origin: http://evil.example", "Origin: http://127.0.0.1:<port>"],
    ["Origin: http://127.0.0.1:<port>", "Origin:"],
    ["ORIGIN: http://evil.example"],
    ["Origin: chrome-extension://abcdefghijklmnop"],
    ["Origin: vscode-webview://abc"],
    # A configured one is admitted exactly.
    ["Origin: https://app.example.com:443"],
    ["Origin: https://APP.example.com"],
    ["Origin: https://app.example.com/"],
    ["Origin: http://app.example.com"],
    ["Origin: https://app.example.com:8443"],
    ["Origin: https://app.example.com.evil.example"],
    ["Origin: https://evil.app.example.com"],
    ["Origin: https://app.example.com", "Origin: https://app.example.com"],
    ["Origin: https://app.example.com", "Origin: null"],
    ["Origin: https://app.example.com, https://app.example.com"],
    ["Origin: http://localhost:5174"],
    ["Sec-Fetch-Site: cross-site"],
    ["Sec-Fetch-Site: same-site"],  # another port of localhost
    ["Sec-Fetch-Site: something-new"],
    ["Sec-Fetch-Site: Same-Origin"],
    ["Sec-Fetch-Site: none, cross-site"],
    ["Sec-Fetch-Site:"],
    ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"],
    ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: none"],
    ["sec-fetch-site: cross-site"],
    ["Sec_Fetch_Site: cross-site"],
    ["Sec.Fetch.Site: cross-site"],
    ["Origin: http://127.0.0.1:<port>", "Sec-Fetch-Site: cross-site"],
    ["Sec-Fetch-Site: same-origin", "Origin: http://evil.example"],
    # How they come: an image, a link, a form, a script, a beacon; the older a browser, the less it says.
    ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image", "Referer: http://evil.example/"],
    ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-User: ?1"],
    ["Origin: null", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"],
    ["Origin: http://evil.example", "Content-Type: text/plain", "Content-Length: 0"],
    ["Origin: http://evil.example", "Content-Type: application/x-www-form-urlencoded", "Content-Length: 0"],
    ["Origin: http://evil.example", "Content-Type: multipart/form-data; boundary=x", "Content-Length: 0"],
    ["Origin: http://evil.example", "Content-Type: application/json", "Content-Length: 0"],
    ["Origin: http://evil.example", "Access-Control-Request-Method: POST"],
    [
        "Origin: http://evil.example",
        "Access-Control-Request-Method: DELETE",
        "Access-Control-Request-Headers: authorization,x-any",
        "Access-Control-Request-Private-Network: true",
    ],
    ["Origin: http://evil.example", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"],
    ["Origin: null", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="],
]


async def test_a_foreign_page_reaches_nothing() -> None:
    """403 by every method; no byte upstream, and nothing that would let a page read the answer."""
    async with in_front_of(always(response()), gate=GATE) as (sidecar, upstream):
        for lines in FOREIGN:
            for method in METHODS:
                got = await answer(sidecar, at(sidecar, head("/x", *lines, method=method)))
                assert got.status == 403, (lines, method, got.start)
                assert b"access-control-" not in got.head.lower()
                if method != "HEAD":
                    assert got.reason == "origin", lines
        assert upstream.connections == []


@pytest.mark.parametrize(
    ("host", "lines", "status"),
    [
        ("crm.local", ["Upgrade-Insecure-Requests: 1", *CHROMIUM], 403),
        ("crm.local:<port>", ["Referer: http://evil.example/", *CHROMIUM], 403),
        ("CRM.local", CHROMIUM, 403),
        ("crm.local", ["Upgrade-Insecure-Requests: 1"], 403),
        ("crm.local", ["Origin: https://app.example.com", *CHROMIUM], 200),
        ("crm.local", ["Origin: http://crm.local", *CHROMIUM], 200),
        ("crm.local", [], 200),
        ("crm.local", ["User-Agent: node", "Accept-Language: *"], 200),
        ("localhost:<port>", CHROMIUM, 200),  # there, a browser says where a page is from
        ("[::1]:<port>", CHROMIUM, 200),
        ("127.0.0.1:<port>", CHROMIUM, 200),
    ],
)
async def test_a_page_that_a_browser_does_not_tell_of(host: str, lines: list[str], status: int) -> None:
    """Over http it says where a page is from to loopback alone: by another name, any page could have it send a GET."""
    async with in_front_of(always(response()), gate=GATE) as (sidecar, upstream):
        got = await answer(sidecar, at(sidecar, head("/x", *lines, host=host.encode())))
        assert got.status == status
        if status == 403:
            assert got.reason == "origin" and b"ask by localhost" in got.body
        assert len(upstream.requests) == (status == 200)


async def test_an_app_that_passes_a_browsers_fields_on() -> None:
    """It is told from a browser by the field that it must send: no page could have one send that."""
    for gate, line in (
        (GateConfig(hosts=("crm.local",), require_header=HeaderRule("X-Own", "1")), "X-Own: 1"),
        (GateConfig(hosts=("crm.local",), require_token=TOKEN.require_token), "Sidecar-Token: let-me-in"),
    ):
        async with in_front_of(always(response()), gate=gate) as (sidecar, upstream):
            passed_on = head("/x", line, *CHROMIUM, host=b"crm.local")
            assert (await answer(sidecar, at(sidecar, passed_on))).status == 200
            assert (await answer(sidecar, at(sidecar, head("/x", *CHROMIUM, host=b"crm.local")))).status == 403
            assert len(upstream.requests) == 1


OURS = [
    [],
    ["Origin: http://127.0.0.1:<port>"],
    ["Origin: http://127.0.0.1:<port>", "Sec-Fetch-Site: same-origin"],
    ["Sec-Fetch-Site: none", "Sec-Fetch-Mode: navigate"],  # typed by a person
    ["Sec-Fetch-Mode: cors"],  # Node's fetch, which is no browser, says this and no more
    ["Referer: http://evil.example/"],
    ["X-Origin: http://evil.example"],
    ["Origin: https://app.example.com"],
    ["Origin: http://localhost:5173", "Sec-Fetch-Site: same-site"],
    ["Origin: https://app.example.com", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: cors"],
]


async def test_what_is_no_stranger_s_page_gets_through() -> None:
    """Apps, this origin's own pages, and the origins configured; what they said goes on, and CORS is the upstream's."""
    allowing = response(b"ok", "Access-Control-Allow-Origin: https://app.example.com")
    async with in_front_of(always(allowing), gate=GATE) as (sidecar, upstream):
        for lines in OURS:
            for method in ("GET", "POST", "OPTIONS"):
                got = await answer(sidecar, at(sidecar, head("/x", *lines, method=method)))
                assert got.status == 200, (lines, method)
                assert got.values("access-control-allow-origin") == [b"https://app.example.com"]
                asked = upstream.requests[-1]
                assert [line for line in asked.lines if line == at(sidecar, line)][1:-1] == [
                    at(sidecar, line.encode()) for line in lines
                ]


async def test_a_configured_origin_without_its_name_is_a_stranger() -> None:
    """A link or an image of its pages has no Origin, only that it is of another site."""
    async with in_front_of(always(response()), gate=GATE) as (sidecar, upstream):
        lines = ["Sec-Fetch-Site: cross-site", "Referer: https://app.example.com/"]
        assert (await answer(sidecar, at(sidecar, head("/", *lines)))).status == 403
        assert upstream.connections == []


async def test_a_preflight_of_a_configured_origin_is_the_upstream_s_to_answer() -> None:
    """With the token on it, like any request; nothing is added to the answer."""
    async with in_front_of(always(response(b"", status="200 OK")), gate=GATE) as (sidecar, upstream):
        lines = ["Origin: https://app.example.com", "Access-Control-Request-Method: PUT"]
        got = await answer(sidecar, at(sidecar, head("/", *lines, method="OPTIONS")))
        assert got.status == 200 and b"access-control" not in got.head.lower()
        assert upstream.requests[0].values("access-control-request-method") == [b"PUT"]


@pytest.mark.parametrize(
    ("origin", "status"), [("http://evil.example", 403), ("null", 403), ("https://app.example.com", 101), (None, 101)]
)
async def test_a_websocket_of_a_foreign_page_is_refused(origin: str | None, status: int) -> None:
    """Browsers send one anywhere, and let the page read what comes back: no preflight, no CORS."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")

    async with in_front_of(script, gate=GATE) as (sidecar, upstream):
        lines = ["Connection: Upgrade", "Upgrade: websocket", *([f"Origin: {origin}"] if origin else [])]
        assert (await answer(sidecar, at(sidecar, head("/socket", *lines)))).status == status
        assert len(upstream.connections) == (status == 101)


TOKEN = GateConfig(require_token=KeyConfig("value", value=Secret("let-me-in")), origins=("https://app.example.com",))


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["Sidecar-Token:"],
        ["Sidecar-Token: wrong"],
        ["Sidecar-Token: let-me-i"],
        ["Sidecar-Token: let-me-in-"],
        ["Sidecar-Token: LET-ME-IN"],
        ["Sidecar-Token: Bearer let-me-in"],
        ["Sidecar-Token: let-me-in, let-me-in"],
        ["Sidecar-Token: let-me-in", "Sidecar-Token: let-me-in"],
        ["Sidecar-Token: let-me-in", "Sidecar-Token: wrong"],
        ["Sidecar-Token: let-me-in", "sidecar_token: wrong"],
        ["Sidecar-Token: wrong", "Sidecar.Token: let-me-in"],
        ["X-Sidecar-Token: let-me-in"],
        ["Authorization: Bearer let-me-in"],
        ["Cookie: Sidecar-Token=let-me-in"],
        ["Connection: Sidecar-Token"],
        # Neither a preflight nor an upgrade is let off: browsers cannot send the field with either.
        ["Origin: https://app.example.com", "Access-Control-Request-Method: PUT"],
        ["Connection: Upgrade", "Upgrade: websocket"],
    ],
)
async def test_without_the_required_token_nobody_gets_in(lines: list[str]) -> None:
    """Missing, empty, wrong, or more than one, on TCP, by every method; a trailer comes too late."""
    async with in_front_of(always(response()), gate=TOKEN) as (sidecar, upstream):
        for method in ("GET", "POST", "OPTIONS"):
            got = await answer(sidecar, at(sidecar, head("/", *lines, method=method)))
            assert (got.status, got.reason) == (403, "require_token"), (lines, method)
            assert b"let-me" not in got.head + got.body
        late = b"0\r\nSidecar-Token: let-me-in\r\n\r\n"
        raw = at(sidecar, head("/", *lines, "Transfer-Encoding: chunked", method="POST"))
        assert (await answer(sidecar, raw + late)).status == 403
        assert upstream.connections == []


async def test_the_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a refusal takes must not tell how much of a guess was right."""
    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def noting(given: bytes, wanted: bytes) -> bool:
        compared.append((given, wanted))
        return compare(given, wanted)

    monkeypatch.setattr(hmac, "compare_digest", noting)
    async with in_front_of(always(response()), gate=TOKEN) as (sidecar, _):
        for guess in ("", "l", "let-me-ix", "let-me-in"):
            await answer(sidecar, at(sidecar, head("/", f"Sidecar-Token: {guess}")))
    assert compared == [(guess, b"let-me-in") for guess in (b"", b"l", b"let-me-ix", b"let-me-in")]


@pytest.mark.parametrize(
    "lines",
    [
        ["Sidecar-Token: let-me-in"],
        ["sidecar-token:let-me-in"],
        ["SIDECAR-TOKEN: \t let-me-in \t"],
        ["sidecar_token: let-me-in"],
        ["Connection: keep-alive, Sidecar-Token", "Sidecar-Token: let-me-in"],
        ["Connection: sidecar_token", "Sidecar-Token: let-me-in"],
    ],
)
async def test_the_required_token_stays_here(lines: list[str]) -> None:
    """In no spelling, not as a trailer, and not because Connection names it."""
    async with in_front_of(always(response()), gate=TOKEN) as (sidecar, upstream):
        chunked = [*lines, "Transfer-Encoding: chunked", "TE: trailers"]
        trailers = b"Sidecar-Token: let-me-in\r\nsidecar_token: let-me-in\r\nSidecar.Token: let-me-in\r\nX-Sum: 1\r\n"
        raw = at(sidecar, head("/", *chunked, method="POST")) + b"1\r\nx\r\n0\r\n" + trailers + b"\r\n"
        assert (await answer(sidecar, raw)).status == 200
        asked = upstream.requests[0]
        assert b"let-me-in" not in asked.head + b"".join(asked.trailers)
        assert asked.trailers == (b"X-Sum: 1",)


@pytest.mark.parametrize(
    ("lines", "admitted"),
    [
        (["X-Sidecar-Request: true"], True),
        (["x-sidecar-request:true"], True),
        ([], False),
        (["X-Sidecar-Request:"], False),
        (["X-Sidecar-Request: True"], False),
        (["X-Sidecar-Request: true1"], False),
        (["X-Sidecar-Request: true, true"], False),
        (["X-Sidecar-Request: true", "X-Sidecar-Request: true"], False),
        (["X-Sidecar-Request: true", "X-Sidecar-Request: false"], False),
        (["X-Sidecar-Request: true", "X_Sidecar_Request: false"], False),
    ],
)
async def test_a_required_field_is_there_once_and_exact(lines: list[str], admitted: bool) -> None:
    """A page cannot send it without a preflight. It is no secret, and goes on as it came."""
    gate = GateConfig(require_header=HeaderRule("X-Sidecar-Request", "true"))
    async with in_front_of(always(response()), gate=gate) as (sidecar, upstream):
        got = await answer(sidecar, at(sidecar, head("/", *lines)))
        assert got.status == (200 if admitted else 403)
        assert len(upstream.connections) == admitted
        if admitted:
            assert lines[0].encode() in upstream.requests[0].lines
