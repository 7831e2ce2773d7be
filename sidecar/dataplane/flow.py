"""Bodies on their way, and the backpressure between two connections.

A `Body` is fed by the connection that receives it and written to the
connection that sends it on. While nobody takes it, what arrives is held, and
reading stops at `HELD_BYTES`. Once a sink is attached, every piece is written
as it comes, inside the receiving callback: no task, no future, no copy per
piece. When the sink's socket is full, the source stops being read until it
has drained.

Rule: a body ends in exactly one way. `end()` is the clean one; `fail()` means
that no more will come, and whoever sends it on must let its own receiver see
that (a cut connection), never a clean end.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Protocol

from sidecar.dataplane.http1 import without
from sidecar.messages import NOTHING

# What may wait in memory between two connections before reading stops; one read of uvloop brings up to 256 KiB.
HELD_BYTES = 64 * 1024
# Pieces smaller than this are put together where they wait: as an object of its own, a piece of two bytes costs 58.
SMALL_BYTES = 512
# What is copied rather than written by itself: a write costs about 6 us, as copying 64 KiB does.
WITH_HEAD_BYTES = 16 * 1024
# SO_LINGER on, of 0 s: closing resets the connection.
_RESET = struct.pack("ii", 1, 0)


class Pausable(Protocol):
    """Where a body comes from: a connection whose reading can be stopped."""

    def pause_reading(self) -> None:
        """Stop reading from the socket."""

    def resume_reading(self) -> None:
        """Read again."""


class ReplayMemory:
    """The bound on what all requests together may keep for a replay.

    Args:
        most_bytes: of body bytes kept at a time.
    """

    def __init__(self, most_bytes: int) -> None:
        self._left = most_bytes

    def take(self, size: int) -> bool:
        """Reserve `size` bytes; False where they are not to be had."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give_back(self, size: int) -> None:
        """Return what was taken."""
        self._left += size


class Endpoint(asyncio.Protocol):
    """What both kinds of connection share: a transport, and the two halves of flow control."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport = _UNCONNECTED
        self.writable = True
        self.reading = True
        # The body that is being written to this connection, if any.
        self.inflow: Body | None = None

    def pause_reading(self) -> None:
        """Stop reading from the socket; harmless where it is stopped or gone."""
        if self.reading and not self.transport.is_closing():
            self.reading = False
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again; harmless where reading goes on or the socket is gone."""
        if not self.reading and not self.transport.is_closing():
            self.reading = True
            self.transport.resume_reading()

    def cut(self) -> None:
        """End the connection by a reset: where only its end ends a body, an ordinary end would be a lie."""
        if not self.transport.is_closing():
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def progressed(self) -> None:
        """A piece of a body was written here; what has a deadline moves it."""

    def pause_writing(self) -> None:
        """The socket is full (asyncio calls this)."""
        self.writable = False
        if self.inflow is not None:
            self.inflow.hold_back()

    def resume_writing(self) -> None:
        """The socket has drained (asyncio calls this)."""
        self.writable = True
        if self.inflow is not None:
            self.inflow.flow_on()


class Taker(Protocol):
    """Where a body goes."""

    @property
    def writable(self) -> bool:
        """Whether it takes more right now."""

    def open(self, body: Body) -> None:
        """Take `body`; from now on it is to be told of `hold_back` and `flow_on`."""

    def write(self, piece: bytes) -> None:
        """Take one piece."""

    def close(self, trailers: bytes) -> None:
        """The body is whole."""


class Sink:
    """One body's way onto a connection, in the framing that its head announced.

    Args:
        endpoint: the connection.
        chunked: whether the framing is that.
        dropped: folded names of fields that may not pass as trailers.
    """

    __slots__ = ("_chunked", "_dropped", "_endpoint")

    def __init__(self, endpoint: Endpoint, chunked: bool, dropped: frozenset[bytes] = NOTHING) -> None:
        self._endpoint = endpoint
        self._chunked = chunked
        self._dropped = dropped

    @property
    def writable(self) -> bool:
        """Whether the socket takes more right now."""
        return self._endpoint.writable

    def open(self, body: Body) -> None:
        """Make `body` the one that this connection holds back when its socket is full."""
        self._endpoint.inflow = body

    def write(self, piece: bytes) -> None:
        """Send one piece."""
        endpoint = self._endpoint
        if self._chunked:
            endpoint.transport.writelines((b"%x\r\n" % len(piece), piece, b"\r\n"))
        else:
            endpoint.transport.write(piece)
        endpoint.progressed()

    def close(self, trailers: bytes) -> None:
        """Send what ends the body cleanly; `trailers` are whole lines."""
        self._endpoint.inflow = None
        if self._chunked:
            passed = without(trailers, self._dropped) if trailers else b""
            self._endpoint.transport.write(b"0\r\n" + passed + b"\r\n")


class Pipe(Sink):
    """A stream's way onto a connection that is no longer HTTP: its end is the end of what the connection sends."""

    __slots__ = ()

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint, chunked=False)

    def close(self, trailers: bytes) -> None:
        """Pass the end on; TLS has no half of a connection, so there it is the end of both."""
        super().close(trailers)
        transport = self._endpoint.transport
        if transport.can_write_eof():
            transport.write_eof()
        else:
            transport.close()


class Body:
    """A message's body in transit.

    Args:
        source: the connection it arrives on.
        length: its size in bytes, None where only its end tells.
    """

    __slots__ = (
        "_finished",
        "_kept",
        "_kept_bytes",
        "_kept_most",
        "_memory",
        "_sink",
        "_source",
        "complete",
        "error",
        "held",
        "held_bytes",
        "length",
        "trailers",
    )

    def __init__(self, source: Pausable, length: int | None) -> None:
        self.length = length
        self.complete = False
        self.error: Exception | None = None
        self.trailers = b""
        self.held: list[bytes] = []
        self.held_bytes = 0
        self._source = source
        self._sink: Taker | None = None
        self._finished: asyncio.Future[None] | None = None
        self._kept: list[bytes] | None = None
        self._kept_bytes = 0
        self._kept_most = 0
        self._memory: ReplayMemory | None = None

    # Fed by the receiving connection

    def feed(self, piece: bytes) -> None:
        """Take in the next bytes."""
        if self.error is not None:
            return  # what is still read of a body that was given up
        if self._kept is not None:
            self._keep(piece)
        sink = self._sink
        if sink is not None:
            sink.write(piece)
        else:
            _add(self.held, piece)
            self.held_bytes += len(piece)
            if self.held_bytes >= HELD_BYTES:
                self._source.pause_reading()

    def end(self, trailers: bytes = b"") -> None:
        """No more will come: the body is whole."""
        self.complete = True
        self._source = _NOWHERE
        self.trailers = trailers
        if self._sink is not None:
            self._sink.close(trailers)
        self._wake()

    def fail(self, error: Exception) -> None:
        """No more will come: the body is cut."""
        if not self.complete and self.error is None:
            self.error = error
            self._source = _NOWHERE
            self._wake()

    def _wake(self) -> None:
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(None)

    # Taken by the sending side

    def wait(self) -> None:
        """Nobody can take it yet, and that may last: if large, it is read no further (a crowd of them stays small)."""
        if not self.complete and (self.length is None or self.length > WITH_HEAD_BYTES):
            self._source.pause_reading()

    def attach(self, sink: Taker) -> None:
        """Send what is held, and from now on every piece as it comes."""
        held, self.held, self.held_bytes = self.held, [], 0
        self._send(sink, held)

    def _send(self, sink: Taker, pieces: list[bytes]) -> None:
        sink.open(self)
        for piece in pieces:
            sink.write(piece)
        self._sink = sink
        if self.complete:
            sink.close(self.trailers)
        elif sink.writable:
            self._source.resume_reading()
        else:
            self._source.pause_reading()

    def take_small(self) -> bytes:
        """Return what is held, as it is, where it is little enough to be sent with the head."""
        if not self.held or self.held_bytes > WITH_HEAD_BYTES:
            return b""
        small = b"".join(self.held)
        self.held, self.held_bytes = [], 0
        return small

    def detach(self) -> None:
        """Stop sending: the receiver is gone. What arrives from now on is held, and soon not read."""
        self._sink = None

    def hold_back(self) -> None:
        """The sink's socket is full."""
        if not self.complete:
            self._source.pause_reading()

    def flow_on(self) -> None:
        """The sink's socket has drained."""
        if not self.complete:
            self._source.resume_reading()

    async def finished(self) -> None:
        """Wait until the body has ended.

        Raises:
            Exception: the error it failed with.
        """
        if not self.complete and self.error is None:
            self._finished = asyncio.get_running_loop().create_future()
            await self._finished
        if self.error is not None:
            raise self.error

    # Kept for a replay

    def keep(self, most_bytes: int, memory: ReplayMemory) -> None:
        """Keep a copy of all that arrives, so that it may be sent a second time.

        Args:
            most_bytes: of this body; past it nothing is kept.
            memory: the bound on all bodies together.
        """
        if self.length is not None and self.length > most_bytes:
            return
        self._kept = []
        self._kept_most = most_bytes
        self._memory = memory
        for piece in self.held:
            if self._kept is not None:
                self._keep(piece)

    def _keep(self, piece: bytes) -> None:
        assert self._kept is not None and self._memory is not None  # noqa: S101  # set together in keep()
        if self._kept_bytes + len(piece) > self._kept_most or not self._memory.take(len(piece)):
            self.forget()
            return
        _add(self._kept, piece)
        self._kept_bytes += len(piece)

    @property
    def replayable(self) -> bool:
        """Whether everything that has arrived is in hand, from the first byte on."""
        return self._kept is not None and self.error is None

    def replay(self, sink: Taker) -> None:
        """Send from the first byte on, and go on with what still arrives."""
        assert self._kept is not None  # noqa: S101  # callers ask `replayable` first
        self.held, self.held_bytes = [], 0
        self._send(sink, self._kept)

    def forget(self) -> None:
        """Give back what was kept: there will be no replay."""
        if self._memory is not None:
            self._memory.give_back(self._kept_bytes)
        self._memory = None
        self._kept = None
        self._kept_bytes = 0


def _add(pieces: list[bytes], piece: bytes) -> None:
    if pieces and len(piece) < SMALL_BYTES and len(pieces[-1]) < SMALL_BYTES:
        pieces[-1] += piece
    else:
        pieces.append(piece)


class _Nowhere:
    """Where a body comes from that has ended: so it does not hold its connection, which may hold it, in a circle.

    A circle is freed when the garbage collector comes round to it, and with it the bytes that it holds: measured,
    20 MiB for 64 apps that leave within large bodies now and then.
    """

    def pause_reading(self) -> None:
        """Nothing more is read."""

    def resume_reading(self) -> None:
        """Nothing more is read."""


_NOWHERE = _Nowhere()


class _Unconnected(asyncio.Transport):
    """Stands in until `connection_made`, so that no method needs to ask."""

    def is_closing(self) -> bool:
        return True


_UNCONNECTED = _Unconnected()
