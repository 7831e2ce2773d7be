"""One connection to an upstream.

A connection carries one request at a time: `send`, then its future response,
then the body flows by itself. When the response has ended and its request was sent
whole, the connection goes back to its pool; in every other case it is closed.
Bytes that arrive while nothing was asked for condemn it.

After a 101 it is one half of a tunnel: bytes both ways, each way until its
sender ends it. Where nothing has moved either way for the upstream's idle
time-out, the tunnel is cut.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import suppress
from typing import Protocol, cast

from sidecar.dataplane.flow import Body, Endpoint, Pipe, Sink
from sidecar.dataplane.framing import BadFraming, ChunkedDecoder, SizedDecoder, UntilClose, body_decoder
from sidecar.dataplane.http1 import END_OF_HEAD, is_no_text, read_response
from sidecar.dataplane.last_words import SpareSocket, last_words
from sidecar.dataplane.limits import Timeouts
from sidecar.errors import Phase, UpstreamError, UpstreamProtocol, UpstreamTimeout, UpstreamUnreachable
from sidecar.messages import NOTHING, ResponseHead
from sidecar.sockets import give_up_soon
from sidecar.tls import end_is_announced

RESPONSE_HEAD_BYTES = 64 * 1024
# More than any real server sends before its answer; a stream of them would otherwise never end.
MOST_INTERIM_RESPONSES = 32
_VERSION = b"HTTP/1."


class Unanswered(UpstreamUnreachable):
    """The connection ended before a byte of the answer: a pooled one that the upstream had just closed does that."""


# Its head; its body, which is bytes where it came whole with the head; when the head came, by `time.perf_counter`.
Response = tuple[ResponseHead, Body | bytes, float]


class Owner(Protocol):
    """Whose request a connection carries."""

    def interim(self, head: ResponseHead) -> None:
        """An interim response (1xx, but not 101) has come."""


class Home(Protocol):
    """Where a connection belongs: its pool."""

    timeouts: Timeouts

    def give_back(self, connection: UpstreamConnection) -> None:
        """Take a connection whose request is done."""

    def forget(self, connection: UpstreamConnection) -> None:
        """A connection is gone."""


class UpstreamConnection(Endpoint):
    """One connection; made by its pool.

    Args:
        pool: where it goes back to; holds the time-outs.
        loop: its clock is the one that deadlines are in.
    """

    def __init__(self, pool: Home, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        # Per connection
        self._pool = pool
        self._loop = loop
        self._head_s = pool.timeouts.head_s
        self.address = ""
        self.look_ups_without = 0  # in a row that did not find this address
        self.outdated = False  # takes no further request
        self.reused = False
        self._spare: SpareSocket | None = None
        self.deadline = math.inf
        # Per request
        self._method = b""
        self._request_body: Body | None = None
        self._waiter: asyncio.Future[Response] | None = None
        self.owner: Owner | None = None
        self._last_head: ResponseHead | None = None
        self._head: ResponseHead | None = None
        self._interim = 0
        self._idle_s = math.inf
        self._buffer = bytearray()
        self._body: Body | None = None
        self._decoder: SizedDecoder | ChunkedDecoder | UntilClose | None = None

    # For the request path

    def send(
        self,
        owner: Owner,
        head: bytes,
        method: bytes,
        body: Body | None = None,
        *,
        chunked: bool = False,
        dropped: frozenset[bytes] = NOTHING,
        replay: bool = False,
    ) -> asyncio.Future[Response]:
        """Send a request; its body goes on flowing as it arrives.

        Args:
            owner: whose request it is; `owner` names it until the response has ended.
            head: the bytes of start line and fields, empty line included.
            body: what follows, or None.
            chunked: how the body is framed.
            dropped: folded names of fields that may not pass as trailers.
            replay: send what was kept of the body instead of what is held.

        Returns:
            The future response. It fails with `Unanswered` where the connection ends before any byte
            of an answer, and with another `UpstreamError` where the upstream is too slow or does not speak HTTP.
            By the time that whoever awaits it runs on, this connection may already carry somebody else's request.
        """
        self.owner = owner
        self._head = None
        self._method = method
        self._interim = 0
        self._request_body = body
        self.deadline = self._loop.time() + self._head_s
        if body is not None and not replay and not chunked:
            head += body.take_small()  # most bodies are there by now: one write, and one segment
        self.transport.write(head)
        if body is not None:
            if self._spare is None and not body.complete and not self.has_halves:
                with suppress(OSError):  # without it, an early answer may be lost
                    self._spare = SpareSocket(self.transport)
            sink = Sink(self, chunked, dropped)
            if replay:
                body.replay(sink)
            else:
                body.attach(sink)
        self._waiter = self._loop.create_future()
        return self._waiter

    def tunnel(self, source: Body) -> Body:
        """After a 101: what the app sends from now on goes through as it is, and what comes back as well.

        Args:
            source: what the app sends; it fails where this connection is lost before its end.
        """
        self._request_body = source
        source.attach(Pipe(self))
        assert self._body is not None  # noqa: S101  # made with the 101's head
        return self._body

    @property
    def has_halves(self) -> bool:
        """Whether one direction can end without the other; TLS has no half of a connection."""
        return self.transport.can_write_eof()

    def close(self) -> None:
        """End the connection after what was written: a tunnel whose two directions have ended."""
        self.owner = None
        self.deadline = self._loop.time() + self._pool.timeouts.idle_s
        self.transport.close()

    def abort(self) -> None:
        """End the connection at once; the upstream sees that the request is not whole."""
        if self._request_body is not None:
            self._request_body.detach()
            self._request_body = None
        self.inflow = None
        if self._is_tunnel:
            self.cut()
        else:
            self.transport.abort()

    @property
    def _is_awaited(self) -> bool:
        """Whether somebody waits for the head of an answer."""
        return self._waiter is not None and not self._waiter.done()

    @property
    def _is_tunnel(self) -> bool:
        return self._head is not None and self._head.status == 101

    @property
    def keep_alive_hint_s(self) -> float | None:
        """How long the upstream keeps an idle connection, where its last answer said so."""
        head = self._last_head
        value = head.fields.value(b"keep-alive") if head is not None else None
        return parse_hint(value) if value is not None else None

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (asyncio calls this)."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        peer = transport.get_extra_info("peername")
        self.address = peer[0] if peer else ""  # none where it is gone already

    def data_received(self, data: bytes) -> None:
        """Take in bytes of the answer (asyncio calls this)."""
        if self._decoder is not None:
            self._feed(data)
            return
        if self.owner is None or self._head is not None:
            self.transport.abort()  # nobody asked: it would be taken for the answer to the next request
            return
        held, last = self._buffer, self._last_head
        if last is not None and not held and last.method == self._method and data.startswith(last.raw):
            self._answer(last, data[len(last.raw) :])  # the same head again, which ends where that one did
            return
        if held:
            # Grows in place, and only what is new is searched: a head of single bytes costs no more than one head.
            at = max(0, len(held) - len(END_OF_HEAD))
            held += data
            if held.find(END_OF_HEAD, at, RESPONSE_HEAD_BYTES) < 0:
                self._hold(held, at)
                return
            data, self._buffer = bytes(held), bytearray()
        while data:
            end = data.find(END_OF_HEAD, 0, RESPONSE_HEAD_BYTES)
            if end < 0:
                self._hold(bytearray(data))
                return
            try:
                head = read_response(data[: end + 4], self._method, self._last_head)
            except UpstreamError as error:
                self._fail(error)
                return
            data = data[end + 4 :]
            if head.status >= 200 or head.status == 101:
                self._answer(head, data)
                return
            self._interim_response(head)

    def _hold(self, beginning: bytearray, at: int = 0) -> None:
        """Keep the beginning of a head, if it can still become one; what is new in it begins at `at` or later."""
        self._buffer = beginning
        if len(beginning) >= RESPONSE_HEAD_BYTES:
            self._fail(UpstreamProtocol("the upstream's head is too large", phase="head"))
        elif not _VERSION.startswith(beginning[: len(_VERSION)]) or is_no_text(beginning, at):
            self._fail(UpstreamProtocol("the upstream's answer is not HTTP/1.1", phase="head"))

    def _interim_response(self, head: ResponseHead) -> None:
        self._interim += 1
        if self._interim > MOST_INTERIM_RESPONSES:
            self._fail(UpstreamProtocol("the upstream sends nothing but interim answers", phase="head"))
        elif self.owner is not None:
            self.owner.interim(head)

    def _answer(self, head: ResponseHead, rest: bytes) -> None:
        """The final head is there: hand it over, and take in what came with it."""
        received_at = time.perf_counter()
        self._head = self._last_head = head
        waiter, length = self._waiter, head.length
        if length is not None and len(rest) >= length and head.status != 101:
            answer: Body | bytes = rest if len(rest) == length else rest[:length]
            self._complete(rest[length:])
        else:
            answer = self._body = Body(self, None if head.status == 101 else head.length)
            self._decoder = UntilClose() if head.status == 101 else body_decoder(head.length, head.chunked)
            self._idle_s = self._pool.timeouts.idle_s
            self.deadline = self._loop.time() + self._idle_s
            if rest:
                self._feed(rest)
        if waiter is not None and not waiter.done():
            waiter.set_result((head, answer, received_at))

    def _feed(self, data: bytes) -> None:
        """Pass on a piece of the body."""
        body, decoder = self._body, self._decoder
        assert body is not None and decoder is not None  # noqa: S101  # set together in _answer()
        try:
            piece, rest = decoder.feed(data)
        except BadFraming as error:
            self._fail(UpstreamProtocol(f"the upstream's body is broken: {error}", phase="body"))
            return
        if piece:
            body.feed(piece)
        if decoder.done:
            self._decoder = None
            body.end(decoder.trailers)
            self._complete(rest)
        elif self.reading:
            self.deadline = self._loop.time() + self._idle_s

    def _complete(self, rest: bytes) -> None:
        """The response has ended: back to the pool, or the end of this connection."""
        assert self._head is not None  # noqa: S101  # a response has ended, so it had a head
        body = self._request_body
        # What an upstream that has answered does not take would hold up the next request. And a parser that keeps
        # trailers (aiohttp 3.14's in C) hands them to the next request, which is somebody else's.
        spent = body is not None and (not body.complete or bool(body.trailers) or not self.writable)
        if rest or spent or not self._head.keep_alive:
            self.abort()
            return
        self.owner = None
        self._waiter = None
        self._request_body = None
        if not self.reading:
            self.resume_reading()
        self._pool.give_back(self)

    def _fail(self, error: UpstreamError) -> None:
        """Nothing good will come of this connection."""
        decoder, self._decoder = self._decoder, None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)  # also where the body breaks in the read that brought the head
        elif decoder is not None and self._body is not None:
            self._body.fail(error)
        if self._is_tunnel and self._request_body is not None:
            self._request_body.fail(error)
        self.abort()

    def eof_received(self) -> bool:
        """The upstream will send no more (asyncio calls this): the end of a body that the connection's end closes."""
        if isinstance(self._decoder, UntilClose) and self._body is not None and end_is_announced(self.transport):
            self._decoder = None
            self._body.end()
        return self._is_tunnel and self.has_halves

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone (asyncio calls this)."""
        if exc is not None and (self._decoder is not None or self._is_awaited):
            self._read_last_words()
        if self._spare is not None:
            self._spare.close()
        self._pool.forget(self)
        request = self._request_body
        if request is not None:
            request.detach()
        if self._decoder is not None and self._body is not None:
            self._decoder = None
            self._body.fail(
                UpstreamProtocol(
                    "the upstream ended the connection within its answer", phase="body", code="connection_terminated"
                )
            )
        elif self._waiter is not None and self._is_awaited:
            self._waiter.set_exception(self._lost_before_answer())
        if self._is_tunnel and request is not None:
            request.fail(UpstreamProtocol("the upstream ended the connection", phase="body"))
        # They refer back here, and would be left to the garbage collector with all that they hold.
        self.owner = self._waiter = None

    def _read_last_words(self) -> None:
        """Take in the answer of an upstream that has answered early and left, so that writing the rest has failed."""
        if self._spare is not None:
            pieces = self._spare.last_words()
        elif not self.has_halves:
            return  # TLS, and no body was being sent
        else:
            pieces = last_words(self.transport)
        while (self._decoder is not None or self._is_awaited) and (piece := next(pieces, None)):
            self.data_received(piece)

    def _lost_before_answer(self) -> UpstreamError:
        if self._buffer or self._interim:
            return UpstreamProtocol(
                "the upstream ended the connection within its answer's head", phase="head", code="connection_terminated"
            )
        return Unanswered(
            "the upstream ended the connection without an answer", phase="head", code="connection_terminated"
        )

    # Deadlines

    def pause_reading(self) -> None:
        """Stop reading: the app is slow, which is not the upstream's fault."""
        super().pause_reading()
        self.deadline = math.inf

    def resume_reading(self) -> None:
        """Read again, and expect something within the idle time-out."""
        if not self.reading:
            super().resume_reading()
            self.deadline = self._loop.time() + self._idle_s

    def resume_writing(self) -> None:
        """The socket has drained (asyncio calls this): the upstream is alive."""
        super().resume_writing()
        self.progressed()

    def progressed(self) -> None:
        """A piece of the request was sent: the answer may take its time from here."""
        if self.owner is not None:
            if self._head is None:
                self.deadline = self._loop.time() + self._head_s
            elif self._is_tunnel:
                self.deadline = self._loop.time() + self._idle_s

    def distrust(self) -> None:
        """It was idle while this process stood still: end it soon where the request just sent reaches nobody.

        Not where a body is under way: an upstream that is slow to take it is not gone. And not for the next
        requests, which may have one.
        """
        body = self._request_body
        if self.reused and self._is_awaited and (body is None or body.complete) and self.writable:
            self.outdated = True
            give_up_soon(self.transport.get_extra_info("socket"))

    def check(self, now: float) -> None:
        """End the connection where its deadline has passed (called by the sweep)."""
        if now < self.deadline:
            return
        self.deadline = math.inf
        if self.owner is None:
            if self.transport.is_closing():
                self.transport.abort()  # what was left to be written is not taken
            self.transport.close()
            return
        if self._is_tunnel:
            self._fail(UpstreamTimeout("nothing has moved in this tunnel for too long", phase="body"))
            return
        if self._request_body is not None and not self._request_body.complete and self.writable:
            # It waits for the rest of the request, as we do: that is the app's time.
            self.deadline = now + self._head_s
            return
        phase: Phase = "head" if self._head is None else "body"
        self._fail(UpstreamTimeout(f"the upstream sent nothing for too long ({phase})", phase=phase))


def parse_hint(value: bytes) -> float | None:
    """Return the seconds of `timeout` in a Keep-Alive field (RFC 2068 19.7.1.1), or None."""
    for parameter in value.split(b","):
        name, _, number = parameter.strip(b" \t").partition(b"=")
        if name.lower() == b"timeout" and number.isdigit() and len(number) < 10:
            return float(number)
    return None
