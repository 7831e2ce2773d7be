"""The tasks of the process: each has an owner, none is lost sight of, and one that breaks says so.

`app.py` starts them; what serves connections gets `spawn` from there. The rule: an error that
ends a task is logged by its type and place only, since its text could hold what it was working on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

# What should take a moment may not hold up a stop for longer.
QUICK_S = 0.5

T = TypeVar("T")

_log = logging.getLogger("sidecar")


class Tasks:
    """Those that run: the ones with a name, which end when the process stops, and those of connections."""

    def __init__(self) -> None:
        self.named: dict[object, asyncio.Task[None]] = {}
        self.running = 0

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task whose end its owner sees to."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._done)
        self.running += 1
        return task

    def start(self, name: object, work: Coroutine[Any, Any, None]) -> None:
        """Start a task that runs until `stop`, or until it is taken out."""
        self.named[name] = self.spawn(work)

    def __contains__(self, name: object) -> bool:
        return name in self.named

    def take_out(self, name: object) -> asyncio.Task[None]:
        """Return the task of this name, which somebody else will end."""
        return self.named.pop(name)

    async def stop(self) -> None:
        """End those with a name."""
        await cancelled(*self.named.values())

    def _done(self, task: asyncio.Task[Any]) -> None:
        self.running -= 1
        _report(task)


async def cancelled(*tasks: asyncio.Task[None]) -> None:
    """Cancel them, and wait a moment for their end."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=QUICK_S)


def _report(task: asyncio.Task[Any]) -> None:
    """A task that ends with an error of ours is a defect: say so, and go on."""
    if not task.cancelled() and task.exception() is not None:
        error = task.exception()
        place = ""
        trace = error.__traceback__ if error is not None else None
        while trace is not None:
            place = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
            trace = trace.tb_next
        _log.error("a task failed: %s at %s; please report this", type(error).__name__, place)
