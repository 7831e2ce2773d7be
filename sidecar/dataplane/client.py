"""One connection of an app, its requests one after the other, and the way back.

A connection has one task, which runs the request path for each request in
turn. Bytes come in by callback: a complete head wakes the task, body bytes go
straight to where they are sent on. Pipelined requests wait as bytes, unread,
until the one before has been answered.

When the app leaves, or breaks the framing of its body, the task is cancelled
wherever it waits (`interrupt`); `fault` says why.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, cast

from sidecar.dataplane.departure import ends_unread, is_reset
from sidecar.dataplane.door import Door
from sidecar.dataplane.flow import HELD_BYTES, Body, Endpoint
from sidecar.dataplane.framing import BadFraming, ChunkedDecoder, SizedDecoder, UntilClose, body_decoder
from sidecar.dataplane.http1 import END_OF_HEAD, never_a_head
from sidecar.dataplane.limits import HALF_CLOSE_GRACE_S, LEAST_PROGRESS_BYTES, LINGER_S
from sidecar.errors import BadRequest, ClientGone, SidecarError
from sidecar.messages import Fields, RequestHead

if TYPE_CHECKING:
    from sidecar.dataplane.listener import Listener

CR = 0x0D


class ClientConnection(Endpoint):
    """One connection of an app; made by its `Listener`.

    Args:
        listener: what it belongs to.
        loop: its clock is the one that deadlines are in.
        door: the socket it came in on.
    """

    def __init__(self, listener: Listener, loop: asyncio.AbstractEventLoop, door: Door) -> None:
        super().__init__()
        # Per connection
        self.door, self.authorities = door, door.authorities
        self._listener, self._limits = listener, listener.limits
        self._loop = loop
        self._task: asyncio.Task[None] | None = None
        self._ended = self._reads_on = False
        self._over, self._finishing = listener.draining, False
        self.deadline = self._cut_at = self._takes_by = self._untaken_bytes = math.inf
        self.on_agenda = 0
        # Per request
        self._buffer: bytes | bytearray = b""
        self._head_end, self._begun = -1, False
        self._head: RequestHead | None = None
        self._body_idle_s = math.inf
        self._least_bytes, self._came_bytes = 1, 0
        self._arrival: asyncio.Future[bytes] | None = None
        self._drained: asyncio.Future[None] | None = None
        self.body: Body | None = None
        self._decoder: SizedDecoder | ChunkedDecoder | UntilClose | None = None
        self._will_end: object = None  # the decoder of a body whose end was seen in the socket
        self.fault: SidecarError | None = None

    # For the request path

    def take_head(self, new_bytes: int | None = None) -> bytes:
        """Return the next head's bytes where they are already there (a pipelined request), or b"".

        Args:
            new_bytes: how many at the end of what is there were not searched yet; None: all.
        """
        if not self._buffer or self.fault is not None or not self._find_head(new_bytes):
            return b""
        buffer, end = self._buffer, self._head_end + 4
        self._head_end = -1
        if end == len(buffer):
            self._buffer = b""
            return bytes(buffer)
        if isinstance(buffer, bytes):
            self._buffer = buffer = bytearray(buffer)
        raw = bytes(buffer[:end])
        del buffer[:end]  # moves its beginning: thousands of pipelined requests are not copied for each of them
        return raw

    def arrival(self) -> asyncio.Future[bytes]:
        """Return the future bytes of the next head; b"" where there will be none: the app has left, or we drain.

        It fails with BadRequest where what comes is not a head, or does not come in time.
        """
        arrival = self._arrival = self._loop.create_future()
        buffer = self._buffer
        self._begun = bool(buffer)
        if buffer or self.deadline == math.inf:  # that of a new connection, which has to say something, runs already
            wait_s = self._limits.head_timeout_s if buffer else self._limits.idle_timeout_s
            self.deadline = self._loop.time() + wait_s
        if self._over or self.fault is not None:
            self._end_arrival()
        elif buffer and (fault := never_a_head(buffer, self._limits.head_bytes)):
            self.interrupt(fault)  # it was there before anybody waited for it
        elif not self.reading:
            self.resume_reading()
        return arrival

    def read(self, raw: bytes) -> RequestHead:
        """Read a head whose bytes have come; its body, if any, is arriving as `body`.

        Raises:
            BadRequest: it is not one clear request.
        """
        self._arrival = None
        self._reads_on = self._ended
        self.deadline = math.inf
        head = self._head
        if head is None or head.raw is not raw:  # those that `data_received` knew for the same are the same object
            head = self._head = self._listener.reader.read(raw, head)
        fields = head.fields
        self.body = self._begin_body(fields) if fields.chunked or fields.length else None
        return head

    def forget_head(self) -> None:
        """Read the next head anew: what is looked for in one has changed."""
        self._head = None

    def _begin_body(self, fields: Fields) -> Body:
        self.body = body = Body(self, None if fields.chunked else fields.length)
        self._decoder = body_decoder(fields.length, fields.chunked)
        self._body_idle_s = self._limits.body_idle_timeout_s
        self._least_bytes = 1 if fields.chunked else LEAST_PROGRESS_BYTES
        self._came_bytes = 0
        self.deadline = self._loop.time() + self._body_idle_s
        if self._buffer:
            rest, self._buffer = bytes(self._buffer), b""
            self._feed(rest)
            if self.fault is not None:
                raise self.fault
        if self._ended and self._decoder is not None:
            raise BadRequest("the request ended within its body", reason="framing")  # and nobody will say so again
        return body

    def tunnel(self) -> Body:
        """Take whatever comes from now on as one stream, until the app ends it (RFC 9110 7.8)."""
        self.body = body = Body(self, None)
        self._decoder = UntilClose()
        self._body_idle_s = math.inf  # the upstream's side looks after both
        self.deadline = math.inf
        if self._buffer:
            rest, self._buffer = bytes(self._buffer), b""
            self._feed(rest)
        if self._ended:
            self._end_of_body()
        return body

    @property
    def keeps_alive(self) -> bool:
        """Whether there may be a next request on this connection, as far as our side goes."""
        return not self._listener.leaving and (not self._over or bool(self._buffer))

    async def drained(self) -> None:
        """Wait until the app has taken enough of its answer for the next one to be worth making."""
        while not self.writable and not self.transport.is_closing() and self.fault is None:
            self._drained = self._loop.create_future()
            await self._drained

    def finish(self) -> None:
        """End the connection after what was written; read and drop what still comes, for a moment."""
        self._begin_to_end()
        self._buffer = b""
        self._decoder = None
        if self.body is not None:
            self.body.detach()
        if self._ended or self.transport.is_closing() or not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self.resume_reading()

    def close(self) -> None:
        """End the connection after what was written; nothing more is expected from the app."""
        self._begin_to_end()
        self.transport.close()

    def _begin_to_end(self) -> None:
        self._finishing = self._over = True
        self._takes_by = self._untaken_bytes = math.inf
        now = self._loop.time()
        self._cut_at = now + self._limits.body_idle_timeout_s
        self.deadline = now + LINGER_S
        self._listener.look_at(self, self.deadline)

    def abort(self) -> None:
        """End the connection at once, by a reset: the app must not take what it has got for the whole."""
        self._finishing = self._over = True
        self.cut()

    def ensure_ended(self) -> None:
        """Cut the connection if nothing has begun to end it: its task is over, and nobody would serve it."""
        if not self._finishing:
            self.abort()

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the connection's task (asyncio calls this)."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self.deadline = self._loop.time() + self._limits.head_timeout_s
        self._task = self._listener.opened(self)

    def data_received(self, data: bytes) -> None:
        """Take in bytes of a body, or of a head (asyncio calls this)."""
        if self._decoder is not None:
            self._feed(data)
            return
        if self._finishing:
            self.deadline = min(self._loop.time() + LINGER_S, self._cut_at)
            return
        buffer, arrival, before = self._buffer, self._arrival, self._head
        if not buffer:
            if arrival is not None and before is not None and data == before.raw and not arrival.done():
                arrival.set_result(before.raw)  # the same head again
                return
            if arrival is not None and data.find(END_OF_HEAD, 0, self._limits.head_bytes) == len(data) - 4 >= 0:
                if not arrival.done() and data[0] != CR:
                    arrival.set_result(data)  # the usual: one head, and it came in one piece
                    return
            self._buffer = data
        elif isinstance(buffer, bytearray):
            buffer += data
        else:
            self._buffer = bytearray(buffer + data)  # grows in place: a head of single bytes is not copied each time
        if arrival is None or arrival.done():
            if len(self._buffer) >= HELD_BYTES:
                self.pause_reading()  # pipelined requests wait their turn in the kernel
            return
        raw = self.take_head(len(data))
        if raw:
            arrival.set_result(raw)
        elif fault := never_a_head(self._buffer, self._limits.head_bytes, len(data)):
            self.interrupt(fault)
        elif not self._begun:
            # From its first byte, an empty line's too, to its last one, however slowly they come.
            self._begun = True
            self.deadline = self._loop.time() + self._limits.head_timeout_s

    def _find_head(self, new_bytes: int | None) -> bool:
        """Whether a whole head is there; empty lines before it are dropped (RFC 9112 2.2)."""
        buffer = self._buffer
        if buffer[:2] == b"\r\n":
            at = 2
            while buffer[at : at + 2] == b"\r\n":
                at += 2
            self._buffer = buffer = buffer[at:]
        # The empty line may have begun before what is new; a head of single bytes is not searched anew for each.
        at = 0 if new_bytes is None else max(0, len(buffer) - new_bytes - len(END_OF_HEAD))
        self._head_end = buffer.find(END_OF_HEAD, at, self._limits.head_bytes)
        return self._head_end >= 0

    def _feed(self, data: bytes) -> None:
        """Pass on a piece of the body."""
        body, decoder = self.body, self._decoder
        assert body is not None and decoder is not None  # noqa: S101  # set together in _begin_body() and tunnel()
        try:
            piece, rest = decoder.feed(data)
        except BadFraming as error:
            self._decoder = None
            fault = BadRequest(f"the body's framing is broken: {error}", reason="framing")
            body.fail(fault)
            self.interrupt(fault)
            return
        if piece:
            body.feed(piece)
        if decoder.done:
            self._decoder = None
            self._buffer = rest
            self.deadline = math.inf
            body.end(decoder.trailers)
        elif self.reading:
            self._came_bytes += len(data)
            if self._came_bytes >= self._least_bytes:
                self._came_bytes = 0
                self.deadline = self._loop.time() + self._body_idle_s

    def eof_received(self) -> bool:
        """The app will send no more (asyncio calls this)."""
        self._ended = self._over = True
        if self._finishing:
            return False
        if self._decoder is not None:
            self._end_of_body()
            return True
        if self._arrival is not None and not self._arrival.done():
            self._end_arrival()
        else:
            self._loop.call_later(HALF_CLOSE_GRACE_S, self._end_of_grace)
        return True

    def _end_of_grace(self) -> None:
        """An app that is gone answers what is written to it with a reset; one that does not still reads."""
        if not self._reads_on:
            self.interrupt(ClientGone("the app has left"))

    def _end_of_body(self) -> None:
        """The app's sending side ended inside a body: a tunnel's end, or a request that will never be whole."""
        body = self.body
        if isinstance(self._decoder, UntilClose) and body is not None:
            self._decoder = None
            body.end()
            return
        self.interrupt(ClientGone("the app has left within its request"))

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone (asyncio calls this)."""
        self._listener.closed(self)
        self._decoder = None
        if self.inflow is not None:
            self.inflow.detach()
        self.interrupt(ClientGone("the app has left"))

    def interrupt(self, fault: SidecarError) -> None:
        """Stop what the connection's task does, wherever it waits.

        Args:
            fault: why; the task finds it in `fault`.
        """
        if self.fault is None:
            self.fault = fault
        if self.body is not None:
            self.body.fail(fault)
        if self._arrival is not None:
            self._end_arrival()
        elif self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        elif self._task is not None and asyncio.current_task(self._loop) is not self._task:
            self._task.cancel()

    def _end_arrival(self) -> None:
        """No head will come: say so, or why."""
        if self._arrival is not None and not self._arrival.done():
            if isinstance(self.fault, BadRequest):
                self._arrival.set_exception(self.fault)
            else:
                self._arrival.set_result(b"")

    def pause_writing(self) -> None:
        """The socket is full (asyncio calls this): the app has to take something in time."""
        super().pause_writing()
        if not self._finishing:
            self._untaken_bytes = math.inf  # the piece that filled it is still being written: the next sweep measures
            self._takes_by = 0.0

    def resume_writing(self) -> None:
        """The socket has drained (asyncio calls this)."""
        super().resume_writing()
        self._takes_by = math.inf
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def progressed(self) -> None:
        """A piece of an answer was written here."""
        self._reads_on = self._ended

    # Deadlines

    def pause_reading(self) -> None:
        """Stop reading: the upstream is slow, which is not the app's fault."""
        if self.reading:
            super().pause_reading()
            self._listener.look_at(self, self._loop.time())  # whether it is still there, only a look tells from now on
        if self._decoder is not None:
            self.deadline = math.inf

    def resume_reading(self) -> None:
        """Read again, and expect the body to go on."""
        if not self.reading:
            super().resume_reading()
            if self._decoder is not None:
                self._came_bytes = 0
                self.deadline = self._loop.time() + self._body_idle_s

    def _check_taken(self, now: float) -> None:
        """Cut a connection whose app has not taken a byte of its answer for too long; a slow one gets more time."""
        left_bytes = self.transport.get_write_buffer_size()
        if left_bytes >= self._untaken_bytes:
            self.abort()
        self._untaken_bytes = left_bytes
        self._takes_by = now + self._limits.body_idle_timeout_s

    def _check_finished(self, now: float) -> None:
        """Cut what should have ended by itself, unless its app is slow and still has to get the end of its answer."""
        left_bytes = self.transport.get_write_buffer_size()
        if left_bytes < self._untaken_bytes:
            self._cut_at = now + self._limits.body_idle_timeout_s
        self._untaken_bytes = left_bytes
        if left_bytes and now < self._cut_at:
            self.deadline = now + LINGER_S
        else:
            self.transport.abort()

    def drain(self) -> None:
        """End the connection if it waits for a request; otherwise its last answer will say so."""
        self._over = True
        if not self._buffer and self._decoder is None:
            self._end_arrival()

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request of which nothing has come yet."""
        waits = self._head is None if self._arrival is None else not self._arrival.done()
        return waits and not self._buffer and self._decoder is None and not self._finishing

    @property
    def is_new(self) -> bool:
        """Whether it has not asked for anything yet."""
        return self._head is None

    def next_look(self, now: float) -> float:
        """Return when to check the connection next: not after any deadline that it may be given until then."""
        if not self.reading and not self._finishing:
            return now
        spread = 1 - (id(self) >> 6) % 16 / 32  # those that came together are not to be looked at together for ever
        return min(self.deadline, self._takes_by, now + self._limits.shortest_s * spread)

    def _look_whether_it_left(self) -> None:
        """Find what the loop does not see while reading is stopped: a reset, and an end that comes too early."""
        decoder = self._decoder
        if is_reset(self.transport):
            self.interrupt(ClientGone("the app has left"))
        elif decoder is not None and decoder is not self._will_end:
            ends = ends_unread(self.transport, decoder)
            if ends:
                self._will_end = decoder  # nothing can come behind it: no need to look again
            elif ends is False:
                self.interrupt(ClientGone("the app has left within its request"))

    def check(self, now: float) -> None:
        """End the connection where its deadline has passed (called by the sweep)."""
        if not self.reading and not self._finishing:
            self._look_whether_it_left()
        if now >= self._takes_by:
            self._check_taken(now)
        if now < self.deadline:
            return
        self.deadline = math.inf
        if self._finishing:
            self._check_finished(now)
        elif not self._buffer and self._decoder is None:
            self.close()
        else:
            self.interrupt(BadRequest("the request took too long to arrive", reason="too_slow", status=408))
