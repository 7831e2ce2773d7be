"""All connections of apps, from whichever socket: how many there may be, and how they end together."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, ClassVar

from sidecar.dataplane.client import ClientConnection
from sidecar.dataplane.door import Door
from sidecar.dataplane.http1 import RequestReader
from sidecar.dataplane.limits import descriptors_run_out
from sidecar.dataplane.socket_events import has_news
from sidecar.dataplane.sweep import look_after
from sidecar.errors import Answerable, Overloaded

# How many connections beyond the limit may be told so at a time; the rest is cut.
MOST_TURNED_AWAY = 64
# The same while file descriptors run out: each of them takes one until it has read its answer.
MOST_TURNED_AWAY_IN_NEED = 4
# How finely it is noted when to look at a connection.
AGENDA_S = 0.5
# Who has connected and sends nothing for this long is not about to: a drain does not wait any longer.
JUST_CONNECTED_S = 0.25
_NOBODY: set[ClientConnection] = set()


@dataclass(frozen=True, slots=True)
class Limits:
    """What one app connection may cost."""

    head_bytes: int = 64 * 1024
    fields: int = 100
    head_timeout_s: float = 10.0
    idle_timeout_s: float = 75.0
    body_idle_timeout_s: float = 60.0

    @property
    def shortest_s(self) -> float:
        """A deadline that is set from now on lies at least this far ahead, but for that of an ending."""
        return min(self.head_timeout_s, self.idle_timeout_s, self.body_idle_timeout_s)


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

    # Whether its connections may take the last file descriptors.
    takes_the_last: ClassVar[bool] = False

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
        # From here on each answer is the last of its connection; new ones may still come.
        self.leaving = False
        self.connections: set[ClientConnection] = set()
        self._being_told: set[ClientConnection] = set()
        # Whom to look at when. To look at all of 10,000 idle connections twice a second takes 10 ms each time (cache
        # misses). No deadline is set nearer than `shortest_s` ahead, so that is how often each has to be looked at.
        self._agenda: dict[int, set[ClientConnection]] = {}
        self._last_closed: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()

    def protocol(self, door: Door) -> Callable[[], ClientConnection]:
        """Return what makes the protocol of each connection that comes in by this door."""
        return lambda: ClientConnection(self, self._loop, door)

    def opened(self, connection: ClientConnection) -> asyncio.Task[None] | None:
        """Count a connection and start its task; turn it away where there are too many, or it is a stranger's."""
        error: Answerable | None = None
        in_need = not self.takes_the_last and descriptors_run_out(
            connection.transport.get_extra_info("socket").fileno()
        )
        if len(self.connections) - len(self._being_told) >= self._most_connections:
            error = Overloaded("too many connections", reason="connections", retry_after_s=1)
        elif in_need:
            error = Overloaded("too few file descriptors are left", reason="descriptors", retry_after_s=1)
        elif connection.door.peer_uids:
            error = connection.door.stranger(connection.transport)
        if error is None:
            self.connections.add(connection)
            self.look_at(connection, connection.next_look(self._loop.time()))
            return self._spawn(self._serve(connection))
        answer = self._turned_away(error)
        if len(self._being_told) >= (MOST_TURNED_AWAY_IN_NEED if in_need else MOST_TURNED_AWAY):
            connection.abort()
            return None
        self.connections.add(connection)
        self._being_told.add(connection)
        connection.transport.write(answer)
        connection.finish()
        return None

    def switch(self, limits: Limits, reader: RequestReader) -> None:
        """Take other limits for new connections, and another reader for all: it may look for other fields."""
        self.limits = limits
        self.reader = reader
        for connection in self.connections:
            connection.forget_head()

    def closed(self, connection: ClientConnection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        self._being_told.discard(connection)
        self._agenda.get(connection.on_agenda, _NOBODY).discard(connection)
        if self._last_closed is not None and not self.connections and not self._last_closed.done():
            self._last_closed.set_result(None)

    def sweep(self, now: float) -> None:
        """End what is past its deadline (called twice a second or so)."""
        due = int(now / AGENDA_S)
        for moment in [moment for moment in self._agenda if moment <= due]:
            for connection in self._agenda.pop(moment):
                look_after(connection, now)
                if connection in self.connections:
                    self.look_at(connection, connection.next_look(now))

    def look_at(self, connection: ClientConnection, at: float) -> None:
        """Check a connection in the first sweep after `at`, and not before one around then."""
        if connection not in self.connections:
            return  # it is gone, and its task ends it once more
        self._agenda.get(connection.on_agenda, _NOBODY).discard(connection)
        moment = connection.on_agenda = int(at / AGENDA_S)
        there = self._agenda.get(moment)
        if there is None:
            self._agenda[moment] = {connection}
        else:
            there.add(connection)

    async def emptied(self, most_s: float) -> int:
        """Wait until every connection has ended; cut those that have not after `most_s` seconds, and say how many."""
        if self.connections:
            self._last_closed = self._loop.create_future()
            await asyncio.wait([self._last_closed], timeout=most_s)
        return self.cut()

    def cut(self) -> int:
        """End every connection by a reset, so that no app takes what it has got for the whole; return how many."""
        left = tuple(self.connections)
        for connection in left:
            connection.abort()
        return len(left)

    def drain(self) -> None:
        """Take no further request but what has been sent by now; end the connections that wait for one.

        What an app has sent may still be in the kernel; and who has only connected yet may be about to send.
        """
        self.draining = self.leaving = True
        for connection in tuple(self.connections):
            if connection.is_idle and connection.is_new:
                self._loop.call_later(JUST_CONNECTED_S, connection.drain)
            elif not connection.is_idle or _ended_unasked(connection):
                connection.drain()


def _ended_unasked(connection: ClientConnection) -> bool:
    """End our side of an idle connection, unless something has come; return whether it was ended.

    At once, past the loop: an app on this machine that sends a request from now on could have seen the end before.
    By the loop it would be a turn or two later (with 10,000 connections, tenths of a second), and what came in
    between would be lost.
    """
    number = connection.transport.get_extra_info("socket").fileno()
    if connection.transport.is_closing() or number < 0:
        return True
    if has_news(number):
        return False
    view = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=number)
    try:
        view.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # it has ended by itself
    finally:
        view.detach()
    return True
