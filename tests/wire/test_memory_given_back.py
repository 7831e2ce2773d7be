"""What a connection leaves behind is freed at once, and not when the garbage collector comes round to it.

It would come to megabytes: each of them may hold 300 KB of a body that nobody wants any more.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.fakes import Script, Wire, response, silent, until
from tests.wire import test_replay_memory as ends
from tests.wire.running import Running, in_front_of

End = Callable[[Running], Awaitable[None]]


async def leaves_within_a_large_answer(running: Running) -> None:
    """Some of it has been read from the upstream, and waits here."""
    wire = await running.connect()
    await wire.send(running.ask_bytes())
    await wire.head()
    wire.reset()


async def asks_and_closes(running: Running) -> None:
    """The usual: a request, its answer, and the app's end."""
    wire = await running.connect()
    await wire.send(running.ask_bytes())
    assert (await wire.response()).status == 200
    wire.close()


async def large_answer(wire: Wire) -> None:
    """Answer with five megabytes."""
    await wire.request()
    await wire.send(response(bytes(5_000_000)))


async def streamed_answer(wire: Wire) -> None:
    """Answer in chunks, and leave."""
    await wire.request()
    await wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    await wire.send(b"4\r\nfine\r\n")
    await asyncio.sleep(0.02)
    await wire.send(b"0\r\n\r\n")


@contextmanager
def garbage() -> Iterator[list[str]]:
    """Yield a list which, after the block, names the types of the sidecar's objects that only the collector freed."""
    found: list[str] = []
    gc.collect()
    gc.disable()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found += [type(thing).__name__ for thing in gc.garbage if type(thing).__module__.startswith("sidecar.")]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@pytest.mark.parametrize(
    ("script", "end"),
    [
        *((ends.FINE, end) for end in (asks_and_closes, ends.is_answered, ends.is_too_large, ends.app_resets)),
        *((ends.FINE, end) for end in (ends.breaks_its_framing, ends.app_closes)),
        (streamed_answer, asks_and_closes),
        (large_answer, leaves_within_a_large_answer),
        (silent, ends.leaves_before_the_answer),
        *((script, ends.is_not_answered_well) for script in (ends.cut_answer, ends.no_answer, ends.nonsense)),
    ],
)
async def test_nothing_is_left_for_the_collector(script: Script, end: End) -> None:
    """Of a connection, its bodies and its errors, however it ends."""
    limits = {"replay_memory_bytes": ends.MOST_BYTES}
    async with in_front_of(script, limits=limits) as (running, _):
        with garbage() as found:
            await end(running)
            running.leave()
            await until(lambda: not running.app_connections())
            await asyncio.sleep(0.05)
        assert found == []
