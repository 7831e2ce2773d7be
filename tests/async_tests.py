"""Runs `async def test_…`, and fails it for what it leaves behind.

Each async test runs on an event loop of its own: uvloop where it exists, asyncio's with
`SIDECAR_TEST_LOOP=asyncio`. It has 30 s, or what `@pytest.mark.timeout(seconds)` gives it. It fails if
a task is still running at its end, or if the loop met an exception that nobody handled.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

TIMEOUT_S = 30.0
# pytest-timeout's alarm comes this much later, for a loop that is blocked: an exception out of a signal handler at the
# very moment of the time-out would be lost in the loop.
ALARM_AFTER_S = 10.0
# A connection that was just closed needs some turns of the loop until its task has ended.
GRACE_S = 1.0

limit_key = pytest.StashKey[float]()


def new_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop of the kind that `SIDECAR_TEST_LOOP` names (`uvloop`, the default, or `asyncio`)."""
    kind = os.environ.get("SIDECAR_TEST_LOOP", "uvloop")
    if kind not in ("uvloop", "asyncio"):
        raise pytest.UsageError(f"SIDECAR_TEST_LOOP is {kind!r}; expected uvloop or asyncio")
    if kind == "uvloop":
        try:
            import uvloop
        except ImportError:
            return asyncio.new_event_loop()
        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


def is_async(item: pytest.Item) -> bool:
    """Return whether the item is an async test."""
    return isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Note the limit of each async test, and set the alarm behind it."""
    for item in filter(is_async, items):
        marker = item.get_closest_marker("timeout")
        limit_s = float(marker.args[0]) if marker else TIMEOUT_S
        item.stash[limit_key] = limit_s
        item.add_marker(pytest.mark.timeout(limit_s + ALARM_AFTER_S), append=False)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test to its end; leave the others to pytest."""
    if not is_async(pyfuncitem):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_run(pyfuncitem.obj, arguments, pyfuncitem.stash[limit_key]))
    return True


async def _run(test: Callable[..., Awaitable[None]], arguments: dict[str, Any], timeout_s: float) -> None:
    unhandled: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unhandled.append(context))
    async with asyncio.timeout(timeout_s):
        await test(**arguments)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        _done, left = await asyncio.wait(left, timeout=GRACE_S)
    assert not left, f"tasks left behind: {[repr(task) for task in left]}"
    for context in unhandled:
        raise AssertionError(f"the loop met an unhandled exception: {context}") from context.get("exception")
