"""Canary keys and tokens through everything that can happen to them: none is in anything that the sidecar says.

Not in an answer, an error, the log at its most talkative, a metric, the status, the page, or what a command prints.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import yaml

from tests.cli.command import Ended, sidecar_beside
from tests.fakes import upstream
from tests.main_job.canary import found
from tests.main_job.client import Admin, Client
from tests.main_job.configuration import Section, route, tls_upstream
from tests.main_job.process import SidecarProcess, running
from tests.main_job.secretive import (
    BAD_ENDPOINTS,
    ENV_KEY,
    FILE_KEY,
    FIRST_TOKEN,
    LITERAL_KEY,
    SECOND_TOKEN,
    SECRETS,
    TOKEN_FIELD,
    CanaryEndpoint,
    canary_upstream,
)
from tests.ports import free_port
from tests.servers.certificates import Certificates
from tests.servers.nginx import Nginx

ENVIRON = {"CANARY_KEY": ENV_KEY.decode()}
OUTCOMES = ("key_rejected", "server_error", "network", "bad_response")
ADMIN_PATHS = ("/", "/livez", "/startupz", "/readyz", "/readyz?verbose", "/readyz/refuses", "/metrics", "/status")
OPENMETRICS = "Accept: application/openmetrics-text; version=1.0.0"
# Route and path, and what the app is answered.
ASKED = (
    ("/good/", 200),
    ("/reflects/", 200),
    ("/good/status/403", 403),
    ("/good/status/401", 401),
    ("/good/status/401", 401),
    ("/good/status/500", 500),
    ("/reflects/garbage", 502),
    ("/stranger/", 502),
    ("/down/", 502),
    ("/nowhere", 404),
)


def keyed(folder: Path, kind: str, url: str) -> Section:
    """Return a credential; where its key comes from and how it is sent differ from one to the next."""
    file = folder / "key"
    file.write_bytes(FILE_KEY + b"\n")
    file.chmod(0o600)
    turn = BAD_ENDPOINTS.index(kind) if kind in BAD_ENDPOINTS else 0
    source: Section = ({"env": "CANARY_KEY"}, {"file": str(file)}, {"value": LITERAL_KEY.decode()})[turn % 3]
    sent: Section = (
        {"json": {"apiKey": "{api_key}"}},
        {"form": {"client_secret": "{api_key}"}},
        {"basic": {"username": "app", "password": "{api_key}"}},
        {"headers": {"X-Key": "{api_key}"}},
    )[turn % 4]
    response = {"token": "/token", "expires_in": "/expires_in"}
    return {"api_key": source, "exchange": {"url": url, "response": response, **sent}}


def configuration_of(
    folder: Path, endpoint_port: int, upstream_port: int, nginx: Nginx, certificates: Certificates
) -> Section:
    """Return a configuration in which one credential works, and one fails in each way that there is."""
    urls = {kind: f"http://127.0.0.1:{endpoint_port}/{kind}" for kind in ("good", *BAD_ENDPOINTS)}
    urls |= {"untrusted": f"{nginx.https_url}/token", "away": f"http://127.0.0.1:{free_port()}/token"}
    nginx_url, stranger = nginx.https_url, {"ca_file": str(certificates.other_ca_file)}
    routes = [
        route("good", tls_upstream(nginx_url, certificates), "good"),
        route("stranger", {"url": nginx_url, "tls": stranger}, "good"),
        route("down", f"http://127.0.0.1:{free_port()}", "good"),
        route("reflects", f"http://127.0.0.1:{upstream_port}", "static"),
        *(route(kind, nginx.http_url, kind) for kind in urls if kind != "good"),
    ]
    static = {"preset": "static", "api_key": {"env": "CANARY_KEY"}, "inject": {"header": TOKEN_FIELD}}
    exchanged = {kind: keyed(folder, kind, url) for kind, url in urls.items()}
    return {"credentials": {**exchanged, "static": static}, "routes": routes}


async def ask_everything(sidecar: SidecarProcess) -> AsyncIterator[bytes]:
    """Yield what apps are answered, whatever happens."""
    client = Client(sidecar.port)
    for target, status in ASKED:
        answer = await client.ask("POST" if target == "/good/" else "GET", target)
        assert answer.status == status, (target, answer)
        yield answer.head + answer.body
    for kind in (*BAD_ENDPOINTS, "untrusted", "away"):
        answer = await client.ask("GET", f"/{kind}/")
        assert answer.status == 503, (kind, answer)
        yield answer.head + answer.body
    for raw in (client.request("GET", "/good/", "Content-Length: 1", "Content-Length: 2"), b"GET / HTTP/1.1\r\n\r\n"):
        async with client.connected() as wire:
            await wire.send(raw)
            yield await wire.ended()


async def look_everywhere(sidecar: SidecarProcess) -> AsyncIterator[bytes]:
    """Yield what the admin listener answers, orders included."""
    admin = Admin(sidecar.admin_port)
    for path in ADMIN_PATHS:
        answer = await admin.ask("GET", path)
        yield answer.head + answer.body
    yield (await admin.ask("GET", "/metrics", OPENMETRICS)).body
    for kind in ("good", *BAD_ENDPOINTS):
        answer = await admin.ask("POST", f"/-/refresh?credential={kind}")
        assert answer.status == (200 if kind == "good" else 502), answer
        yield answer.head + answer.body


async def run_commands(sidecar: SidecarProcess) -> Sequence[Ended]:
    """Return what the commands print about it."""
    admin = ("--admin", sidecar.admin)
    return await asyncio.gather(
        sidecar_beside("status", *admin),
        sidecar_beside("status", "--json", *admin),
        sidecar_beside("healthcheck", "--ready", *admin),
        sidecar_beside("wait", "--max", "100ms", *admin),
        sidecar_beside("check", "--exchange", "-c", str(sidecar.file), environ=ENVIRON),
    )


async def test_on_every_path(tmp_path: Path, nginx: Nginx, certificates: Certificates) -> None:
    """From a cold start, by every failure of token endpoint and upstream, to the drain."""
    async with upstream(CanaryEndpoint()) as endpoint, upstream(canary_upstream) as server:
        configuration = configuration_of(tmp_path, endpoint.port, server.port, nginx, certificates)
        async with running(tmp_path, configuration, ENVIRON) as sidecar:
            said = [piece async for piece in ask_everything(sidecar)]
            said += [piece async for piece in look_everywhere(sidecar)]
            commands = await run_commands(sidecar)
            figures = await Admin(sidecar.admin_port).figures()
            sidecar.signal(signal.SIGTERM)
            assert await sidecar.ended(within_s=5.0) == 0
        sent = b"".join(request.head + request.body for request in endpoint.requests)
        assert [request.value(TOKEN_FIELD) for request in server.requests] == [b"Bearer " + ENV_KEY] * 2
    said += [(ended.out + ended.err).encode() for ended in commands]
    assert [ended.code for ended in commands] == [0, 0, 1, 1, 1]
    assert found(SECRETS, b"\n".join(said)) == []
    assert found(SECRETS, sidecar.output().encode()) == []
    # They were all there to be found, and what was to go wrong did.
    assert all(found([key], sent) for key in (ENV_KEY, FILE_KEY, LITERAL_KEY))
    worn = {seen.authorization for seen in nginx.seen()}
    assert worn == {f"Bearer {token.decode()}" for token in (FIRST_TOKEN, SECOND_TOKEN)}
    assert all(figures.sum("sidecar_exchanges_total", outcome=outcome) for outcome in OUTCOMES)
    assert all(f"credential {kind}: no token" in sidecar.output() for kind in (*BAD_ENDPOINTS, "untrusted", "away"))


KEY = LITERAL_KEY.decode()
BAD_CREDENTIALS: dict[str, object] = {
    "bare": {"preset": "giantcontext", "api_key": KEY},
    "beside a mistake": {"preset": "giantcontext", "api_key": {"value": KEY, "vlaue": KEY}},
    "as a variable's name": {"preset": "giantcontext", "api_key": {"env": KEY}},
    "as a key": {"preset": "giantcontext", "api_key": {KEY: "env"}},
    "as a preset": {"preset": KEY, "api_key": {"env": "CANARY_KEY"}},
    "in a URL": {"api_key": {"env": "CANARY_KEY"}, "exchange": {"url": f"https://app:{KEY}@example.com/token"}},
    "in a field": {"preset": "oauth2", "api_key": {"value": KEY}, "exchange": {"basic": {"username": KEY, "user": 1}}},
    "as a list": {"preset": "giantcontext", "api_key": [KEY]},
    "alone": KEY,
}


@pytest.fixture(scope="module")
def wrong_files() -> dict[str, str]:
    """Configurations with a literal key in them, each wrong in another way, by what is wrong."""
    routes = [route("crm", "https://api.example.com", "crm")]
    files = {
        name: yaml.safe_dump({"credentials": {"crm": credential}, "routes": routes})
        for name, credential in BAD_CREDENTIALS.items()
    }
    return {
        **files,
        "not YAML": f'credentials: {{crm: {{api_key: {{value: "{KEY}',
        "a tab": f"credentials:\n\tcrm: {KEY}",
    }


async def test_in_mistakes_of_a_configuration(tmp_path: Path, nginx: Nginx, wrong_files: dict[str, str]) -> None:
    """On a start, on a check and on a reload: the mistake is named, the key beside it is not."""
    good: Section = {"routes": [route("crm", nginx.http_url, None)]}
    async with running(tmp_path, good, ENVIRON) as sidecar:
        admin = Admin(sidecar.admin_port)
        for name, text in wrong_files.items():
            sidecar.file.write_text(text)
            answer = await admin.ask("POST", "/-/reload")
            assert answer.status >= 400 and json.loads(answer.body)["mistakes"], name
            status = await admin.ask("GET", "/status")
            page = await admin.ask("GET", "/")
            assert found(SECRETS, answer.body + status.body + page.body) == [], name
    assert found(SECRETS, sidecar.output().encode()) == []


async def test_on_wrong_starts(tmp_path: Path, wrong_files: dict[str, str]) -> None:
    """Also where the key is given as a flag, which there is none for."""
    starts = [("run", "--api-key", KEY), ("run", f"--api-key={KEY}"), ("run", KEY)]
    for number, text in enumerate(wrong_files.values()):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text)
        starts.append((("run", "check")[number % 2], "-c", str(file)))
    for ended in await asyncio.gather(*(sidecar_beside(*start, environ=ENVIRON) for start in starts)):
        assert ended.code == 2 and ended.err
        assert found(SECRETS, (ended.out + ended.err).encode()) == [], ended.err
