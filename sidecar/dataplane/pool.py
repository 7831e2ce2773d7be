"""The connections to one origin: those that wait for work, and the making of new ones.

The one that was used last is used first, so that a quiet pool shrinks by
itself. There are at most so many connections at a time, those being made
included; who finds none free waits in a queue, and what becomes free is given
to whoever has waited longest, never to one that has just come.

A name is resolved for each new connection and never remembered (`name.py`,
`dial.py`). While there are connections, it is also looked up now and then by
itself: a connection whose address the name has no longer takes no further
request.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Iterable

from sidecar.dataplane.dial import Origin, dial
from sidecar.dataplane.limits import PoolLimits, Timeouts, descriptor_to_spare
from sidecar.dataplane.name import Name
from sidecar.dataplane.socket_events import has_news
from sidecar.dataplane.sweep import look_after
from sidecar.dataplane.upstream import UpstreamConnection
from sidecar.errors import Overloaded, UpstreamError, UpstreamTimeout, UpstreamUnreachable

# How often the names of connections are looked up, and how many answers in a row must leave an address out before its
# connections are let go of: 20 s in all. One answer is not enough: a name with many addresses may show a few at a time.
LOOK_UP_S = 10.0
LOOK_UPS_WITHOUT = 2
# A server that says `Keep-Alive: timeout=5` (Node's default) closes an idle connection after 5 s. It is let go of this
# much earlier: a request that may not be repeated would be lost with it. Twice the time between two sweeps.
HINT_MARGIN_S = 1.0


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
        self._name = Name(origin.host, origin.port)
        self._limits = limits
        self.timeouts = timeouts
        self._most_waiting = most_waiting
        self._loop = asyncio.get_running_loop()  # asking for it costs a system call before Python 3.12
        self._idle: list[UpstreamConnection] = []
        # Each gets a connection that has become free, or None with a place for a new one.
        self._waiting: deque[asyncio.Future[UpstreamConnection | None]] = deque()
        self._places_taken = 0  # by connections that are being made
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
        """Make a new connection, waiting for a place where the pool is full; what becomes free meanwhile will do.

        Raises:
            UpstreamUnreachable, UpstreamTimeout: it could not be made.
            Overloaded: the pool is full, and so is the queue for it.
        """
        if self._has_room:
            self._places_taken += 1
        elif (connection := await self._wait_for_place()) is not None:
            return connection
        try:
            connection = await self._connect()
        except BaseException:
            self._free_place()
            raise
        self._places_taken -= 1
        self.connections.add(connection)
        return connection

    @property
    def _has_room(self) -> bool:
        return len(self.connections) + self._places_taken < self._limits.most

    async def _wait_for_place(self) -> UpstreamConnection | None:
        """Wait for a connection that has become free; None: a place for a new one has been taken instead."""
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
        if (taken := self.take_idle(certain=True)) is None:
            self._places_taken += 1  # that of the one that has just died
        return taken

    def _leave_queue(self, place: asyncio.Future[UpstreamConnection | None]) -> None:
        """Its request has left; if it was called already, what it was given is somebody else's."""
        if place in self._waiting:
            self._waiting.remove(place)
        elif not place.cancelled():
            connection = place.result()
            if connection is None:
                self._free_place()
            elif not connection.transport.is_closing():  # else it is forgotten already
                self.give_back(connection)

    def _call_next(self, connection: UpstreamConnection) -> bool:
        """Give a free connection to the request that has waited longest; return whether there was one."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(connection)
                return True
        return False

    def _free_place(self) -> None:
        """A connection that was to be made is not."""
        self._places_taken -= 1
        self._fill_places()

    def _fill_places(self) -> None:
        """Have those who have waited longest make connections, as many as there is room for."""
        while self._waiting and self._has_room:
            place = self._waiting.popleft()
            if not place.done():
                self._places_taken += 1
                place.set_result(None)

    async def _connect(self) -> UpstreamConnection:
        loop = self._loop
        if not descriptor_to_spare():
            raise Overloaded("too few file descriptors are left", reason="descriptors", retry_after_s=1)
        try:
            async with asyncio.timeout(self.timeouts.connect_s):
                connection = await dial(self._origin, lambda: UpstreamConnection(self, loop), self._name)
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

    async def follow_name(self) -> None:
        """Let go of connections to addresses that the name has no longer; never called by a request.

        Where the name cannot be resolved nothing changes: what works goes on.
        """
        if not self.connections or self._name.is_address:
            return
        try:
            async with asyncio.timeout(LOOK_UP_S):
                found = await self._name.addresses()
        except (OSError, TimeoutError):
            return
        addresses = {info[4][0] for info in found}
        for connection in tuple(self.connections):
            if connection.address in addresses:
                connection.look_ups_without = 0
            else:
                connection.look_ups_without += 1
                if connection.look_ups_without >= LOOK_UPS_WITHOUT:
                    self._let_go(connection)

    def _let_go(self, connection: UpstreamConnection) -> None:
        """Have a connection take no further request; one that it carries is finished."""
        connection.outdated = True
        if connection in self._idle:
            self._idle.remove(connection)
            connection.transport.close()

    def give_back(self, connection: UpstreamConnection) -> None:
        """Take a connection whose request is done."""
        if self._retired or connection.outdated:
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
        self._fill_places()

    def sweep(self, now: float) -> None:
        """End what is past its deadline."""
        for connection in tuple(self.connections):
            look_after(connection, now)
        for connection in tuple(self._idle):
            hint_s = connection.keep_alive_hint_s
            if hint_s is not None and now >= connection.deadline - self._limits.idle_s + hint_s - HINT_MARGIN_S:
                self._let_go(connection)

    def distrust(self) -> None:
        """This process stood still: let go of what was idle, whose upstream may be gone without a word.

        A request that was sent on such a connection since then must not wait for its time-out.
        """
        for connection in tuple(self._idle):
            self._let_go(connection)
        for connection in self.connections:
            connection.distrust()

    def retire(self) -> None:
        """Take no further request: what is idle ends now, the rest when its request is done."""
        self._retired = True
        for connection in tuple(self._idle):
            connection.abort()

    def close(self) -> None:
        """End all connections."""
        for connection in tuple(self.connections):
            connection.abort()


async def follow_names(pools: Iterable[Pool]) -> None:
    """Look up the names of all pools in use, every now and then, for ever."""
    while True:
        await asyncio.sleep(LOOK_UP_S)
        await asyncio.gather(*(pool.follow_name() for pool in tuple(pools)))


def _has_news(connection: UpstreamConnection) -> bool:
    """Whether the socket of an idle connection is readable: an end, or bytes that nobody asked for."""
    sock = connection.transport.get_extra_info("socket")
    if sock is None:
        return False
    return has_news(sock.fileno())


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
