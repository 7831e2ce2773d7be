"""Who may use a listener: no web page of a stranger, no host name of one, and nobody without what is asked for."""

from __future__ import annotations

import pytest

from sidecar.config.values import GateConfig, KeyConfig
from sidecar.gate import HeaderRule
from sidecar.secret import Secret
from tests.fakes import Message, always, response
from tests.wire.running import Running, in_front_of

GATE = GateConfig(hosts=("crm.local",), origins=("https://app.example.com",))


async def ask(sidecar: Running, *lines: str, host: str | None = "@", target: str = "/") -> Message:
    """Ask with this Host, in which @ stands for the listener's port."""
    wire = await sidecar.connect()
    head = [f"GET {target} HTTP/1.1", *([f"Host: {host}"] if host is not None else []), *lines, "", ""]
    text = "\r\n".join(head).replace("Host: @", f"Host: {sidecar.host.decode()}")
    await wire.send(text.replace("@", str(sidecar.port)).encode())
    return await wire.response()


@pytest.mark.parametrize(
    ("host", "admitted"),
    [
        ("127.0.0.1:@", True),
        ("localhost:@", True),
        ("LocalHost:@", True),
        ("[::1]:@", True),
        ("crm.local", True),
        ("crm.local:@", True),
        ("CRM.local", True),
        ("localhost", False),
        ("127.0.0.1", False),
        ("localhost:1", False),
        ("crm.local:1", False),
        ("evil.com", False),
        ("evil.com:@", False),
        ("localhost.evil.com:@", False),
        ("evil.localhost:@", False),
        ("crm.local.evil.com", False),
        ("127.0.0.2:@", False),
        ("0.0.0.0:@", False),
        ("127.1:@", False),
        ("localhost.:@", False),
    ],
)
async def test_the_host_must_be_ours(host: str, admitted: bool) -> None:
    """Exactly: a name that merely leads here is a rebound one."""
    async with in_front_of(always(response()), gate=GATE) as (sidecar, upstream):
        answer = await ask(sidecar, host=host)
        assert answer.status == (200 if admitted else 403)
        if not admitted:
            assert answer.reason == "host"
        assert len(upstream.requests) == admitted


async def test_the_authority_of_an_absolute_target_must_be_ours_too() -> None:
    """A Host of ours beside it does not help."""
    async with in_front_of(always(response()), gate=GATE) as (sidecar, upstream):
        assert (await ask(sidecar, target="http://evil.com/")).reason == "host"
        assert (await ask(sidecar, target="http://crm.local/", host="crm.local")).status == 200
        assert (await ask(sidecar, target="HTTP://Crm.Local/", host="crm.local")).status == 200
        assert len(upstream.requests) == 2


@pytest.mark.parametrize(
    ("lines", "admitted"),
    [
        ([], True),
        (["Origin: http://127.0.0.1:@"], True),
        (["Origin: https://app.example.com"], True),
        (["Origin: https://app.example.com", "Sec-Fetch-Site: cross-site"], True),
        (["Sec-Fetch-Site: same-origin"], True),
        (["Sec-Fetch-Site: none"], True),
        (["Origin: http://evil.com"], False),
        (["Origin: null"], False),
        (["Origin: https://127.0.0.1:@"], False),
        (["Origin: http://127.0.0.1"], False),
        (["Origin: http://app.example.com"], False),
        (["Origin: https://app.example.com.evil.com"], False),
        (["Origin: https://app.example.com", "Origin: http://evil.com"], False),
        (["Origin: http://127.0.0.1:@", "Origin: http://evil.com"], False),
        (["Sec-Fetch-Site: cross-site"], False),
        (["Sec-Fetch-Site: same-site"], False),
        (["Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"], False),
        (["Origin: http://127.0.0.1:@", "Sec-Fetch-Site: cross-site"], False),
        (["origin: http://evil.com"], False),
    ],
)
async def test_web_pages_must_be_ours(lines: list[str], admitted: bool) -> None:
    """A page of another origin is refused before anything goes upstream; what is not a page has neither field."""
    async with in_front_of(always(response()), gate=GATE) as (sidecar, upstream):
        answer = await ask(sidecar, *lines)
        assert answer.status == (200 if admitted else 403)
        if not admitted:
            assert answer.reason == "origin"
        assert len(upstream.requests) == admitted


async def test_browser_fields_of_an_admitted_page_go_upstream() -> None:
    """They mean something there as well."""
    async with in_front_of(always(response()), gate=GATE) as (sidecar, upstream):
        assert (await ask(sidecar, "Origin: https://app.example.com", "Sec-Fetch-Site: cross-site")).status == 200
        assert upstream.requests[0].value("origin") == b"https://app.example.com"
        assert upstream.requests[0].value("sec-fetch-site") == b"cross-site"


async def test_a_required_header() -> None:
    """With exactly its value, on every request."""
    gate = GateConfig(require_header=HeaderRule("X-Sidecar-Request", "true"))
    async with in_front_of(always(response()), gate=gate) as (sidecar, upstream):
        for lines in ([], ["X-Sidecar-Request: yes"], ["X-Sidecar-Request:"], ["X-Sidecar: true"]):
            assert (await ask(sidecar, *lines)).reason == "require_header"
        assert upstream.requests == []
        assert (await ask(sidecar, "x-sidecar-request:  true ")).status == 200


async def test_a_required_token() -> None:
    """It is not forwarded, and neither it nor a wrong one is shown."""
    gate = GateConfig(require_token=KeyConfig("value", value=Secret("let-me-in")))
    async with in_front_of(always(response()), gate=gate) as (sidecar, upstream):
        for lines in ([], ["Sidecar-Token: wrong-one"], ["Sidecar-Token:"], ["Sidecar-Token: let-me-in2"]):
            answer = await ask(sidecar, *lines)
            assert (answer.status, answer.reason) == (403, "require_token")
            assert b"let-me-in" not in answer.body and b"wrong-one" not in answer.body
        assert upstream.requests == []
        assert (await ask(sidecar, "Sidecar-Token: let-me-in")).status == 200
        assert upstream.requests[0].values("sidecar-token") == []


async def test_a_token_that_nobody_asks_for_is_not_forwarded_either() -> None:
    """It was meant for a sidecar."""
    async with in_front_of(always(response()), route={"credential": None}) as (sidecar, upstream):
        assert (await ask(sidecar, "Sidecar-Token: x", "sidecar_token: y")).status == 200
        assert len(upstream.requests[0].lines) == 1


async def test_a_refused_app_keeps_its_connection() -> None:
    """Refusing is an answer like any other, body or not."""
    async with in_front_of(always(response())) as (sidecar, upstream):
        wire = await sidecar.connect()
        for _ in range(2):
            await wire.send(sidecar.ask_bytes("POST", "/", "Origin: http://evil.com", body=b"x" * 1000))
            assert (await wire.response()).status == 403
        await wire.send(sidecar.ask_bytes())
        assert (await wire.response()).status == 200
        assert len(upstream.requests) == 1


async def test_every_reason_to_refuse_is_counted_from_zero() -> None:
    """A reason that appears only with its first refusal would hide that one from `rate()`."""
    async with in_front_of(always(response(b"ok"))) as (sidecar, _):
        before = dict(sidecar.app.stats.refusals.by_reason)
        assert before[("host", "")] == 0
        assert before[("rule", "crm")] == 0
        wire = await sidecar.connect()
        await wire.send(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        assert (await wire.response()).status == 403
        after = sidecar.app.stats.refusals.by_reason
        assert after[("host", "")] == 1
        assert set(after) == set(before)
