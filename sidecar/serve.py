"""A sidecar as a process: from its configuration to its exit code, with the signals in between."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from sidecar import standard_streams
from sidecar.app import App
from sidecar.config.values import Config
from sidecar.environment import take_keys_out
from sidecar.errors import ConfigError, NothingToReload, StartError
from sidecar.event_loop import event_loop_factory
from sidecar.hardening import harden
from sidecar.last_resort import SPARE_S, leave_within
from sidecar.log import configure
from sidecar.passed_sockets import PassedSockets
from sidecar.service_manager import ServiceManager
from sidecar.signals import on_signal

_LOOK_S = 0.02

_log = logging.getLogger("sidecar")


def run(load: Callable[[], Config], environ: Mapping[str, str], *, inspect: bool = False) -> int:
    """Serve until SIGTERM or SIGINT, then drain; a second one cuts what runs and ends at once. SIGHUP reloads.

    Args:
        load: reads the configuration: now, and again for each reload.
        environ: the environment as it is now: keys are taken out of the one that children get.
        inspect: write a line at each request, for a person.

    Returns:
        The process's exit code: 0, or 128 and the number of the signal that did not let it drain.

    Raises:
        ConfigError: the configuration is wrong.
        StartError: an address is in use.
    """
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload: it would end the process
    standard_streams.occupy()
    harden(environ)
    manager = ServiceManager(os.environ)
    passed = PassedSockets(os.environ)

    def loaded() -> Config:
        config = load()
        take_keys_out(config)
        return config

    config = loaded()
    configure(config.log.level, config.log.format)
    for warning in config.warnings:
        _log.warning("%s", warning)

    def make_app(on_quit: Callable[[], None]) -> App:
        return App(config, load=loaded, on_quit=on_quit, environ=environ, passed=passed, inspect=inspect)

    with asyncio.Runner(loop_factory=event_loop_factory()) as runner:
        return runner.run(_serve(make_app, manager))


async def _serve(make_app: Callable[[Callable[[], None]], App], manager: ServiceManager) -> int:
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    at_once: asyncio.Future[int] = loop.create_future()
    reload_wanted = asyncio.Event()

    def end(number: int) -> None:
        if told.is_set() and not at_once.done():
            at_once.set_result(128 + number)
        told.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        on_signal(loop, number.name, partial(end, number))
    on_signal(loop, "SIGHUP", reload_wanted.set)
    app = make_app(told.set)
    if not await _started(app, told):
        return 0
    if app.config.fail_fast:
        await _first_tokens(app, told)
    manager.ready(f"serving on {', '.join(app.listeners)}")
    beside = [loop.create_task(_reloads(app, reload_wanted, manager)), loop.create_task(_stay_alive(manager))]
    await told.wait()
    drain = app.config.drain
    manager.stopping(f"what runs may finish within {drain.most_s:g} s")
    _log.info("stopping: what runs may finish within %g s", drain.most_s)
    leave_within(drain.lame_duck_s + drain.most_s + SPARE_S, 1)
    stopping = loop.create_task(app.stop())
    either: tuple[asyncio.Future[Any], ...] = (stopping, at_once)
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    for task in beside:
        task.cancel()
    if not stopping.done():
        _log.warning("told again: what runs is cut")
        app.abort()
        code = at_once.result()
    elif broke := stopping.exception():
        _log.error("the stop broke (%s); please report this", type(broke).__name__)
        code = 1
    else:
        code = 0
    leave_within(SPARE_S, code)
    return code


async def _started(app: App, told: asyncio.Event) -> bool:
    """Start; return False where somebody tells to end before that is done, as a key of the gate's may take its time."""
    loop = asyncio.get_running_loop()
    starting, telling = loop.create_task(app.start()), loop.create_task(told.wait())
    await asyncio.wait((starting, telling), return_when=asyncio.FIRST_COMPLETED)
    telling.cancel()
    if starting.done():
        await starting
        return True
    leave_within(SPARE_S, 0)
    starting.cancel()
    await asyncio.wait([starting])
    return False


async def _first_tokens(app: App, told: asyncio.Event) -> None:
    """Wait until every credential has had its first token, or somebody tells to end.

    Raises:
        StartError: one has had a failure instead.
    """
    while not told.is_set():
        statuses = app.credentials()
        failed = [f"{status.name}: {status.error}" for status in statuses if status.error and not status.usable]
        if failed:
            app.abort()
            raise StartError(f"fail_fast: no first token: {'; '.join(failed)}")
        if all(status.usable for status in statuses):
            return
        await asyncio.sleep(_LOOK_S)


async def _stay_alive(manager: ServiceManager) -> None:
    """Tell the service manager's watchdog that the loop turns, where it wants to know."""
    while manager.alive_every_s is not None:
        manager.alive()
        await asyncio.sleep(manager.alive_every_s)


async def _reloads(app: App, wanted: asyncio.Event, manager: ServiceManager) -> None:
    while True:
        await wanted.wait()
        wanted.clear()
        manager.reloading()
        status = f"serving on {', '.join(app.listeners)}"
        try:
            await app.reload()
            status = f"serving on {', '.join(app.listeners)}"
        except (ConfigError, StartError) as error:
            # More is said in the log and the metrics.
            status = f"the old configuration stays: {str(error).partition(chr(10))[0]}"
        except NothingToReload as error:
            _log.warning("no reload: %s", error)
        except Exception as error:
            # A defect, after which the next signal must count. The type alone: its text could hold anything.
            _log.error("the reload broke (%s); please report this", type(error).__name__)
        if not app.draining:
            manager.ready(status)
