"""The document at `/`: it is whole, it lets nothing in, and what it is told stays text. (In a browser: tests/page.)"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from flit_core import buildapi  # type: ignore[import-untyped]

from sidecar.admin.page import SCRIPTS
from sidecar.admin.view import Reload, RouteView, Setting
from sidecar.config.values import KeyConfig
from sidecar.secret import Secret
from tests.admin.running import Asked, MadeUpProcess, credential, running
from tests.fakes import always, response, upstream
from tests.wire.running import exchanging, route_to, sidecar

CANARY = "canary-4711"
ROOT = Path(__file__).parents[2]


def _policy(value: str) -> dict[str, str]:
    return {name: sources for name, _, sources in (rule.partition(" ") for rule in value.split("; "))}


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


async def test_the_policy_lets_in_what_is_there_and_nothing_else() -> None:
    """The style and the script, each by its hash; a connection to where it came from; and no frame around it."""
    async with running(MadeUpProcess()) as admin:
        answer = await admin.ask("/")
    page = answer.body.decode()
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert _policy(answer.headers["content-security-policy"]) == {
        "default-src": "'none'",
        "style-src": _hash(style),
        "script-src": _hash(script),
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert (answer.headers["referrer-policy"], answer.headers["cross-origin-opener-policy"]) == (
        "no-referrer",
        "same-origin",
    )
    assert "style=" not in page and not re.search(r"\son[a-z]+=", page)
    assert set(re.findall(r"https?://[^\s\"'`<]+", page)) == {"http://www.w3.org/2000/svg", "https://api.example.com"}


async def test_what_it_is_told_stays_data() -> None:
    """A hostile name ends no element, and comes back as it was."""
    hostile = "</script><script>alert(1)</script><!--&lt;"
    process = MadeUpProcess(
        [credential(hostile, "expired", usable=False, error=hostile)],
        routes=[RouteView(hostile, hostile, hostile, hostile, hostile)],
        config_source=hostile,
        listeners=[hostile],
        last_reload=Reload(0.0, hostile),
        configured=[Setting(hostile, hostile, hostile)],
    )
    async with running(process) as admin:
        page = (await admin.ask("/")).body.decode()
    (data,) = re.findall(r'<script type="application/json" id="first">(.*?)</script>', page, re.DOTALL)
    assert "<" not in data and "alert(1)" not in page.replace(data, "")
    told = json.loads(data)
    assert told["status"]["config_source"] == told["status"]["credentials"][0]["error"] == hostile
    assert told["settings"][0]["key"] == hostile


@pytest.mark.parametrize(
    "answer",
    [
        response(f'{{"error": "{CANARY}", "error_description": "{CANARY}"}}'.encode(), status="401 <b>Denied</b>"),
        response(f"<script>{CANARY}</script>".encode(), "Content-Type: text/html", status=f"500 {CANARY}"),
        response(f'{{"token": "{CANARY} <b>"}}'.encode()),
        response(b"", f"Location: https://{CANARY}.example/", status="302 Found"),
        f"{CANARY}\r\n\r\n".encode(),
    ],
)
async def test_nothing_that_a_token_endpoint_answers_is_on_it(answer: bytes) -> None:
    """Nor the key, nor what an app asked for; not in the document, its events, nor the status."""
    async with upstream(always(answer)) as endpoint:
        key = KeyConfig("value", value=Secret(CANARY))
        async with sidecar(route_to(9), credential=replace(exchanging(endpoint.port), api_key=key)) as running:
            await running.ask("GET", f"/{CANARY}?{CANARY}", f"X-A: {CANARY}")
            admin = Asked("127.0.0.1", running.admin_port)
            page, status = (await admin.ask("/")).body, (await admin.ask("/status")).body
            reader, writer = await asyncio.open_connection(admin.address, admin.port)
            writer.write(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % admin.port)
            events = await reader.readuntil(b"event: status\n") + await reader.readuntil(b"\n\n")
            writer.close()
    for seen in (page, status, events):
        assert b"the token endpoint" in seen or b"127.0.0.1 answered" in seen or b"visible ASCII" in seen
        assert CANARY.encode() not in seen


async def test_it_stays_small() -> None:
    """With all that it is drawn by; what it weighs goes over loopback, and into the memory of whoever looks."""
    async with running(MadeUpProcess()) as admin:
        assert len((await admin.ask("/")).body) < 60_000


def test_the_wheel_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever installs the package can look at the page."""
    monkeypatch.chdir(ROOT)
    with zipfile.ZipFile(tmp_path / buildapi.build_wheel(str(tmp_path))) as wheel:
        held = set(wheel.namelist())
    assert {f"sidecar/admin/{name}" for name in ("page.html", "page.css", *SCRIPTS)} <= held
