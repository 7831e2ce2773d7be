"""The composition root: builds everything from a `Config`, starts it, reloads it, drains it.

The only place that starts long-lived tasks and servers. A start goes
in this order, because it is measured: the sockets are bound and listening
before what serves them is loaded (0.1 s), so that an app that connects
at once waits in the kernel's queue instead of being refused.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING
from weakref import WeakSet

from sidecar import __version__
from sidecar.clock import Clock, SystemClock
from sidecar.config.restart import needing_restart
from sidecar.config.values import Config
from sidecar.credentials.status import CredentialStatus
from sidecar.doors import Doors, as_bound, close_all
from sidecar.errors import Answerable, ConfigError, KeyUnavailable, NothingToReload, StartError
from sidecar.log import RELOAD_LOGGER
from sidecar.passed_sockets import PassedSockets
from sidecar.sockets import UnixSocket
from sidecar.stats import Stats
from sidecar.tasks import QUICK_S, Tasks, cancelled
from sidecar.troubles import Troubles

if TYPE_CHECKING:
    from sidecar.admin.server import AdminServer
    from sidecar.admin.view import Reload, RouteView, Setting
    from sidecar.assembly import Made, Parts
    from sidecar.dataplane.listener import Listener
    from sidecar.dataplane.pool import Pool
    from sidecar.metrics import Gauges
    from sidecar.paths import Paths

# Deadlines are checked this often, for all connections together: a timer per request would cost more than it is worth.
SWEEP_S = 0.5
# Of the mistakes of a configuration, in the status and the log.
_MOST_SHOWN = 20

_log = logging.getLogger("sidecar")
_reload_log = logging.getLogger(RELOAD_LOGGER)


class App:
    """The whole sidecar.

    Args:
        config: what to serve.
        load: reads the configuration again, for a reload; None where that cannot be asked for.
        on_quit: called when the admin listener is told to quit.
        environ: where keys are that stand in the environment.
        passed: listening sockets that are there already.
        inspect: write a line at each request, for a person.
        clock: wall and monotonic.
    """

    def __init__(
        self,
        config: Config,
        *,
        load: Callable[[], Config] | None = None,
        on_quit: Callable[[], None] | None = None,
        environ: Mapping[str, str] = os.environ,
        passed: PassedSockets | None = None,
        inspect: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self._config = self._started_with = config
        self._load = load
        self._on_quit = on_quit
        self._environ = environ
        self._inspect = inspect
        self._clock: Clock = clock or SystemClock()
        self.stats = Stats()
        self.troubles = Troubles(self._clock.wall)
        self.started_at = self._clock.wall()
        self.draining = False
        self.last_reload: Reload | None = None
        self._reloading = asyncio.Lock()  # a signal and an order may come together
        self._taken_at = self.started_at
        # Made by start()
        self._doors = Doors(passed)
        self._admin_socket: socket.socket | None = None
        self._tasks = Tasks()
        # Those that a reload has let go too, for as long as a request is still using them.
        self._pools: WeakSet[Pool] = WeakSet()
        self._parts: Parts
        self._paths: Paths
        self._listener: Listener
        self._admin: AdminServer

    # Starting

    async def start(self) -> None:
        """Listen; return when requests are served. The first token may still be on its way.

        Raises:
            StartError: an address is in use, or something that is needed cannot be read.
        """
        config = self._config
        bound = self._doors.bind(config.listen, config.gate)
        try:
            self._admin_socket = self._doors.bind_admin(config.admin.listen, config.gate)
            self._parts = await self._assembled(config, None)
        except BaseException:
            close_all(bound)
            if self._admin_socket is not None:
                self._admin_socket.close()
            raise
        from sidecar.dataplane.pool import follow_names

        self._pools.update(self._parts.pools.values())
        self._serve_apps()
        await self._doors.open(bound, self._listener, config.gate)
        self._run_credentials()
        await self._serve_admin()
        self._tasks.start("sweep", self._sweep())
        self._tasks.start("names", follow_names(self._pools))

    async def _assembled(self, config: Config, before: Parts | None) -> Parts:
        from sidecar.assembly import assemble, gate_token

        try:
            token = await gate_token(config, self._environ)
            return assemble(config, self.stats, self._clock, token, before, environ=self._environ)
        except KeyUnavailable as error:
            raise StartError(f"gate.require_token: {error}") from None
        except OSError as error:
            raise StartError(f"tls: {error.filename or 'a certificate file'}: {error.strerror}") from None

    def _serve_apps(self) -> None:
        from sidecar.dataplane.flow import ReplayMemory
        from sidecar.dataplane.limits import most_connections
        from sidecar.dataplane.listener import Listener
        from sidecar.paths import Paths

        limits = self._config.limits
        self._paths = Paths(
            self._parts,
            ReplayMemory(limits.replay_memory_bytes),
            self.stats.refusals,
            self.troubles,
            access=self._config.log.access,
            inspect=self._inspect,
            wall=self._clock.wall,
        )
        self._listener = Listener(
            self._paths.serve,
            self._tasks.spawn,
            limits=self._parts.limits,
            most_connections=limits.connections or most_connections(),
            reader=self._parts.reader,
            turned_away=self._turned_away,
        )

    def _turned_away(self, error: Answerable) -> bytes:
        from sidecar.problem import problem

        self.stats.refusals.count(error.reason, "")
        self.troubles.note(error)
        _log.warning("turned away: %s (%d)", error.detail, error.status)
        return problem(error, close=True)

    def _run_credentials(self) -> None:
        for made in self._parts.credentials.values():
            if made.credential not in self._tasks:
                self._tasks.start(made.credential, made.credential.run())

    async def _sweep(self) -> None:
        """End what is past its deadline, on both sides."""
        from sidecar.dataplane.standstill import Standstill

        loop, standstill = asyncio.get_running_loop(), Standstill(self._clock)
        while True:
            await asyncio.sleep(SWEEP_S)
            if standstill.is_over():
                for pool in tuple(self._pools):
                    pool.distrust()
                continue  # what has arrived meanwhile is read first
            now = loop.time()
            self._listener.sweep(now)
            self._admin.sweep(now)
            for pool in tuple(self._pools):
                pool.sweep(now)

    async def _serve_admin(self) -> None:
        from sidecar.admin.endpoints import Endpoints
        from sidecar.admin.server import AdminServer
        from sidecar.metrics import Metrics

        assert self._admin_socket is not None  # noqa: S101  # bound first thing
        admin = self._config.admin
        endpoints = Endpoints(
            self,
            Metrics(self).render,
            quit_enabled=admin.quit,
            clock=self._clock,
            page=admin.listen.is_loopback,
        )
        self._admin = AdminServer(
            endpoints, self._tasks.spawn, loopback=admin.listen.is_loopback, own_hosts=self._config.gate.hosts
        )
        await self._admin.start(self._admin_socket)
        _log.info("admin listener on %s", as_bound(admin.listen, self._admin_socket))

    # Reloading

    async def reload(self) -> None:
        """Read the configuration again and serve by it; requests on their way keep what they began with.

        Credentials and upstream connections whose configuration has not changed stay as they are.

        Raises:
            ConfigError: it is wrong; the old one stays.
            StartError: something in it cannot be had, such as an address; the old one stays.
            NothingToReload: there is none to read.
        """
        from sidecar.admin.view import Reload

        if self._load is None:
            raise NothingToReload("this sidecar was started without a configuration that could be read again")
        try:
            async with self._reloading:
                config = await self._loaded(self._load)
                if self.draining:
                    raise NothingToReload("this sidecar is stopping")
                for warning in config.warnings:
                    _log.warning("%s", warning)
                await self._take(config)
        except (ConfigError, StartError) as error:
            self.last_reload = Reload(self._clock.wall(), _shortened(str(error)))
            _reload_log.error("the configuration is not taken, the old one stays: %s", self.last_reload.error)
            raise
        except NothingToReload:
            raise
        except Exception as error:
            # A defect. The type alone: its text could hold anything.
            self.last_reload = Reload(self._clock.wall(), f"the reload broke ({type(error).__name__})")
            raise
        self.last_reload = Reload(self._clock.wall())
        self._taken_at = self._clock.wall()
        _reload_log.info("the configuration is taken")

    async def _loaded(self, load: Callable[[], Config]) -> Config:
        """Read the configuration while requests go on: a large file takes a second, one on a dead disk for ever."""
        try:
            return await asyncio.to_thread(load)
        except RuntimeError:
            raise StartError("the configuration cannot be read now: the system allows no more threads") from None

    async def _take(self, config: Config) -> None:
        added = self._doors.bind(config.listen, config.gate)
        try:
            parts = await self._assembled(config, self._parts)
        except BaseException:
            close_all(added)
            raise
        if self.draining:
            close_all(added)
            raise NothingToReload("this sidecar is stopping")
        if keys := needing_restart(self._started_with, config):
            _log.warning("changed, but a restart is needed for it to count everywhere: %s", ", ".join(keys))
        before, self._parts, self._config = self._parts, parts, config
        self._pools.update(parts.pools.values())
        self._listener.switch(parts.limits, parts.reader)
        self._paths.switch(parts)
        self._admin.know_as(config.gate.hosts)
        self._run_credentials()
        self._doors.switch(config.listen, config.gate)
        await self._doors.open(added, self._listener, config.gate)
        await self._doors.close(config.listen)
        self._retire(before, parts)

    def _retire(self, before: Parts, parts: Parts) -> None:
        """Let go of what the new configuration has no use for; requests under way finish with it."""
        for upstream, pool in before.pools.items():
            if upstream not in parts.pools:
                pool.retire()
        kept = parts.credentials.values()
        for made in before.credentials.values():
            if made not in kept:
                self._tasks.spawn(self._let_go(made, self._tasks.take_out(made.credential)))

    async def _let_go(self, made: Made, task: asyncio.Task[None]) -> None:
        """End a credential whose place another has taken, once nobody waits for its token any more."""
        from sidecar.credentials.succession import until_nobody_waits

        await until_nobody_waits(made.credential, self._config.limits.wait_for_token_s)
        await cancelled(task)
        await made.exchanger.close()

    # Stopping

    async def stop(self) -> None:
        """Drain: not ready from now on, accepting for `lame_duck_s`, then at most `most_s` for what runs."""
        self.draining = self._listener.leaving = True
        drain = self._config.drain
        if drain.lame_duck_s:
            await asyncio.sleep(drain.lame_duck_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(QUICK_S), self._reloading:
                pass  # half of a reload would open again what is closed here
        await self._doors.close()
        self._listener.drain()
        if cut := await self._listener.emptied(drain.most_s):
            _log.warning("connections that had not finished within drain.most, and were cut: %d", cut)
        await self._tasks.stop()
        for made in self._parts.credentials.values():
            await made.exchanger.close()
        for pool in tuple(self._pools):
            pool.close()
        await self._admin.stop()
        if isinstance(self._admin_socket, UnixSocket):
            self._admin_socket.remove()

    def abort(self) -> None:
        """End at once: what runs is cut, so that no app takes what it has got for the whole."""
        self.draining = True
        self._doors.close_at_once()
        self._listener.cut()
        for pool in tuple(self._pools):
            pool.close()

    def quit(self) -> None:
        """Begin to stop (the admin listener's order)."""
        if self._on_quit is not None:
            self._on_quit()

    # What the admin listener and the metrics see

    @property
    def version(self) -> str:
        """The sidecar's version."""
        return __version__

    @property
    def config(self) -> Config:
        """The configuration in use."""
        return self._config

    @property
    def config_source(self) -> str:
        """The configuration file's path, or ""."""
        return self._config.source

    @property
    def addresses(self) -> Sequence[tuple[str, int]]:
        """Host and port of each TCP listener that apps can take for a base URL, as bound."""
        return self._doors.addresses

    @property
    def forward_addresses(self) -> Sequence[tuple[str, int]]:
        """Host and port of each forward proxy, as bound."""
        return self._doors.forward_addresses

    @property
    def admin_address(self) -> tuple[str, int]:
        """Host and port of the admin listener, as bound."""
        assert self._admin_socket is not None  # noqa: S101  # asked after start()
        host, port = self._admin_socket.getsockname()[:2]
        return str(host), int(port)

    @property
    def listeners(self) -> Sequence[str]:
        """The addresses that apps connect to."""
        return self._doors.names

    @property
    def client_environment(self) -> Mapping[str, str]:
        """The variables that point a program at it, none of them a secret; none where it has no base URL."""
        from sidecar.client_environment import base_url, client_environment

        addresses = self._doors.addresses
        return client_environment(self._config, base_url(*addresses[0])) if addresses else {}

    @property
    def routes(self) -> Sequence[RouteView]:
        """The routes, in the order of the configuration."""
        from sidecar.admin.view import RouteView

        now = self._clock.monotonic()
        return [
            RouteView(
                name=route.name,
                path=route.path,
                host=route.host,
                upstream=route.upstream.url,
                credential=route.credential,
                held_down_for_s=max(0.0, self._parts.by_name[route.name].held_down_until - now),
            )
            for route in self._config.routes
        ]

    def settings(self) -> Sequence[Setting]:
        """Return the configuration in use, key by key."""
        from sidecar.admin.view import Setting
        from sidecar.config.shown import settings

        return [Setting(*row) for row in settings(self._config)]

    def credentials(self) -> Sequence[CredentialStatus]:
        """Return a snapshot of every credential."""
        return [made.credential.status() for made in self._parts.credentials.values()]

    async def refresh(self, credential: str | None) -> None:
        """Make one exchange for this credential, or one for each, and wait until all have succeeded or failed.

        Raises:
            CredentialError: one brought no token; the first of several.
        """
        wanted = [made for name, made in self._parts.credentials.items() if credential in (None, name)]
        outcomes = await asyncio.gather(*(made.credential.refresh() for made in wanted), return_exceptions=True)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome

    def gauges(self) -> Gauges:
        """Return what is held right now."""
        from sidecar.admin.health import why_not_ready
        from sidecar.metrics import Gauges

        return Gauges(
            ready=not why_not_ready(self.draining, self.credentials()),
            connections=len(self._listener.connections),
            upstream_connections=[
                (name, route.pool.idle_count, route.pool.busy_count) for name, route in self._parts.by_name.items()
            ],
            reload_successful=self.last_reload is None or not self.last_reload.error,
            tasks=self._tasks.running,
            reload_at=self._taken_at,
            insecure=self._config.insecure_count,
        )


def _shortened(mistakes: str) -> str:
    """Return the first of many mistakes: they are shown until the next reload."""
    lines = mistakes.splitlines()
    return (
        mistakes
        if len(lines) <= _MOST_SHOWN
        else "\n".join([*lines[:_MOST_SHOWN], f"and {len(lines) - _MOST_SHOWN} more"])
    )
