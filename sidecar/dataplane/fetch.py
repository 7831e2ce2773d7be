"""One request on a connection of its own, for whoever wants an answer rather than to pass one on.

What the request path reads by, this does too: the same strict reading of heads and bodies. Nothing is kept:
no connection, no cookie, no redirect followed, no byte past the limit.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sidecar.dataplane.dial import Origin, dial
from sidecar.dataplane.flow import Body
from sidecar.dataplane.limits import Timeouts
from sidecar.dataplane.upstream import UpstreamConnection
from sidecar.errors import UpstreamUnreachable
from sidecar.messages import ResponseHead


class TooLong(Exception):
    """The body is longer than wanted."""


class Fetched:
    """An answer whose body may still be coming."""

    def __init__(self, head: ResponseHead, body: Body | bytes) -> None:
        self.head = head
        self._body = body

    def fields(self) -> dict[str, str]:
        """Return the fields by lower-case name; of several with one name, the last."""
        lines = self.head.fields.raw.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines if line)
        return {name.lower(): value.strip(" \t") for name, _, value in pairs}

    async def read(self, most_bytes: int) -> bytes:
        """Return the whole body.

        Raises:
            TooLong: it has more than `most_bytes`.
            UpstreamError: it was cut short, or its framing is broken.
        """
        if isinstance(self._body, bytes):
            if len(self._body) > most_bytes:
                raise TooLong
            return self._body
        taken = _Taken(most_bytes)
        self._body.attach(taken)
        await self._body.finished()
        return b"".join(taken.pieces)


class Fetcher:
    """Makes requests to one origin.

    Args:
        origin: where to.
    """

    # There is no time-out but the caller's.
    timeouts = Timeouts(math.inf, math.inf, math.inf)

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._open: set[UpstreamConnection] = set()
        self._loop = asyncio.get_running_loop()

    @asynccontextmanager
    async def fetch(self, request: bytes, method: bytes) -> AsyncIterator[Fetched]:
        """Send a request, and wait for the answer's head.

        Args:
            request: all of it, its body included.
            method: its method, by which the answer is read.

        Raises:
            OSError: no connection could be made.
            UpstreamError: what came back is not HTTP, or was cut short.
        """
        connection = await dial(self._origin, lambda: UpstreamConnection(self, self._loop))
        if connection.transport.is_closing():
            raise UpstreamUnreachable("the connection was ended at once", phase="connect", code="connection_terminated")
        self._open.add(connection)
        try:
            head, body, _ = await connection.send(self, request, method)
            yield Fetched(head, body)
        finally:
            connection.abort()

    def close(self) -> None:
        """End what is open: whoever waits for it is told that it was cut short."""
        for connection in tuple(self._open):
            connection.abort()

    # What a connection asks of whom it belongs to

    def interim(self, head: ResponseHead) -> None:
        """Interim answers (1xx) say nothing here."""

    def give_back(self, connection: UpstreamConnection) -> None:
        """It is not used again: `fetch` ends it."""

    def forget(self, connection: UpstreamConnection) -> None:
        """A connection is gone."""
        self._open.discard(connection)


class _Taken:
    """Where a body goes that is wanted here."""

    writable = True

    def __init__(self, most_bytes: int) -> None:
        self.pieces: list[bytes] = []
        self._left = most_bytes
        self._body: Body | None = None

    def open(self, body: Body) -> None:
        self._body = body

    def write(self, piece: bytes) -> None:
        self._left -= len(piece)
        if self._left >= 0:
            self.pieces.append(piece)
        elif self._body is not None:
            self.pieces.clear()
            self._body.detach()
            self._body.fail(TooLong())

    def close(self, trailers: bytes) -> None:
        pass
