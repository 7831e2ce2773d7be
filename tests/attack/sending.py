"""Sends raw bytes to a sidecar, whole or one at a time, and says what came of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from tests.fakes import Wire
from tests.wire.running import Running

# The ways in which the same bytes can arrive.
WAYS = ("whole", "byte by byte")


async def send_in_two(wire: Wire, raw: bytes, cut: int) -> None:
    """Send the first `cut` bytes, let them be read, and send the rest."""
    await wire.send(raw[:cut])
    for _ in range(3):
        await asyncio.sleep(0)
    await wire.send(raw[cut:])


async def send(wire: Wire, raw: bytes, way: str) -> None:
    """Send bytes; the sidecar may end the connection before it has all of them."""
    # uvloop's word for a connection that has just ended is RuntimeError.
    with suppress(ConnectionError, RuntimeError):
        await (wire.send(raw) if way == "whole" else wire.send_slowly(raw))


async def refusal(sidecar: Running, raw: bytes, way: str, statuses: tuple[int, ...]) -> str:
    """Send what is to be refused; return what is wrong with the answer, or ""."""
    wire = await sidecar.connect()
    try:
        raw = raw.replace(b"<own>", sidecar.host)
        # One byte at a time is for what breaks early; a flood of them says nothing more.
        sending = asyncio.create_task(send(wire, raw, way if len(raw) < 2000 else "whole"))
        try:
            answer = await wire.response()
            after = await wire.ended()
        finally:
            await sending
    except (TimeoutError, asyncio.IncompleteReadError, ConnectionError) as error:
        return f"no answer that ends the connection: {error!r}"
    finally:
        wire.close()
    if answer.status not in statuses:
        return f"{answer.start!r}"
    if answer.value("connection") != b"close" or not answer.proxy_error:
        return f"not ours, or not the last: {answer.head!r}"
    if after:
        return f"another answer after it: {after[:80]!r}"
    return ""


async def refusals(sidecar: Running, cases: list[tuple[str, bytes, tuple[int, ...]]], way: str) -> list[str]:
    """Send all that is to be refused, each on a connection of its own; return what went wrong, by name."""
    some_at_a_time = asyncio.Semaphore(20)

    async def one(name: str, raw: bytes, statuses: tuple[int, ...]) -> str:
        async with some_at_a_time:
            wrong = await refusal(sidecar, raw, way, statuses)
        return f"{name}: {wrong}" if wrong else ""

    return [wrong for wrong in await asyncio.gather(*(one(*case) for case in cases)) if wrong]
