"""Work in a thread that nobody waits for."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from sidecar.credentials.aside import aside
from tests.cli.command import python


async def test_what_it_returns_and_raises() -> None:
    """Both come back; the loop goes on meanwhile."""
    assert await aside(lambda: 5) == 5
    with pytest.raises(ZeroDivisionError):
        await aside(lambda: 1 // 0)
    slow = asyncio.create_task(aside(lambda: time.sleep(0.1)))
    turns = 0
    while not slow.done():
        await asyncio.sleep(0.005)
        turns += 1
    assert turns >= 5


async def test_whoever_asked_may_leave() -> None:
    """What it brings then is nobody's."""
    goes_on = threading.Event()
    for divisor in (1, 0):
        asked = asyncio.create_task(aside(lambda divisor=divisor: goes_on.wait(5) // divisor))  # type: ignore[misc]
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.wait([asked])
        assert asked.cancelled()
    goes_on.set()
    await asyncio.sleep(0.05)


HANGS = """
import asyncio, time
from sidecar.credentials.aside import aside
async def main():
    asyncio.create_task(aside(lambda: time.sleep(60)))
    await asyncio.sleep(0.1)
asyncio.run(main())
print("ended")
"""


def test_a_process_ends_though_it_hangs() -> None:
    """A read of a disk that is away; the loop's own threads would be waited for."""
    began = time.monotonic()
    assert python("-c", HANGS).out == "ended\n"
    assert time.monotonic() - began < 15
