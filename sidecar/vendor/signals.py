"""Ending by signal: Ctrl-C and SIGTERM end what runs until then, and it cleans up after itself."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sidecar.signals import on_signal

_ENDING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Run the body until it is done, or until SIGINT or SIGTERM cancels it; that is a clean end.

    To be entered in a task, on the main thread.
    """
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()
    came = asyncio.Event()

    def end() -> None:
        came.set()
        if task is not None:
            task.cancel()

    for number in _ENDING:
        on_signal(loop, number.name, end)
    try:
        yield
    except asyncio.CancelledError:
        if task is None or not came.is_set():
            raise
        task.uncancel()
    finally:
        for number in _ENDING:
            with suppress(NotImplementedError):  # Windows
                loop.remove_signal_handler(number)
