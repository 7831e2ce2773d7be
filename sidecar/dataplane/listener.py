"""All connections of apps, from whichever socket: how many there may be, and how they end together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from sidecar.dataplane.client import ClientConnection
from sidecar.dataplane.door import Door
from sidecar.dataplane.http1 import RequestReader
from sidecar.errors import Answerable, Overloaded

# How many connections beyond the limit may be told so at a time; the rest is cut.
MOST_TURNED_AWAY = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """What one app connection may cost."""

    head_bytes: int = 64 * 1024
    fields: int = 100
    head_timeout_s: float = 10.0
    idle_timeout_s: float = 75.0
    body_idle_timeout_s: float = 60.0


class Listener:
    """All connections of apps, from whichever socket.

    Args:
        serve: runs the request path on a connection until it ends.
        spawn: starts a connection's task.
        limits: for each connection.
        most_connections: at a time; those beyond are told so and closed.
        turned_away: the bytes to tell them.
        reader: reads heads.
    """

    def __init__(
        self,
        serve: Callable[[ClientConnection], Coroutine[Any, Any, None]],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        *,
        limits: Limits,
        most_connections: int,
        turned_away: Callable[[Answerable], bytes],
        reader: RequestReader,
    ) -> None:
        self._serve = serve
        self._spawn = spawn
        self._turned_away = turned_away
        self._most_connections = most_connections
        self.limits = limits
        self.reader = reader
        self.draining = False
        self.connections: set[ClientConnection] = set()
        self._last_closed: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()

    def protocol(self, door: Door) -> Callable[[], ClientConnection]:
        """Return what makes the protocol of each connection that comes in by this door."""
        return lambda: ClientConnection(self, self._loop, door)

    def opened(self, connection: ClientConnection) -> asyncio.Task[None] | None:
        """Count a connection and start its task; turn it away where there are too many, or it is a stranger's."""
        surplus = len(self.connections) - self._most_connections
        if surplus >= MOST_TURNED_AWAY:
            connection.abort()
            return None
        self.connections.add(connection)
        error: Answerable | None = None
        if surplus >= 0:
            error = Overloaded("too many connections", reason="connections", retry_after_s=1)
        elif connection.door.peer_uids:
            error = connection.door.stranger(connection.transport)
        if error is not None:
            connection.transport.write(self._turned_away(error))
            connection.finish()
            return None
        return self._spawn(self._serve(connection))

    def switch(self, limits: Limits, reader: RequestReader) -> None:
        """Take other limits for new connections, and another reader for all: it may look for other fields."""
        self.limits = limits
        self.reader = reader
        for connection in self.connections:
            connection.forget_head()

    def closed(self, connection: ClientConnection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        if self._last_closed is not None and not self.connections and not self._last_closed.done():
            self._last_closed.set_result(None)

    def sweep(self, now: float) -> None:
        """End what is past its deadline."""
        for connection in tuple(self.connections):
            connection.check(now)

    async def emptied(self, most_s: float) -> None:
        """Wait until every connection has ended; cut those that have not after `most_s` seconds."""
        if self.connections:
            self._last_closed = self._loop.create_future()
            await asyncio.wait([self._last_closed], timeout=most_s)
        for connection in tuple(self.connections):
            connection.abort()

    def drain(self) -> None:
        """Take no further request; end the connections that wait for one."""
        self.draining = True
        for connection in tuple(self.connections):
            connection.drain()
