"""Time that passes only when there is nothing else to do.

A test marked `@in_virtual_time` runs on an event loop of its own whose clock jumps to the next
timer as soon as nothing is ready. Hours pass in milliseconds, in the same order each time. Only
what the loop itself can see is waited for: no threads, no sockets of others.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from tests.credentials.manual_clock import NOW


class JumpingSelector(selectors.DefaultSelector):
    """Reports what is ready, and otherwise lets the time pass that it was asked to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.jumps = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready, at once."""
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:
            raise RuntimeError("nothing will ever happen: everybody waits and no timer is set")
        self.now_s += timeout
        self.jumps += 1
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """asyncio's event loop over a jumping selector."""

    def __init__(self) -> None:
        self.selector = JumpingSelector()
        super().__init__(self.selector)

    def time(self) -> float:
        """Return virtual seconds."""
        return self.selector.now_s

    @property
    def wake_ups(self) -> int:
        """How often it slept and woke."""
        return self.selector.jumps


class FakeClock:
    """Monotonic time is the running loop's; the wall clock goes along with it, unless it is told otherwise."""

    def __init__(self, wall: float = NOW) -> None:
        self._loop = asyncio.get_running_loop()
        self._ahead_s = wall - self._loop.time()
        self._stands_at: float | None = None

    def wall(self) -> float:
        """Return seconds since the epoch."""
        return self._stands_at if self._stands_at is not None else self._loop.time() + self._ahead_s

    def monotonic(self) -> float:
        """Return the loop's seconds."""
        return self._loop.time()

    def move(self, by_s: float) -> None:
        """Set the wall clock forward or back. Forward is also what a process sees of a machine that slept."""
        self._ahead_s += by_s

    def stop(self) -> None:
        """Have the wall clock stand still."""
        self._stands_at = self.wall()

    def go_on(self) -> None:
        """Have the wall clock go on from where it stands."""
        if self._stands_at is not None:
            self._ahead_s = self._stands_at - self._loop.time()
            self._stands_at = None


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test in virtual time; it fails for a task left behind, or an exception that nobody handled."""

    @functools.wraps(test)
    def run(**arguments: object) -> None:
        run_virtually(test(**arguments))

    return run


def run_virtually(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(_watched(work))


def virtual_loop() -> VirtualLoop:
    """Return the running loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


async def _watched(work: Coroutine[Any, Any, None]) -> None:
    unhandled: list[Mapping[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unhandled.append(context))
    await work
    for _ in range(3):
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"tasks left behind: {left}"
    assert not unhandled, f"exceptions that nobody handled: {unhandled}"
