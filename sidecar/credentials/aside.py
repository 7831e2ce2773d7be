"""Work that may hang, done in a thread that nobody ever waits for.

The event loop's own threads are waited for at the end of the process: a read of a network disk
that is away would keep the process from ending.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

T = TypeVar("T")


async def aside(work: Callable[[], T]) -> T:
    """Return what the work returns, or raise what it raises; the loop goes on meanwhile.

    Raises:
        RuntimeError: the machine allows no more threads for now.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def in_thread() -> None:
        try:
            result = work()
        except Exception as error:
            _tell(loop, done, partial(done.set_exception, error))
        else:
            _tell(loop, done, partial(done.set_result, result))

    threading.Thread(target=in_thread, name="aside", daemon=True).start()
    return await done


def _tell(loop: asyncio.AbstractEventLoop, done: asyncio.Future[T], settle: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop has ended meanwhile
        loop.call_soon_threadsafe(lambda: None if done.done() else settle())
