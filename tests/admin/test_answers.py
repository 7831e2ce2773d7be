"""What the admin listener shows, and that its errors are ours and quote nobody."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import re

import pytest

from sidecar.admin.view import Reload, RouteView
from tests.admin.running import MadeUpProcess, credential, running


async def test_status_tells_everything() -> None:
    """Times are ISO 8601 in UTC, and beside them as seconds from now."""
    process = MadeUpProcess(last_reload=Reload(1_799_999_990.0, "2 mistakes"))
    async with running(process) as admin:
        told = (await admin.ask("/status")).json
    assert (told["version"], told["uptime_s"], told["started_at"]) == ("9.9.9", 3600.0, "2027-01-15T07:00:00Z")
    assert told["last_reload"] == {"at": "2027-01-15T07:59:50Z", "age_s": 10.0, "ok": False, "error": "2 mistakes"}
    assert told["listeners"] == ["127.0.0.1:8080"]
    assert told["routes"][0]["upstream"] == "https://api.example.com"
    (one,) = told["credentials"]
    assert (one["state"], one["expires_at"], one["expires_in_s"]) == ("fresh", "2027-01-15T08:09:00Z", 540.0)
    assert (one["age_s"], one["fingerprint"], one["error"]) == (60.0, "0a1b2c3d", None)
    assert one["last_exchange"]["outcome"] == "ok"
    assert one["recent"] == [one["last_exchange"]]


async def test_status_before_the_first_exchange() -> None:
    """What there is not yet is null."""
    async with running(MadeUpProcess([credential(state="empty", usable=False)])) as admin:
        (one,) = (await admin.ask("/status")).json["credentials"]
    assert [one[key] for key in ("obtained_at", "age_s", "expires_at", "last_exchange")] == [None] * 4


async def test_metrics_get_the_accept_field() -> None:
    """Body and content type are the renderer's."""
    async with running(MadeUpProcess()) as admin:
        answer = await admin.ask("/metrics", "Accept: application/openmetrics-text")
    assert answer.body == b"accept application/openmetrics-text\n"
    assert answer.headers["content-type"] == "text/plain; version=0.0.4"


async def test_the_page_is_escaped_and_allows_nothing_but_its_own_style() -> None:
    """A hostile name stays text, and the policy's hash is that of the style that is there."""
    hostile = "<script>alert(1)</script>"
    process = MadeUpProcess(
        [credential(hostile, "expired", usable=False, error=hostile)],
        routes=[RouteView(hostile, hostile, hostile, hostile, hostile)],
        config_source=hostile,
        listeners=[hostile],
    )
    async with running(process) as admin:
        answer = await admin.ask("/")
    page = answer.body.decode()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    policy = answer.headers["content-security-policy"]
    style = re.search(r"<style>(.*)</style>", page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"https?://(?!api\.example)", page)


async def test_common_fields_are_minimal_and_safe() -> None:
    """No version of anything, nothing kept in a cache, nothing sniffed."""
    async with running(MadeUpProcess()) as admin:
        for path in ("/livez", "/status", "/", "/metrics", "/no/such"):
            headers = (await admin.ask(path)).headers
            assert headers["server"] == "sidecar"
            assert headers["cache-control"] == "no-store"
            assert headers["x-content-type-options"] == "nosniff"


async def test_unknown_path_and_wrong_method_are_problems() -> None:
    """404, and 405 that names what is allowed."""
    async with running(MadeUpProcess()) as admin:
        missing = await admin.ask("/no/such")
        wrong = await admin.ask("/status", method="DELETE")
    assert (missing.status, missing.headers["content-type"]) == (404, "application/problem+json")
    assert (wrong.status, wrong.headers["allow"]) == (405, "GET, HEAD")
    assert wrong.json["status"] == 405


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"canary-bytes\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX canary-bytes: 1\r\n\r\n",
        b"GET /" + b"canary-bytes" * 2000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: canary-bytes\r\n\r\n",
    ],
)
async def test_what_is_not_http_gets_a_problem_that_quotes_nothing(
    request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the answer nor the log holds what was sent."""
    with caplog.at_level(logging.DEBUG):
        async with running(MadeUpProcess()) as admin:
            answer = await admin.raw(request_bytes)
    assert 400 <= answer.status < 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["server"] == "sidecar"
    assert b"canary" not in answer.body
    assert "canary" not in caplog.text


async def test_what_breaks_here_is_a_problem_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    """500; the log says what, the answer does not; and the listener goes on."""
    process = MadeUpProcess(broken=True)
    async with running(process) as admin:
        answer = await admin.ask("/status")
        process.broken = False
        assert (await admin.ask("/status")).status == 200
    assert (answer.status, answer.headers["content-type"]) == (500, "application/problem+json")
    assert b"s3cret" not in answer.body
    assert "RuntimeError" in caplog.text


async def test_connections_are_bounded() -> None:
    """Past 100 open connections a new one is told so; once they are gone it answers again."""
    async with running(MadeUpProcess()) as admin:
        writers = [(await asyncio.open_connection("127.0.0.1", admin.port))[1] for _ in range(100)]
        assert await _first_bytes(admin.port) == b"HTTP/1.1 503 Service Unavailable"
        for writer in writers:
            writer.close()
        while (served := await _first_bytes(admin.port)) != b"HTTP/1.1 200 OK":
            assert served.startswith(b"HTTP/1.1 503")  # until the closed ones have been noticed


async def _first_bytes(port: int) -> bytes:
    """Ask, and return the status line."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n\r\n" % port)
    try:
        return (await reader.read()).split(b"\r\n")[0]
    except ConnectionError:
        return b""
    finally:
        writer.close()
