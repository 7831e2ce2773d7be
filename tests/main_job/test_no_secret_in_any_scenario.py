"""Canary keys and tokens through everything that can happen to them, scenario by scenario: none is in what is said.

Said is: what apps and operators are answered, what the commands print, both outputs at their most talkative, every file
that is written, and what other processes see of this one. A body of the upstream's is its own, and none here holds one.
One test is one scenario; they are played once, one after the other, on a few processes.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.cli.command import sidecar_beside
from tests.fakes import Wire, upstream
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

GATE_TOKEN = b"Gt4/of~the+gate=Zq1;w5K"
NEW_KEY = b"Nw8!rotated/key+pL3?m0Q"
TYPED = b"Ty6$typed-client/secret+B9"
ALL = (*SECRETS, GATE_TOKEN, NEW_KEY, TYPED)
ENVIRON = {"CANARY_KEY": ENV_KEY.decode()}
LOG = {"level": "debug", "access": True}
OUTCOMES = ("key_rejected", "server_error", "network", "bad_response")


@dataclass
class Stage:
    """What a scenario has to play with, and what was said in those before it."""

    sidecar: SidecarProcess
    folder: Path
    client: Client = field(init=False)
    admin: Admin = field(init=False)

    def __post_init__(self) -> None:
        self.client, self.admin = Client(self.sidecar.port), Admin(self.sidecar.admin_port)

    async def raw(self, data: bytes) -> bytes:
        """Send bytes, and return all that is answered."""
        async with self.client.connected() as wire:
            await wire.send(data)
            return await wire.ended()


Scenario = Callable[[Stage], Awaitable[bytes]]


def asks(
    target: str, status: int, method: str = "GET", *lines: str, body: bytes = b"", admin: bool = False, times: int = 1
) -> Scenario:
    """Return the scenario of a request that is answered with this status."""

    async def play(stage: Stage) -> bytes:
        said = b""
        for _ in range(times):
            answer = await (stage.admin if admin else stage.client).ask(method, target, *lines, body=body)
            assert answer.status == status, (target, answer)
            said += answer.head + answer.body
        return said

    return play


def sends(data: Callable[[Stage], bytes], starts: bytes) -> Scenario:
    """Return the scenario of bytes that are no request as it should be."""

    async def play(stage: Stage) -> bytes:
        said = await stage.raw(data(stage))
        assert said.startswith(starts), said
        return said

    return play


def runs(code: int, *arguments: str) -> Scenario:
    """Return the scenario of a command about a running sidecar."""

    async def play(stage: Stage) -> bytes:
        where = ("-c", str(stage.sidecar.file)) if arguments[0] == "check" else ("--admin", stage.sidecar.admin)
        ended = await sidecar_beside(*arguments, *where, environ=ENVIRON)
        assert ended.code == code, ended
        return (ended.out + ended.err).encode()

    return play


async def reload_of_a_wrong_file(stage: Stage) -> bytes:
    """A literal key beside a mistake; then it shows in status, page and metrics."""
    before = stage.sidecar.file.read_text()
    stage.sidecar.file.write_text(before.replace("routes:", f"vlaue: {TYPED.decode()}\nroutes:"))
    answer = await stage.admin.ask("POST", "/-/reload")
    assert answer.status == 422, answer
    said = answer.body + (await stage.admin.ask("GET", "/status")).body + (await stage.admin.ask("GET", "/")).body
    stage.sidecar.file.write_text(before)
    return said


async def reload_that_works(stage: Stage) -> bytes:
    """Nothing has changed; no credential is exchanged again."""
    answer = await stage.admin.ask("POST", "/-/reload")
    assert answer.status == 200, answer
    return answer.head + answer.body


async def another_key_in_the_file(stage: Stage) -> bytes:
    """It is taken up, and refused or not, as its endpoint likes."""
    (stage.folder / "key").write_bytes(NEW_KEY + b"\n")
    await stage.sidecar.said("holds a new key", within_s=10.0)
    return (await stage.admin.ask("GET", "/readyz?verbose")).body


async def command_line(stage: Stage) -> bytes:
    """What `ps` shows."""
    return Path(f"/proc/{stage.sidecar.pid}/cmdline").read_bytes()


def head_with_the_key(stage: Stage) -> bytes:
    """A head that is too large, with a key all over it."""
    return stage.client.request("GET", "/good/", *(f"X-Key-{n}: {LITERAL_KEY.decode() * 100}" for n in range(40)))


KEY_LINES = (f"Authorization: Bearer {ENV_KEY.decode()}", f"X-Api-Key: {LITERAL_KEY.decode()}")
OF_APPS: Mapping[str, Scenario] = {
    "a request": asks("/good/", 200),
    "a request with a body": asks("/good/", 200, "POST", body=b"x"),
    "a key that an app sends itself": asks("/good/", 200, "GET", *KEY_LINES),
    "an upstream that answers with the token": asks("/reflects/", 200),
    "a 403": asks("/good/status/403", 403),
    "two 401s": asks("/good/status/401", 401, times=2),
    "a 500 of the upstream": asks("/good/status/500", 500),
    "garbage with the token in it": asks("/reflects/garbage", 502),
    "an upstream that nobody vouches for": asks("/stranger/", 502),
    "an upstream that is away": asks("/down/", 502),
    "no route, a key in the query": asks(f"/nowhere?key={LITERAL_KEY.decode()}", 404),
    "a method that is not served": asks("/good/", 405, "TRACE", *KEY_LINES),
    "a Host of a stranger": sends(
        lambda stage: stage.client.request("GET", "/", "Connection: close").replace(b"127", b"9"), b"HTTP/1.1 403 "
    ),
    "two lengths": sends(
        lambda stage: stage.client.request("GET", "/good/", "Content-Length: 1", "Content-Length: 2", *KEY_LINES),
        b"HTTP/1.1 400 ",
    ),
    "no Host": sends(lambda stage: b"GET /good/ HTTP/1.1\r\nX-Key: " + LITERAL_KEY + b"\r\n\r\n", b"HTTP/1.1 400 "),
    "too large a head": sends(head_with_the_key, b"HTTP/1.1 431 "),
    "not HTTP at all": sends(lambda stage: b"\x16\x03\x01" + LITERAL_KEY + b"\r\n\r\n", b"HTTP/1.1 400 "),
    "a real key that an SDK posts": asks("/sdk/auth/token", 200, "POST", body=b'{"apiKey": "%b"}' % ENV_KEY),
}
OF_ENDPOINTS: Mapping[str, Scenario] = {
    f"a token endpoint: {kind}": asks(f"/{kind}/", 503) for kind in (*BAD_ENDPOINTS, "untrusted", "away")
}
OF_OPERATORS: Mapping[str, Scenario] = {
    "the metrics": asks("/metrics", 200, admin=True),
    "OpenMetrics": asks("/metrics", 200, "GET", "Accept: application/openmetrics-text; version=1.0.0", admin=True),
    "the status": asks("/status", 200, admin=True),
    "the page": asks("/", 200, admin=True),
    "the page's events": lambda stage: _first_events(stage),
    "liveness": asks("/livez", 200, admin=True),
    "start-up": asks("/startupz", 503, admin=True),
    "readiness": asks("/readyz?verbose", 503, admin=True),
    "readiness of one credential": asks("/readyz/refuses", 503, admin=True),
    "an admin path that holds a key": asks(f"/readyz/{NEW_KEY.decode().replace('?', '')}", 404, admin=True),
    "a refresh": asks("/-/refresh?credential=good", 200, "POST", admin=True),
    "refreshes that fail": asks("/-/refresh", 502, "POST", admin=True),
    "an order that is not allowed": asks("/-/quit", 403, "POST", admin=True),
    "sidecar status": runs(0, "status"),
    "sidecar status --json": runs(0, "status", "--json"),
    "sidecar healthcheck": runs(1, "healthcheck", "--ready"),
    "sidecar wait": runs(1, "wait", "--max", "100ms"),
    "sidecar check --exchange": runs(1, "check", "--exchange"),
    "the command line": command_line,
    "a reload of a wrong file": reload_of_a_wrong_file,
    "a reload": reload_that_works,
    "another key in the file": another_key_in_the_file,
}
OF_THE_GATE: Mapping[str, Scenario] = {
    "no token for the gate": asks("/good/", 403),
    "a wrong token for the gate": asks("/good/", 403, "GET", f"Sidecar-Token: {FILE_KEY.decode()}"),
    "the gate's token": asks("/good/", 200, "GET", f"Sidecar-Token: {GATE_TOKEN.decode()}"),
    "a unix socket": lambda stage: _by_unix_socket(stage),
    "a stack dump": lambda stage: _killed(stage, signal.SIGABRT),
}
# What breaks, and the scenario that meets it. Each error holds a secret.
BREAKS: Mapping[str, tuple[str, Scenario]] = {
    "a defect on the request path": (
        "import sidecar.route as m\n"
        "def broken(self, head, target, token): raise RuntimeError(token.line.reveal())\n"
        "m.Route.request_head = broken",
        lambda stage: stage.raw(stage.client.request("GET", "/good/")),
    ),
    "a defect in the exchange": (
        "import sidecar.credentials.exchange as m\n"
        "async def broken(self, key): raise RuntimeError(key.reveal())\n"
        "m.HTTPExchanger.exchange = broken",
        asks("/good/", 503),
    ),
    "a defect of the admin listener": (
        "import sidecar.admin.page as m, os\n"
        f"def broken(*_): raise RuntimeError({ENV_KEY.decode()!r})\n"
        "m.render = broken",
        asks("/", 500, admin=True),
    ),
}
AT_THE_END = ("a drain", "both outputs", "every file")
NAMES = (*OF_APPS, *OF_ENDPOINTS, *OF_OPERATORS, *OF_THE_GATE, *BREAKS, *AT_THE_END)


async def _first_events(stage: Stage) -> bytes:
    wire = Wire(*await asyncio.open_connection("127.0.0.1", stage.sidecar.admin_port, limit=2**20))
    await wire.send(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % stage.sidecar.admin_port)
    head = await wire.head()
    events = [await wire.reader.readuntil(b"\n\n") for _ in range(2)]
    wire.close()
    assert b" 200 " in head and b"event: status" in events[1], head
    return head + b"".join(events)


async def _by_unix_socket(stage: Stage) -> bytes:
    wire = Wire(*await asyncio.open_unix_connection(str(stage.folder / "app.sock"), limit=2**20))
    await wire.send(b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nSidecar-Token: " + GATE_TOKEN + b"\r\n\r\n")
    answer = await wire.response()
    wire.close()
    assert answer.status == 404, answer
    return answer.head + answer.body


async def _killed(stage: Stage, number: signal.Signals) -> bytes:
    stage.sidecar.signal(number)
    assert await stage.sidecar.ended(within_s=5.0) == -number
    assert "Fatal Python error: Aborted" in stage.sidecar.output(), "the stack is dumped"
    return b""


def credential(folder: Path, kind: str, url: str, turn: int = 0) -> Section:
    """Return a credential; where its key comes from and how it is sent differ from one to the next."""
    file = folder / "key"
    if not file.exists():
        file.write_bytes(FILE_KEY + b"\n")
        file.chmod(0o600)
    source: Section = ({"env": "CANARY_KEY"}, {"file": str(file)}, {"value": LITERAL_KEY.decode()})[turn % 3]
    sent: Section = (
        {"json": {"apiKey": "{api_key}", "client_secret": TYPED.decode()}},
        {"form": {"client_secret": "{api_key}", "other": TYPED.decode()}},
        {"basic": {"username": "app", "password": "{api_key}"}, "headers": {"X-Typed": TYPED.decode()}},
        {"headers": {"X-Key": "{api_key}"}},
    )[turn % 4]
    return {
        "api_key": source,
        "exchange": {"url": url, "response": {"token": "/token", "expires_in": "/expires_in"}, **sent},
    }


def everything(folder: Path, endpoint: int, server: int, nginx: Nginx, certificates: Certificates) -> Section:
    """Return a configuration in which one credential works, and one fails in each way that there is."""
    urls = {kind: f"http://127.0.0.1:{endpoint}/{kind}" for kind in ("good", *BAD_ENDPOINTS)}
    urls |= {"untrusted": f"{nginx.https_url}/token", "away": f"http://127.0.0.1:{free_port()}/token"}
    secure = nginx.https_url
    routes = [
        route("good", tls_upstream(secure, certificates), "good"),
        route("sdk", nginx.http_url, "sdk"),
        route("stranger", {"url": secure, "tls": {"ca_file": str(certificates.other_ca_file)}}, "good"),
        route("down", f"http://127.0.0.1:{free_port()}", "good"),
        route("reflects", f"http://127.0.0.1:{server}", "static"),
        *(route(kind, nginx.http_url, kind) for kind in urls if kind != "good"),
    ]
    credentials = {kind: credential(folder, kind, url, turn) for turn, (kind, url) in enumerate(urls.items())}
    credentials["static"] = {"preset": "static", "api_key": {"env": "CANARY_KEY"}, "inject": {"header": TOKEN_FIELD}}
    credentials["sdk"] = {"preset": "giantcontext", **credential(folder, "good", urls["good"])}
    return {"credentials": credentials, "routes": routes, "log": LOG}


class Sweep:
    """Plays the scenarios, and keeps what was said in each."""

    def __init__(self, folder: Path, nginx: Nginx, certificates: Certificates) -> None:
        self.said: dict[str, bytes] = {}
        self.outputs = b""
        self._folder, self._nginx, self._certificates = folder, nginx, certificates

    async def all(self) -> None:
        """Play them all."""
        async with AsyncExitStack() as servers:
            endpoint = await servers.enter_async_context(upstream(CanaryEndpoint()))
            server = await servers.enter_async_context(upstream(canary_upstream))
            configuration = everything(self._folder, endpoint.port, server.port, self._nginx, self._certificates)
            async with running(self._folder, configuration, ENVIRON) as sidecar:
                stage = Stage(sidecar, self._folder)
                await self._play({**OF_APPS, **OF_ENDPOINTS, **OF_OPERATORS}, stage)
                figures = await stage.admin.figures()
                assert all(figures.sum("sidecar_exchanges_total", outcome=outcome) for outcome in OUTCOMES)
                sidecar.signal(signal.SIGTERM)
                assert await sidecar.ended(within_s=5.0) == 0
                self.said["a drain"] = b""
                self.outputs += sidecar.output().encode()
            await self._gate(endpoint.port)
            for name, (patch, scenario) in BREAKS.items():
                await self._broken(name, patch, scenario, endpoint.port)
            # They were all there to be found.
            sent = b"".join(request.head + request.body for request in endpoint.requests)
            assert all(found([key], sent) for key in (ENV_KEY, FILE_KEY, LITERAL_KEY, NEW_KEY, TYPED))
        worn = {seen.authorization for seen in self._nginx.seen()}
        assert {f"Bearer {token.decode()}" for token in (FIRST_TOKEN, SECOND_TOKEN)} <= worn

    async def _play(self, scenarios: Mapping[str, Scenario], stage: Stage) -> None:
        for name, scenario in scenarios.items():
            self.said[name] = await scenario(stage)

    def _small(self, folder: Path, endpoint: int, **keys: object) -> Section:
        folder.mkdir()
        good = credential(folder, "good", f"http://127.0.0.1:{endpoint}/good")
        return {
            "credentials": {"good": good},
            "routes": [route("good", self._nginx.http_url, "good")],
            "log": LOG,
            **keys,
        }

    async def _gate(self, endpoint: int) -> None:
        folder = self._folder / "gate"
        configuration = self._small(folder, endpoint, gate={"require_token": {"value": GATE_TOKEN.decode()}})
        async with self._started(folder, configuration, unix=True) as sidecar:
            await Admin(sidecar.admin_port).ready()
            await self._play(OF_THE_GATE, Stage(sidecar, folder))

    async def _broken(self, name: str, patch: str, scenario: Scenario, endpoint: int) -> None:
        folder = self._folder / name.replace(" ", "-")
        async with self._started(folder, self._small(folder, endpoint), patch) as sidecar:
            self.said[name] = await scenario(Stage(sidecar, folder))
        assert "RuntimeError" in sidecar.output(), "it was met, and is reported"

    @asynccontextmanager
    async def _started(
        self, folder: Path, configuration: Section, patch: str = "", *, unix: bool = False
    ) -> AsyncIterator[SidecarProcess]:
        sidecar = SidecarProcess(folder, configuration, {**ENVIRON, "PYTHONFAULTHANDLER": "1"})
        if unix:
            listen = [f"127.0.0.1:{sidecar.port}", f"unix:{folder / 'app.sock'}"]
            sidecar.configure({**configuration, "listen": listen})
        start = f"{patch}\nimport sys\nfrom sidecar.cli import main\nsys.exit(main(sys.argv[1:]))"
        sidecar.command = [sys.executable, "-c", start, "run", "-c", str(sidecar.file)]
        await asyncio.to_thread(sidecar.start)
        try:
            yield sidecar
        finally:
            await asyncio.to_thread(sidecar.stop)
            self.outputs += sidecar.output().encode()

    def files(self) -> Iterator[bytes]:
        """Yield the name and content of every file that was written, but for those that the tests wrote."""
        for file in self._folder.rglob("*"):
            if file.is_file() and file.name not in ("sidecar.yaml", "key"):
                yield file.name.encode() + file.read_bytes()


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory, shared_nginx: Nginx, certificates: Certificates) -> Sweep:
    """Everything played, once for all tests here."""
    made = Sweep(tmp_path_factory.mktemp("sweep"), shared_nginx, certificates)
    asyncio.run(asyncio.wait_for(made.all(), 120))
    made.said["both outputs"] = made.outputs
    made.said["every file"] = b"".join(made.files())
    return made


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_said(name: str, sweep: Sweep) -> None:
    """Raw, URL-encoded, in base64 at any alignment, or its first or last eight characters."""
    assert found(ALL, sweep.said[name]) == []


def test_there_are_enough_of_them() -> None:
    """Nobody takes them away unseen."""
    assert len(NAMES) >= 50


def test_what_is_looked_for_can_be_found(sweep: Sweep) -> None:
    """The outputs are those of talkative processes: the log has its least level, and a line for each request."""
    assert b'"level":"debug"' in sweep.outputs
    assert sweep.outputs.count(b'"logger":"sidecar.access"') > 20
    assert b"looks like a real" in sweep.outputs or b"real" in sweep.outputs
    assert json.loads(sweep.said["the status"].partition(b"\r\n\r\n")[2])["credentials"]
