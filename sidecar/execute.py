"""A command with a sidecar of its own: on a free port, for as long as the command runs.

    listen → first tokens → the command starts → it ends → drain → its exit code

The sidecar is this process, the command its child. The key stays here: the command gets an environment without it, an
address, and no descriptor of ours.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from sidecar import child, standard_streams
from sidecar.app import App
from sidecar.child_environment import child_environment, key_files
from sidecar.client_environment import base_url
from sidecar.config.values import Address, AdminConfig, Config
from sidecar.credentials.aside import aside
from sidecar.credentials.remedies import without_promises
from sidecar.credentials.status import CredentialStatus
from sidecar.environment import take_keys_out
from sidecar.errors import StartError
from sidecar.event_loop import event_loop_factory
from sidecar.hardening import harden
from sidecar.last_resort import SPARE_S, leave_within
from sidecar.log import configure
from sidecar.signals import Signals

_LOOK_S = 0.02
# Before that, a wait is not worth a word.
_QUIET_S = 0.5
_LOOPBACK = "127.0.0.1"

_log = logging.getLogger("sidecar")


@dataclass(frozen=True, slots=True)
class Command:
    """What to run.

    Args:
        argv: the program, as a shell would find it, and its arguments.
        templates: variables to set besides, with `{url}` and the like in them.
        wait_s: how long to wait for the first tokens.
        complain: takes a sentence that says what is wrong, and what to do.
        progress: takes what is waited for, again and again, and "" at the end; None on anything but a terminal.
    """

    argv: tuple[str, ...]
    templates: Mapping[str, str]
    wait_s: float
    complain: Callable[[str], None]
    progress: Callable[[str], None] | None = None


class _Told(Exception):
    """Somebody wants it to end before the command has begun."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code = child.SIGNALLED + number


def run(load: Callable[[], Config], environ: Mapping[str, str], command: Command) -> int:
    """Run a command to its end.

    Args:
        load: reads the configuration.
        environ: the environment as it is now, with the keys.

    Returns:
        The command's exit code, or 128 and the number of the signal that ended it, or that came before it began; 1
        where no token can be had, 126 or 127 where the command cannot be run.

    Raises:
        ConfigError: the configuration is wrong.
    """
    standard_streams.occupy()
    core_limit = resource.getrlimit(resource.RLIMIT_CORE)
    harden(environ)
    try:
        path = child.find(command.argv[0], environ)
    except child.NotStarted as error:
        command.complain(f"{error}.")
        return error.code

    def loaded() -> Config:
        config = load()
        take_keys_out(config)
        return private(config)

    config = loaded()
    # Until the command runs, what goes wrong is told once, at the end.
    configure("critical", config.log.format)
    make_loop = event_loop_factory()
    with asyncio.Runner(loop_factory=make_loop) as runner:
        beside = _Beside(config, loaded, environ, runner.get_loop())
        return runner.run(beside.run(path, command, core_limit))


def private(config: Config) -> Config:
    """Return a configuration that serves at one free port of this machine, whatever else it listens on.

    Not every listener is a base URL that a command could be given, and their addresses may be in use by a sidecar
    that others share.
    """
    return replace(
        config,
        listen=(Address(_LOOPBACK, 0),),
        admin=AdminConfig(Address(_LOOPBACK, 0)),
        drain=replace(config.drain, lame_duck_s=0.0),
    )


class _Beside:
    """The sidecar while the command runs beside it."""

    def __init__(
        self, config: Config, load: Callable[[], Config], environ: Mapping[str, str], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._app = App(config, load=load, environ=environ)
        self._environ = environ
        self._loop = loop
        self._pid: int | None = None
        self._told: asyncio.Future[int] = loop.create_future()
        self._signals = Signals(self._heard)

    async def run(self, path: str, command: Command, core_limit: tuple[int, int]) -> int:
        """Do it all; return the exit code."""
        try:
            await self._unless_told(self._ready(command))
        except (_Told, StartError) as error:
            code = error.code if isinstance(error, _Told) else 1
            for line in str(error).splitlines():
                command.complain(line)
            leave_within(SPARE_S, code)
            return code
        config = self._app.config
        configure("error" if config.log.level == "error" else "warning", config.log.format)
        for warning in (*config.warnings, *_unguarded(config)):
            _log.warning("%s", warning)
        try:
            self._pid = self._start(path, command, core_limit)
            code = await aside(partial(child.wait, self._pid))
        except child.NotStarted as error:
            command.complain(f"{error}.")
            code = error.code
        except BaseException:
            self._app.abort()
            raise
        self._pid = None
        await self._drain(code, command)
        return code

    async def _ready(self, command: Command) -> None:
        await self._app.start()
        try:
            await self._first_tokens(command)
        except BaseException:
            self._app.abort()
            raise

    async def _first_tokens(self, command: Command) -> None:
        """Wait until every credential has had its first token.

        Raises:
            StartError: one cannot be had, or not in time.
        """
        began = self._loop.time()
        try:
            while missing := [status for status in self._app.credentials() if not status.usable]:
                waited_s = self._loop.time() - began
                hopeless = [status for status in missing if is_hopeless(status, self._app.config.fail_fast)]
                if hopeless or waited_s >= command.wait_s:
                    late = "" if hopeless else f" within {command.wait_s:g} s (--max)"
                    raise StartError("\n".join(_why(status, late) for status in hopeless or missing))
                if command.progress is not None and waited_s > _QUIET_S:
                    waits_for = ", ".join(f"{status.name}: {status.error or 'the exchange'}" for status in missing)
                    command.progress(f"waiting for a token for {waited_s:.0f} s: {waits_for}")
                await asyncio.sleep(_LOOK_S)
        finally:
            if command.progress is not None:
                command.progress("")

    def _start(self, path: str, command: Command, core_limit: tuple[int, int]) -> int:
        config = self._app.config
        (address,) = self._app.addresses
        environ = child_environment(
            self._environ,
            config,
            url=base_url(*address),
            admin_url=base_url(*self._app.admin_address),
            templates=command.templates,
        )
        return child.start(
            path,
            command.argv,
            environ,
            mask=self._signals.mask_before,
            hidden=key_files(config),
            core_limit=core_limit,
        )

    async def _drain(self, code: int, command: Command) -> None:
        """Let what the command has left running finish its requests, unless somebody tells it to end."""
        most_s = self._app.config.drain.most_s
        leave_within(most_s + SPARE_S, code)
        stopping = self._loop.create_task(self._app.stop())
        quiet = asyncio.wait((stopping, self._told), timeout=_QUIET_S, return_when=asyncio.FIRST_COMPLETED)
        await quiet
        if not stopping.done() and not self._told.done() and command.progress is not None:
            command.progress(f"what the command left running may finish within {most_s:g} s; Ctrl-C cuts it")
        await asyncio.wait((stopping, self._told), return_when=asyncio.FIRST_COMPLETED)
        if command.progress is not None:
            command.progress("")
        if not stopping.done():
            self._app.abort()
        elif broke := stopping.exception():
            _log.error("the stop broke (%s); please report this", type(broke).__name__)
        leave_within(SPARE_S, code)

    # Signals

    def _heard(self, number: int, sender: int) -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(self._pass_on, number, sender)

    def _pass_on(self, number: int, sender: int) -> None:
        """Send a signal on to the command where it has not had it; without one, end."""
        if self._pid is None:
            if not self._told.done():
                self._told.set_result(number)
        elif sender not in (0, self._pid):  # 0: the terminal, whose signals the command has had
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self._pid, number)

    async def _unless_told(self, work: Coroutine[object, object, None]) -> None:
        """Do it, unless a signal comes.

        Raises:
            _Told: one came.
        """
        working = self._loop.create_task(work)
        await asyncio.wait((working, self._told), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
            await asyncio.wait([working], timeout=SPARE_S)
            raise _Told(self._told.result())
        await working


def is_hopeless(status: CredentialStatus, fail_fast: bool) -> bool:
    """Whether waiting will not help: the key is refused, or there is none; or nothing is to be waited for."""
    failed = status.error is not None
    return failed and (status.state == "key_rejected" or status.last_exchange is None or fail_fast)


def _unguarded(config: Config) -> list[str]:
    """Return what to say where the configuration keeps other users of this machine out, and this does not."""
    if not config.gate.peer_uids or config.gate.require_token is not None:
        return []
    return [
        "gate.peer_uids counts on unix listeners alone, and the command's is a port of 127.0.0.1: while it runs, any"
        " user of this machine can use it; gate.require_token keeps them out"
    ]


def _why(status: CredentialStatus, late: str) -> str:
    reason = (status.error or "the token endpoint has not answered").rstrip(".")
    what_to_do = without_promises(status.remedy or "see whether the token endpoint can be reached, or wait longer")
    return f"no token for credential {status.name}{late}: {reason}. What to do: {what_to_do.rstrip('.')}."
