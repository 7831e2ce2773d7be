"""A sidecar in this process, in front of scripted servers, and raw connections to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from sidecar.app import App
from sidecar.clock import Clock
from sidecar.config.values import (
    Address,
    AdminConfig,
    Config,
    CredentialConfig,
    DrainConfig,
    KeyConfig,
    LimitsConfig,
    RouteConfig,
    UpstreamConfig,
)
from sidecar.credentials.rules import AnswerPointers, ExchangeRules, RefreshRules
from sidecar.dataplane.flow import Endpoint
from sidecar.dataplane.pool import Pool
from sidecar.secret import Secret
from tests.fakes import Message, ScriptedUpstream, Tokens, Wire, until, upstream

KEY = KeyConfig("value", value=Secret("the-key"))
# The key is the token: nothing is exchanged.
STATIC = CredentialConfig("crm", KEY, preset="static")
STATIC_LINE = b"Authorization: Bearer the-key"
LOCAL = Address("127.0.0.1", 0)


def exchanging(port: int, **refresh: Any) -> CredentialConfig:
    """Return a credential that exchanges its key at this port."""
    rules = ExchangeRules(
        f"http://127.0.0.1:{port}/token",
        json={"key": "{api_key}"},
        response=AnswerPointers("/token", expires_in="/expires_in"),
    )
    return CredentialConfig("crm", KEY, exchange=rules, refresh=RefreshRules(**refresh))


def route_to(
    port: int, path: str = "/", *, name: str = "crm", credential: str | None = "crm", **keys: Any
) -> RouteConfig:
    """Return a route to a port of this machine.

    Args:
        keys: of `RouteConfig`; `upstream` holds those of `UpstreamConfig`.
    """
    to = UpstreamConfig(**{"url": f"http://127.0.0.1:{port}", **keys.pop("upstream", {})})
    return RouteConfig(name, to, path, credential=credential, **keys)


class Running:
    """A sidecar that runs, and the connections that a test made to it."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._made: list[Wire] = []

    @property
    def port(self) -> int:
        """The app listener's port."""
        return self.app.addresses[0][1]

    @property
    def admin_port(self) -> int:
        """The admin listener's port."""
        assert self.app._admin_socket is not None
        port: int = self.app._admin_socket.getsockname()[1]
        return port

    @property
    def host(self) -> bytes:
        """The listener's Host value."""
        return b"127.0.0.1:%d" % self.port

    def connections(self) -> list[Endpoint]:
        """The sidecar's own ends of all connections, to apps and to upstreams."""
        return [*self.app_connections(), *self.upstream_connections()]

    def app_connections(self) -> list[Endpoint]:
        """The sidecar's ends of all connections to apps."""
        return list(self.app._listener.connections)

    def upstream_connections(self) -> list[Endpoint]:
        """The sidecar's ends of all connections to upstreams."""
        return [connection for pool in self.app._parts.pools.values() for connection in pool.connections]

    def pool(self) -> Pool:
        """The connections to the only upstream."""
        (pool,) = self.app._parts.pools.values()
        return pool

    async def nothing_left(self, within_s: float = 1.0) -> None:
        """Wait until the sidecar has let go of every app connection, and of every upstream connection but idle ones."""
        pools = self.app._parts.pools.values()
        await until(lambda: not self.app_connections() and not any(pool.busy_count for pool in pools), within_s)

    async def connect(self, path: str | None = None, *, address: tuple[str, int] | None = None) -> Wire:
        """Connect to the TCP listener, to the unix socket at this path, or to another listener's address."""
        if path is not None:
            wire = Wire(*await asyncio.open_unix_connection(path, limit=2**20))
        else:
            host, port = address or ("127.0.0.1", self.port)
            wire = Wire(*await asyncio.open_connection(host, port, limit=2**20))
        self._made.append(wire)
        return wire

    def ask_bytes(self, method: str = "GET", target: str = "/", *lines: str, body: bytes = b"") -> bytes:
        """Return the bytes of a request; a body gets its Content-Length."""
        sized = [f"Content-Length: {len(body)}"] if body else []
        head = [f"{method} {target} HTTP/1.1", f"Host: {self.host.decode()}", *lines, *sized, "", ""]
        return "\r\n".join(head).encode() + body

    async def ask(self, method: str = "GET", target: str = "/", *lines: str, body: bytes = b"") -> Message:
        """Make one request on a connection of its own, and return its answer."""
        wire = await self.connect()
        await wire.send(self.ask_bytes(method, target, *lines, body=body))
        answer = await wire.response(to=method)
        wire.close()
        return answer

    def leave(self) -> None:
        """Close all connections."""
        for wire in self._made:
            wire.writer.transport.abort()


@asynccontextmanager
async def sidecar(
    *routes: RouteConfig,
    credential: CredentialConfig | None = STATIC,
    load: Callable[[], Config] | None = None,
    clock: Clock | None = None,
    inspect: bool = False,
    **keys: Any,
) -> AsyncIterator[Running]:
    """Run a sidecar with these routes.

    Args:
        load: what a reload reads.
        clock: instead of the machine's.
        inspect: as `sidecar run --inspect` does.
        keys: of `Config`.
    """
    app = App(config(*routes, credential=credential, **keys), load=load, clock=clock, inspect=inspect)
    await app.start()
    running = Running(app)
    try:
        yield running
    finally:
        running.leave()
        if not app.draining:
            await app.stop()


def config(*routes: RouteConfig, credential: CredentialConfig | None = STATIC, **keys: Any) -> Config:
    """Return a configuration with one TCP listener and these routes."""
    return Config(
        **{
            "listen": (LOCAL,),
            "credentials": (credential,) if credential is not None else (),
            "routes": routes,
            "admin": AdminConfig(LOCAL),
            "drain": DrainConfig(most_s=0.5),
            **keys,
        }
    )


@asynccontextmanager
async def in_front_of(script: Callable[[Wire], Any], **keys: Any) -> AsyncIterator[tuple[Running, ScriptedUpstream]]:
    """Run a sidecar with one route, to an upstream that plays this script.

    Args:
        keys: `route` and `limits` hold those of `RouteConfig` and `LimitsConfig`; others are of `sidecar`.
    """
    limits = LimitsConfig(**keys.pop("limits", {}))
    route = keys.pop("route", {})
    async with upstream(script) as server, sidecar(route_to(server.port, **route), limits=limits, **keys) as running:
        yield running, server


@asynccontextmanager
async def with_tokens(
    script: Callable[[Wire], Any], tokens: Tokens, *, refresh: dict[str, Any] | None = None, **keys: Any
) -> AsyncIterator[tuple[Running, ScriptedUpstream]]:
    """The same with a credential whose tokens come from a scripted token endpoint; the first one is there already."""
    async with upstream(tokens) as endpoint:
        credential = exchanging(endpoint.port, **(refresh or {}))
        async with in_front_of(script, credential=credential, **keys) as (running, server):
            await running.app.refresh(None)
            yield running, server
