"""Steady load: requests at their times, whether or not others still wait, as many apps together make them."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from tests.fakes import Wire, until
from tests.main_job.client import Client

# How long the last requests may still take once the load is over.
LAST_S = 15.0


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as its app saw it. `at` is monotonic seconds; `error` is "" for an answer of the upstream."""

    number: int
    at: float
    took_s: float
    status: int
    error: str


class Load:
    """The requests of one load, as they are answered.

    Args:
        client: whom it asks.
        target: what it asks for; the number of the request is added.
        per_s: how many requests a second.
    """

    def __init__(self, client: Client, target: str, per_s: float) -> None:
        self.asked: list[Asked] = []
        self.begun = 0
        self._client = client
        self._target = target
        self._per_s = per_s
        self._idle: deque[Wire] = deque()
        self._stack = AsyncExitStack()

    @property
    def statuses(self) -> Counter[tuple[int, str]]:
        """How many answers there were, by status and error."""
        return Counter((asked.status, asked.error) for asked in self.asked)

    def since(self, at: float) -> list[Asked]:
        """Return those that were sent from this moment on."""
        return [asked for asked in self.asked if asked.at >= at]

    async def goes_on(self, seconds: float) -> None:
        """Wait until all requests of the next so many seconds are answered."""
        enough = self.begun + int(seconds * self._per_s)
        await until(lambda: len(self.asked) >= enough, within_s=seconds + LAST_S)

    async def run(self, over: asyncio.Event) -> None:
        """Send until it is over, and wait for the last answers."""
        began_at = time.monotonic()
        async with self._stack, asyncio.TaskGroup() as group:
            for number in itertools.count():
                await asyncio.sleep(began_at + number / self._per_s - time.monotonic())
                if over.is_set():
                    break
                self.begun += 1
                group.create_task(self._ask(number))

    async def _ask(self, number: int) -> None:
        """Make one request, on a connection that is free or on a new one. Every third has a body."""
        wire = self._idle.popleft() if self._idle else await self._stack.enter_async_context(self._client.connected())
        method, body = ("POST", b"small") if number % 3 == 0 else ("GET", b"")
        at = time.monotonic()
        async with asyncio.timeout(LAST_S):
            await wire.send(self._client.request(method, f"{self._target}{number}", body=body))
            answer = await wire.response()
        self.asked.append(Asked(number, at, time.monotonic() - at, answer.status, answer.proxy_error.decode()))
        self._idle.append(wire)


@asynccontextmanager
async def steady_load(client: Client, target: str, per_s: float) -> AsyncIterator[Load]:
    """Ask during a block; after it every request has been answered."""
    load, over = Load(client, target, per_s), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run(over))
        try:
            yield load
        finally:
            over.set()
