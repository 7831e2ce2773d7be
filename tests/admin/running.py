"""An admin listener on a free port in front of a made-up process, and raw requests to it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sidecar.admin.endpoints import Endpoints
from sidecar.admin.server import AdminServer
from sidecar.admin.view import Reload, RouteView, Setting
from sidecar.clock import Clock
from sidecar.credentials.status import CredentialStatus, ExchangeRecord, State
from sidecar.errors import ConfigError, NothingToReload, NoToken, StartError
from sidecar.stats import Stats
from sidecar.troubles import Troubles
from tests.credentials.manual_clock import ManualClock

NOW = 1_800_000_000.0


def credential(
    name: str = "crm", state: State = "fresh", *, usable: bool = True, error: str | None = None, failures: int = 0
) -> CredentialStatus:
    """Return a credential whose token was exchanged 60 s ago and has 540 s left."""
    last = ExchangeRecord(at=NOW - 60, trigger="start", outcome="ok", duration_s=0.12)
    had_one = state != "empty"
    return CredentialStatus(
        name=name,
        state=state,
        usable=usable,
        source="environment variable CRM_KEY",
        fingerprint="0a1b2c3d",
        obtained_at=NOW - 60 if had_one else None,
        expires_at=NOW + 540 if had_one else None,
        next_refresh_at=NOW + 480 if had_one else None,
        consecutive_failures=failures,
        last_exchange=last if had_one else None,
        recent=(last,) if had_one else (),
        error=error,
        remedy=f"Do what helps {name}." if error else None,
    )


@dataclass
class MadeUpProcess:
    """A process that says what a test tells it to, and notes the orders it gets."""

    statuses: list[CredentialStatus] = field(default_factory=lambda: [credential()])
    draining: bool = False
    version: str = "9.9.9"
    config_source: str = "/etc/sidecar/config.yaml"
    started_at: float = NOW - 3600
    listeners: Sequence[str] = ("127.0.0.1:8080",)
    client_environment: Mapping[str, str] = field(default_factory=lambda: {"SIDECAR_URL": "http://127.0.0.1:8080"})
    routes: Sequence[RouteView] = (RouteView("crm", "/crm/", None, "https://api.example.com", "crm"),)
    last_reload: Reload | None = None
    stats: Stats = field(default_factory=Stats)
    troubles: Troubles = field(default_factory=lambda: Troubles(lambda: NOW))
    configured: Sequence[Setting] = (Setting("listen", "127.0.0.1:8080", "default"),)
    wrong: ConfigError | StartError | NothingToReload | None = None
    no_token: NoToken | None = None
    broken: bool = False
    orders: list[str] = field(default_factory=list)
    looked: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    # A reload waits for it.
    may_reload: asyncio.Event | None = None

    def settings(self) -> Sequence[Setting]:
        """Return what the test set."""
        return self.configured

    def credentials(self) -> Sequence[CredentialStatus]:
        """Return what the test set, and let those know who wait for a look."""
        self.looked.release()
        if self.broken:
            raise RuntimeError("made to break, with s3cret-in-the-text")
        return self.statuses

    async def refresh(self, credential: str | None) -> None:
        """Note the order, and bring no token where the test wants none."""
        self.orders.append(f"refresh {credential}")
        if self.no_token is not None:
            raise self.no_token

    async def reload(self) -> None:
        """Note the order, and find the configuration as wrong as the test wants it."""
        self.orders.append("reload")
        if self.may_reload is not None:
            await self.may_reload.wait()
            self.orders.append("reloaded")
        if self.wrong is not None:
            raise self.wrong

    def quit(self) -> None:
        """Note the order."""
        self.orders.append("quit")


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Asked:
    """An admin listener that runs."""

    address: str
    port: int

    async def raw(self, request: bytes) -> Answer:
        """Send bytes, and read one answer up to the end of the connection."""
        reader, writer = await asyncio.open_connection(self.address, self.port)
        try:
            writer.write(request)
            received = await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()
        head, _, body = received.partition(b"\r\n\r\n")
        start, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return Answer(int(start.split()[1]), headers, body)

    async def ask(self, path: str, *fields: str, method: str = "GET", host: str | None = None) -> Answer:
        """Make one request; the Host is 127.0.0.1 with the port unless given."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{self.port}'}", "Connection: close", *fields]
        return await self.raw("\r\n".join([*lines, "", ""]).encode())


def endpoints(process: MadeUpProcess, *, quit_enabled: bool = False, clock: Clock | None = None) -> Endpoints:
    """Return what an admin listener answers in front of this process."""
    return Endpoints(
        process,
        lambda accept: (f"accept {accept}\n".encode(), "text/plain; version=0.0.4"),
        quit_enabled=quit_enabled,
        clock=clock or ManualClock(NOW),
    )


@asynccontextmanager
async def running(
    process: MadeUpProcess,
    *,
    loopback: bool = True,
    quit_enabled: bool = False,
    own_hosts: Sequence[str] = (),
    bind: str = "127.0.0.1",
    clock: Clock | None = None,
) -> AsyncIterator[Asked]:
    """Run an admin listener."""
    sock = socket.create_server((bind, 0))
    answers = endpoints(process, quit_enabled=quit_enabled, clock=clock)
    server = AdminServer(answers, asyncio.create_task, loopback=loopback, own_hosts=own_hosts)
    await server.start(sock)
    try:
        yield Asked(bind, sock.getsockname()[1])
    finally:
        await server.stop()
