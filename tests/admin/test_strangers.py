"""Who is refused: other web pages on loopback, and every private path beyond it."""

from __future__ import annotations

import pytest

from tests.admin.running import MadeUpProcess, running

PRIVATE = ["/", "/status", "/-/refresh", "/-/reload", "/-/quit", "/no/such"]


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:{port}", "{port}", "localhost.:{port}"),
        *("127.0.0.2:{port}", "0.0.0.0:{port}", "127.1:{port}"),
    ],
)
async def test_a_foreign_host_is_refused(host: str) -> None:
    """A name that was rebound to 127.0.0.1 does not get in, on any path."""
    async with running(MadeUpProcess()) as admin:
        for path in ("/livez", "/metrics", "/status", "/"):
            answer = await admin.ask(path, host=host.format(port=admin.port))
            assert answer.status == 403
            assert answer.headers["content-type"] == "application/problem+json"
            assert "error=http_request_denied" in answer.headers["proxy-status"]


@pytest.mark.parametrize("host", ["user@localhost:{port}", "localhost:{port}, evil.example", "localhost:{port}/"])
async def test_a_host_that_is_none_is_a_bad_request(host: str) -> None:
    """RFC 9112 3.2."""
    async with running(MadeUpProcess()) as admin:
        answer = await admin.ask("/status", host=host.format(port=admin.port))
    assert (answer.status, answer.headers["connection"]) == (400, "close")


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LocalHost:{port}", "[::1]:{port}"])
async def test_own_hosts_are_admitted(host: str) -> None:
    """The names of this machine, with the port."""
    async with running(MadeUpProcess()) as admin:
        assert (await admin.ask("/status", host=host.format(port=admin.port))).status == 200


async def test_the_bound_host_is_admitted() -> None:
    """A listener on another loopback address answers to that and to its configured names, and to nothing more."""
    async with running(MadeUpProcess(), own_hosts=["crm.local"], bind="127.0.0.2") as admin:
        for host in ("127.0.0.2", "crm.local"):
            assert (await admin.ask("/status", host=f"{host}:{admin.port}")).status == 200
        assert (await admin.ask("/status", host=f"127.0.0.3:{admin.port}")).status == 403


@pytest.mark.parametrize(
    "field",
    [
        *(
            "Origin: http://evil.example",
            "Origin: null",
            "Origin:",
            "Origin: https://127.0.0.1:{port}",
            "Origin: file://",
        ),
        *("Origin: http://127.0.0.1:8080", "Origin: http://localhost:{port}", "Origin: http://127.0.0.1:{port}/"),
        *(
            "Sec-Fetch-Site: cross-site",
            "Sec-Fetch-Site: same-site",
            "Sec_Fetch_Site: cross-site",
            "Sec-Fetch-Site: new",
        ),
    ],
)
async def test_a_foreign_page_is_refused(field: str) -> None:
    """Neither reads nor orders for a page of another origin; nothing is done."""
    process = MadeUpProcess()
    async with running(process, quit_enabled=True) as admin:
        field = field.format(port=admin.port)
        for path in ("/status", "/metrics", "/livez"):
            assert (await admin.ask(path, field)).status == 403
        for path in ("/-/quit", "/-/refresh", "/-/reload"):
            assert (await admin.ask(path, field, method="POST")).status == 403
        assert (
            await admin.ask("/-/quit", field, "Access-Control-Request-Method: POST", method="OPTIONS")
        ).status == 403
    assert process.orders == []


@pytest.mark.parametrize(
    "field", ["Origin: http://127.0.0.1:{port}", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none"]
)
async def test_its_own_page_is_admitted(field: str) -> None:
    """The page itself, and a person who typed the address."""
    async with running(MadeUpProcess()) as admin:
        assert (await admin.ask("/status", field.format(port=admin.port))).status == 200


async def test_two_origins_are_refused() -> None:
    """A good Origin does not hide a bad one."""
    async with running(MadeUpProcess()) as admin:
        own = f"Origin: http://127.0.0.1:{admin.port}"
        assert (await admin.ask("/status", own, "Origin: http://evil.example")).status == 403


async def test_no_host_or_two_is_a_bad_request() -> None:
    """RFC 9112 3.2."""
    async with running(MadeUpProcess()) as admin:
        assert (await admin.raw(b"GET /livez HTTP/1.0\r\n\r\n")).status == 400
        host = b"Host: 127.0.0.1:%d\r\n" % admin.port
        two = await admin.raw(b"GET /livez HTTP/1.1\r\n" + host + host + b"Connection: close\r\n\r\n")
        assert two.status == 400


@pytest.mark.parametrize(
    "path", ["/livez", "/healthz", "/startupz", "/readyz", "/readyz?verbose", "/metrics", "/readyz/crm"]
)
async def test_beyond_loopback_any_host_gets_health_and_metrics(path: str) -> None:
    """A kubelet and Prometheus dial the pod's address."""
    async with running(MadeUpProcess(), loopback=False) as admin:
        assert (await admin.ask(path, host="10.1.2.3:8081")).status == 200


@pytest.mark.parametrize("path", PRIVATE)
async def test_beyond_loopback_nothing_else_is_there(path: str) -> None:
    """Not even by a name of this machine, and no order is taken."""
    process = MadeUpProcess()
    async with running(process, loopback=False, quit_enabled=True) as admin:
        for method in ("GET", "POST"):
            answer = await admin.ask(path, method=method)
            assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")
    assert process.orders == []


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "http://evil.example/status", 403),
        ("GET", "http://localhost:{port}/status", 403),  # not the Host
        ("GET", "http://127.0.0.1:{port}/status", 200),  # RFC 9112 3.2.2
        ("OPTIONS", "*", 400),
        ("CONNECT", "evil.example:443", 405),
        ("TRACE", "/livez", 405),
    ],
)
async def test_targets_are_judged_as_an_app_s_are(method: str, target: str, status: int) -> None:
    """This is no proxy."""
    async with running(MadeUpProcess()) as admin:
        assert (await admin.ask(target.format(port=admin.port), method=method)).status == status


async def test_beyond_loopback_a_foreign_page_is_refused_too() -> None:
    """A probe is none, and neither is Prometheus."""
    async with running(MadeUpProcess(), loopback=False) as admin:
        for field in ("Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"):
            assert (await admin.ask("/metrics", field, host="10.1.2.3:8081")).status == 403
        assert (await admin.raw(b"GET /livez HTTP/1.0\r\n\r\n")).status == 200  # a probe as plain as can be


@pytest.mark.parametrize(
    "path",
    [
        "/livez/../status",
        "/livez%2f..%2fstatus",
        "//status",
        "/./status",
        "/readyz/../status",
        "/readyz/..%2fstatus",
        "/%73tatus",
    ],
)
async def test_beyond_loopback_no_spelling_is_a_way_around(path: str) -> None:
    """What is looked up is what was looked at."""
    async with running(MadeUpProcess(), loopback=False) as admin:
        answer = await admin.ask(path)
        assert answer.status == 404 and b"9.9.9" not in answer.body
