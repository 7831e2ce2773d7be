"""The soak's upstream: checks every byte that it gets, and answers, or does worse, as the request's shape has it."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import cast

from tests.soak.ledger import DONE, REJECTED, RESET, Ledger
from tests.soak.plan import Chunks, Shape, chunks, content, shape_of
from tests.soak.tokens import Tokens

AUTHORIZATION = b"\r\nAuthorization: Bearer "
REJECTION = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
_RESET = struct.pack("ii", 1, 0)


def reset(transport: asyncio.Transport) -> None:
    """End a connection with a TCP reset."""
    if not transport.is_closing():
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()


class Upstream:
    """What all connections to the upstream share.

    Args:
        ledger: where everything is noted.
        tokens: what a request must come with.
    """

    def __init__(self, ledger: Ledger, tokens: Tokens) -> None:
        self.ledger = ledger
        self.tokens = tokens
        self.loop = asyncio.get_running_loop()
        # Those whose app leaves without its answer, since when they wait for their own end.
        self.waiting: dict[UpstreamConnection, float] = {}

    def connection(self) -> UpstreamConnection:
        """Return the protocol of a new connection."""
        return UpstreamConnection(self)

    def check_waiting(self, most_s: float) -> None:
        """Hold that a request whose app has left ends here too."""
        now = self.loop.time()
        for connection, since in list(self.waiting.items()):
            if now - since > most_s:
                self.ledger.wrong(f"request {connection.number} goes on {most_s} s after its app has left")
                del self.waiting[connection]


class UpstreamConnection(asyncio.Protocol):
    """One connection, made by the sidecar."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._ledger = upstream.ledger
        self._transport: asyncio.Transport
        self._buffer = b""
        # Per request
        self.number = -1
        self._shape: Shape
        self._rejected = False
        self._chunks: Chunks | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (asyncio calls this)."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer (asyncio calls this)."""
        self._upstream.waiting.pop(self, None)

    def data_received(self, data: bytes) -> None:
        """Take in bytes of a request (asyncio calls this)."""
        self._buffer = self._buffer + data if self._buffer else data
        try:
            if self.number < 0 and not self._begin():
                return
            body = self._body()
        except (ValueError, IndexError):
            self._ledger.wrong(f"the upstream got what is not a request: {self._buffer[:200]!r}")
            self._transport.abort()
            return
        if body is None:
            return
        if self._buffer:
            self._ledger.wrong(f"bytes behind request {self.number}, before its answer: {self._buffer[:100]!r}")
        number, self.number = self.number, -1
        self._whole(number, self._shape, body)

    def _begin(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head, self._buffer = self._buffer[: end + 4], self._buffer[end + 4 :]
        method, target, _ = head[: head.index(b"\r\n")].decode().split(" ")
        self.number = number = int(target.removeprefix("/r/"))
        self._shape = shape_of(number)
        if method != self._shape.method:
            self._ledger.wrong(f"request {number} is a {method}, not a {self._shape.method}")
        _before, found, after = head.partition(AUTHORIZATION)
        verdict = self._upstream.tokens.judge(after[: after.find(b"\r\n")]) if found else "missing"
        if AUTHORIZATION in after or verdict not in ("good", "revoked"):
            self._ledger.wrong(f"request {number} came with a token that is {verdict}")
        self._rejected = verdict == "revoked"
        self._chunks = Chunks() if self._shape.up_chunked and self._shape.up_bytes else None
        return True

    def _body(self) -> bytes | None:
        """Return the request's body once it is whole."""
        if self._chunks is not None:
            rest = self._chunks.feed(self._buffer)
            self._buffer = rest or b""
            return None if rest is None else self._chunks.body
        size = self._shape.up_bytes
        if len(self._buffer) < size:
            return None
        body, self._buffer = self._buffer[:size], self._buffer[size:]
        return body

    def _whole(self, number: int, shape: Shape, body: bytes) -> None:
        ledger = self._ledger
        before = ledger.arrivals[number]
        if before == DONE or (before == RESET and not shape.repeatable):
            ledger.wrong(f"request {number} ({shape}) came twice")
        if shape.up_bytes and body != content("q", number, shape.up_bytes):
            ledger.wrong(f"request {number} came with another body")
        if shape.fate == "leaves_up":
            ledger.wrong(f"request {number} is whole, though its app left within it")
        if self._rejected:
            ledger.arrivals[number] = REJECTED
            self._transport.write(REJECTION)
        elif shape.fate == "reset_before" and before != RESET:
            ledger.arrivals[number] = RESET
            reset(self._transport)
        else:
            ledger.arrivals[number] = DONE
            self._answer(number, shape)

    def _answer(self, number: int, shape: Shape) -> None:
        if shape.fate == "leaves_before":
            self.number = number
            self._upstream.waiting[self] = self._upstream.loop.time()
            return
        body = content("a", number, shape.down_bytes)
        if shape.down == "chunked":
            raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(body)
        elif shape.down == "close":
            raw = b"HTTP/1.1 200 OK\r\n\r\n" + body
        else:
            raw = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        if shape.fate == "reset_down":
            self._transport.write(raw[: len(raw) // 2])
            self._upstream.loop.call_later(0.002, reset, self._transport)
            return
        self._transport.write(raw)
        if shape.down == "close":
            self._transport.close()
