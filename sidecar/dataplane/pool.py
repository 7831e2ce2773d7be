"""The connections to one origin: those that wait for work, and the making of new ones.

The one that was used last is used first, so that a quiet pool shrinks by
itself. Names are resolved for each new connection and never remembered here (`dial.py`).
"""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
from collections import deque

from sidecar.dataplane.dial import Origin, dial
from sidecar.dataplane.limits import PoolLimits, Timeouts
from sidecar.dataplane.upstream import UpstreamConnection
from sidecar.errors import Overloaded, UpstreamError, UpstreamTimeout, UpstreamUnreachable


class Pool:
    """Connections to one origin.

    Args:
        origin: where to connect.
        limits: the most connections at a time, and how long an idle one is kept.
        timeouts: for each phase.
        most_waiting: how many requests may wait for a free connection.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        limits: PoolLimits,
        timeouts: Timeouts,
        most_waiting: int,
    ) -> None:
        self._origin = origin
        self._limits = limits
        self.timeouts = timeouts
        self._most_waiting = most_waiting
        self._loop = asyncio.get_running_loop()  # asking for it costs a system call before Python 3.12
        self._idle: list[UpstreamConnection] = []
        # Each gets a connection that has become free, or None where there is room for a new one.
        self._waiting: deque[asyncio.Future[UpstreamConnection | None]] = deque()
        self._connecting = 0
        self._retired = False
        self.connections: set[UpstreamConnection] = set()

    @property
    def idle_count(self) -> int:
        """How many connections wait for work."""
        return len(self._idle)

    @property
    def busy_count(self) -> int:
        """How many connections carry a request."""
        return len(self.connections) - len(self._idle)

    def take_idle(self, *, certain: bool) -> UpstreamConnection | None:
        """Return a connection that waits for work, if there is one.

        Args:
            certain: look at the socket too, for a request that may not be sent twice.
                An end that the upstream has sent and the loop not yet read costs such
                a request its life; the look costs a system call.
        """
        while self._idle:
            connection = self._idle.pop()
            if not connection.transport.is_closing() and not (certain and _has_news(connection)):
                connection.reused = True
                return connection
            connection.abort()
        return None

    async def connect(self) -> UpstreamConnection:
        """Make a new connection, waiting for a place where the pool is full.

        Raises:
            UpstreamUnreachable, UpstreamTimeout: it could not be made.
            Overloaded: the pool is full, and so is the queue for it.
        """
        while len(self.connections) + self._connecting >= self._limits.most:
            connection = await self._wait_for_place()
            if connection is not None:
                return connection
        self._connecting += 1
        try:
            connection = await self._connect()
        except BaseException:
            self._connecting -= 1
            self._call_next()
            raise
        self._connecting -= 1
        self.connections.add(connection)
        return connection

    async def _wait_for_place(self) -> UpstreamConnection | None:
        if len(self._waiting) >= self._most_waiting:
            raise Overloaded("too many requests wait for this upstream", reason="upstream_pool_full", retry_after_s=1)
        place: asyncio.Future[UpstreamConnection | None] = self._loop.create_future()
        self._waiting.append(place)
        try:
            async with asyncio.timeout(self.timeouts.connect_s):
                connection = await place
        except BaseException as error:
            self._leave_queue(place)
            if not isinstance(error, TimeoutError):
                raise
            raise Overloaded(
                "no connection to this upstream became free in time", reason="upstream_pool_full", retry_after_s=1
            ) from None
        if connection is None:
            return None
        self._idle.append(connection)
        return self.take_idle(certain=True)

    def _leave_queue(self, place: asyncio.Future[UpstreamConnection | None]) -> None:
        """Its request has left; if it was called already, what it was given is somebody else's."""
        if place in self._waiting:
            self._waiting.remove(place)
        elif not place.cancelled():
            connection = place.result()
            if connection is not None:
                self.give_back(connection)
            else:
                self._call_next()

    def _call_next(self, connection: UpstreamConnection | None = None) -> bool:
        """Give what has become free to the request that has waited longest; return whether there was one."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(connection)
                return True
        return False

    async def _connect(self) -> UpstreamConnection:
        loop = self._loop
        try:
            async with asyncio.timeout(self.timeouts.connect_s):
                connection = await dial(self._origin, lambda: UpstreamConnection(self, loop))
        except TimeoutError:
            raise UpstreamTimeout(
                f"no connection within {self.timeouts.connect_s:g} s", phase="connect", code="connection_timeout"
            ) from None
        except OSError as error:
            raise _unreachable(error) from None
        if connection.transport.is_closing():
            raise UpstreamUnreachable(
                "the upstream ended the connection at once", phase="connect", code="connection_terminated"
            )
        return connection

    def give_back(self, connection: UpstreamConnection) -> None:
        """Take a connection whose request is done."""
        if self._retired:
            connection.abort()
            return
        connection.deadline = self._loop.time() + self._limits.idle_s
        if not self._waiting or not self._call_next(connection):
            self._idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._call_next()

    def sweep(self, now: float) -> None:
        """End what is past its deadline."""
        for connection in tuple(self.connections):
            connection.check(now)

    def retire(self) -> None:
        """Take no further request: what is idle ends now, the rest when its request is done."""
        self._retired = True
        for connection in tuple(self._idle):
            connection.abort()

    def close(self) -> None:
        """End all connections."""
        for connection in tuple(self.connections):
            connection.abort()


def _has_news(connection: UpstreamConnection) -> bool:
    """Whether the socket of an idle connection is readable: an end, or bytes that nobody asked for."""
    sock = connection.transport.get_extra_info("socket")
    if sock is None:
        return False
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(0))


def _unreachable(error: OSError) -> UpstreamError:
    """Say why no connection could be made, in RFC 9209's words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = error.verify_message or "verification failed"
        return UpstreamUnreachable(
            f"the upstream's certificate is not trusted: {reason}", phase="tls", code="tls_certificate_error"
        )
    if isinstance(error, ssl.SSLError):
        return UpstreamUnreachable("TLS with the upstream failed", phase="tls", code="tls_protocol_error")
    if isinstance(error, socket.gaierror):
        return UpstreamUnreachable("the upstream's name could not be resolved", phase="connect", code="dns_error")
    if isinstance(error, ConnectionRefusedError):
        return UpstreamUnreachable("the upstream refuses connections", phase="connect", code="connection_refused")
    return UpstreamUnreachable("the upstream cannot be reached", phase="connect", code="destination_ip_unroutable")
