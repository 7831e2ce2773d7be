"""What the admin listener shows, and that its errors are ours and quote nobody."""

from __future__ import annotations

import asyncio
import logging

import pytest

from sidecar.admin.view import Reload
from sidecar.dataplane.listener import Limits
from sidecar.metrics import Metrics
from tests.admin.running import MadeUpProcess, credential, running
from tests.fakes import Wire
from tests.wire.running import route_to, sidecar


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


@pytest.mark.parametrize("insecure", [False, True])
async def test_plain_http_to_another_machine_shows_in_the_metrics(insecure: bool) -> None:
    """Also where the warning of the start has long scrolled away."""
    async with sidecar(route_to(9, upstream={"url": "http://192.0.2.1:9", "insecure": insecure})) as running:
        body, _ = Metrics(running.app).render(None)
    assert f"sidecar_insecure_settings {float(insecure)}\n".encode() in body


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


async def test_connections_are_bounded_and_the_newest_is_served() -> None:
    """Past 100 open connections one that has said nothing for long is cut: nobody can hold all the places."""
    async with running(MadeUpProcess()) as admin:
        held = [await asyncio.open_connection("127.0.0.1", admin.port) for _ in range(100)]
        ask = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % admin.port
        await asyncio.sleep(0.01)
        reader, writer = held[0]  # Prometheus: the oldest of all, and one that asks
        writer.write(ask)
        assert (await reader.readuntil(b"\r\n\r\nok\n")).startswith(b"HTTP/1.1 200")
        for _ in range(3):
            assert await _first_bytes(admin.port) == b"HTTP/1.1 200 OK"
        writer.write(ask)
        assert (await reader.readuntil(b"\r\n\r\nok\n")).startswith(b"HTTP/1.1 200")
        cut = [each.at_eof() or each.exception() is not None for each, _ in held]
        for _, writer in held:
            writer.close()
    assert 1 <= sum(cut) <= 3


async def test_a_slow_head_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busily it trickles in, and whoever has sent nothing at all is not waited for either."""
    monkeypatch.setattr("sidecar.admin.server._LIMITS", Limits(head_timeout_s=0.1, idle_timeout_s=0.1))
    async with sidecar(route_to(1)) as process:
        slow = Wire(*await asyncio.open_connection(*process.app.admin_address))
        silent = Wire(*await asyncio.open_connection(*process.app.admin_address))
        for byte in b"GET /livez HTTP/1.1":
            await slow.send(bytes((byte,)))
            await asyncio.sleep(0.02)
        assert (await slow.ended()).startswith(b"HTTP/1.1 408 ")
        assert await silent.ended() == b""
        slow.close()
        silent.close()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /livez HTTP/1.1\r\nHost: <own>\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"GET /livez HTTP/1.1\r\nHost: <own>\r\nX: " + b"y" * 20_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: <own>\r\n\r\n", 414),
    ],
)
async def test_a_head_is_bounded(request_bytes: bytes, status: int) -> None:
    """16 KiB, and 100 fields."""
    async with running(MadeUpProcess()) as admin:
        answer = await admin.raw(request_bytes.replace(b"<own>", b"127.0.0.1:%d" % admin.port))
    assert answer.status == status


@pytest.mark.parametrize(
    "name", ["..", "%2e%2e", "..%2fstatus", "%00", "a/b", "crm/", "", "%0d%0aX: y", "é".encode().hex(), "<b>", "*"]
)
async def test_a_credential_of_an_odd_name_is_not_there(name: str) -> None:
    """404 that does not quote it."""
    async with running(MadeUpProcess()) as admin:
        answer = await admin.ask(f"/readyz/{name}".replace(" ", "%20"))
    assert answer.status == 404
    assert not name or name.encode() not in answer.body or name in ("*", "..")


@pytest.mark.parametrize("path", ["/livez", "/healthz", "/startupz", "/readyz", "/metrics", "/status", "/"])
async def test_head_has_the_head_of_get_and_no_body(path: str) -> None:
    """RFC 9110 9.3.2; OPTIONS says what there is, and no page is allowed anything."""
    async with running(MadeUpProcess()) as admin:
        get, only_head = await admin.ask(path), await admin.ask(path, method="HEAD")
        options = await admin.ask(path, "Access-Control-Request-Method: GET", method="OPTIONS")
    assert (only_head.status, only_head.body) == (get.status, b"")
    assert only_head.headers["content-length"] == get.headers["content-length"]
    assert (options.status, options.headers["allow"]) == (405, "GET, HEAD")
    assert not any(name.startswith("access-control") for name in options.headers)


async def _first_bytes(port: int) -> bytes:
    """Ask, and return the status line, or nothing where the connection was cut."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n\r\n" % port)
    try:
        return (await reader.read()).split(b"\r\n")[0]
    except ConnectionError:
        return b""
    finally:
        writer.close()
