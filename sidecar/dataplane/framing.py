"""Where a body ends: the three framings of HTTP/1.1, decoded. No sockets, no timers.

This is done here rather than by llhttp, because that cannot stop at the end of
a message: what follows belongs to the next request, and is not read before
this one has been answered.

Source: RFC 9112 sections 6 and 7, RFC 9110 6.5.
"""

from __future__ import annotations

import re

from sidecar.dataplane.http1 import END_OF_HEAD, is_no_text, trailer_lines

# One chunk's size line with its extensions. Extensions are dropped (RFC 9112 7.1.1 allows it), so a long one is only
# a burden; Node bounds them all together at 16 KiB after CVE-2024-22019.
CHUNK_LINE_BYTES = 256
CHUNK_EXTENSION_BYTES = 16 * 1024
TRAILER_BYTES = 16 * 1024

_DIGITS = frozenset(b"0123456789abcdefABCDEF")
# What every server's 64 bits hold, with a sign: a larger number is not the same to all.
_LARGEST_CHUNK = 2**63 - 1
# RFC 9112 7.1.1: tokens, `=`, quoted strings and white space. A bare CR or LF ends the line for some servers.
_EXTENSION = re.compile(rb"[\t -~\x80-\xff]*").fullmatch


def body_decoder(length: int | None, chunked: bool) -> SizedDecoder | ChunkedDecoder | UntilClose:
    """Return the decoder for a body's framing (RFC 9112 6.3)."""
    if chunked:
        return ChunkedDecoder()
    return UntilClose() if length is None else SizedDecoder(length)


class BadFraming(Exception):
    """A body whose framing is broken. The text is one of a fixed set of sentences."""


class SizedDecoder:
    """A body of known length."""

    __slots__ = ("_left", "done", "trailers")

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = length == 0
        self.trailers = b""

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the body's bytes in `data`, and what follows the body."""
        size = len(data)
        if size < self._left:
            self._left -= size
            return data, b""
        self.done = True
        if size == self._left:
            return data, b""
        return data[: self._left], data[self._left :]


class UntilClose:
    """A body that ends with its connection."""

    __slots__ = ("done", "trailers")

    def __init__(self) -> None:
        self.done = False
        self.trailers = b""

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Return all of `data`."""
        return data, b""


class ChunkedDecoder:
    """A chunked body (RFC 9112 7.1), strictly: CRLF only, hex digits only, extensions dropped and bounded."""

    __slots__ = ("_buffer", "_extension_bytes", "_in_trailers", "_left", "_line", "_line_size", "done", "trailers")

    def __init__(self) -> None:
        self._buffer = b""  # a line that has not ended yet
        self._left = 0  # bytes of the current chunk still to come, its CRLF included
        self._line = b"0"  # the last size line without extensions, and what it says: most senders repeat theirs
        self._line_size = 0
        self._extension_bytes = 0
        self._in_trailers = False
        self.done = False
        self.trailers = b""

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the body's bytes in `data`, and what follows the body.

        Raises:
            BadFraming: the framing is broken; nothing after it may be trusted.
        """
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        pieces: list[bytes] = []
        at = 0
        while not self._in_trailers:
            if self._left:
                at = self._take_chunk(data, at, pieces)
                if self._left:
                    return b"".join(pieces), b""
            end = data.find(b"\r\n", at, at + CHUNK_LINE_BYTES)
            if end < 0:
                if len(data) - at >= CHUNK_LINE_BYTES:
                    raise BadFraming("a chunk's size line is too long")
                self._buffer = data[at:]
                _check_partial(self._buffer)
                return b"".join(pieces), b""
            line = data[at:end]
            size = self._line_size if line == self._line else self._size(line)
            at = end + 2
            if not size:
                self._in_trailers = True
            elif data.startswith(b"\r\n", at + size):
                pieces.append(data[at : at + size])
                at += size + 2
            else:
                self._left = size + 2
        return b"".join(pieces), self._take_trailers(data[at:])

    def _take_chunk(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        """Take what is there of the current chunk and its CRLF; return where to go on."""
        size = len(data)
        if self._left > 2 and at < size:
            piece = data[at : at + self._left - 2]
            pieces.append(piece)
            at += len(piece)
            self._left -= len(piece)
        if self._left <= 2 and at < size:
            expected = b"\r\n"[2 - self._left :]
            there = data[at : at + self._left]
            if not expected.startswith(there):
                raise BadFraming("a chunk is longer than its size says")
            at += len(there)
            self._left -= len(there)
        return at

    def _size(self, line: bytes) -> int:
        digits, semicolon, extension = line.partition(b";")
        if semicolon:
            self._extension_bytes += len(extension)
            if self._extension_bytes > CHUNK_EXTENSION_BYTES:
                raise BadFraming("too many chunk extensions")
            if not _EXTENSION(extension):
                raise BadFraming("a control character in a chunk extension")
            digits = digits.rstrip(b" \t")  # BWS, RFC 9112 7.1.1
        if not 0 < len(digits) <= 16 or not _DIGITS.issuperset(digits):
            raise BadFraming("a chunk's size is not a hexadecimal number")
        size = int(digits, 16)
        if size > _LARGEST_CHUNK:
            raise BadFraming("a chunk's size is one that no chunk has")
        if not semicolon:
            self._line, self._line_size = line, size
        return size

    def _take_trailers(self, data: bytes) -> bytes:
        """Take the trailer section where it is complete; return what follows it."""
        if data[:2] == b"\r\n":
            self.done = True
            return data[2:]
        end = data.find(END_OF_HEAD, 0, TRAILER_BYTES)
        if end < 0:
            if len(data) >= TRAILER_BYTES:
                raise BadFraming("the trailer section is too long")
            if is_no_text(data):
                raise BadFraming("the trailer section is malformed")
            self._buffer = data
            return b""
        trailers = trailer_lines(data[: end + 4])
        if trailers is None:
            raise BadFraming("the trailer section is malformed")
        self.trailers = trailers
        self.done = True
        return data[end + 4 :]


def _check_partial(line: bytes) -> None:
    """Refuse a size line that can no longer become one, rather than wait for its end."""
    digits = line.partition(b";")[0].rstrip(b"\r \t")
    if not _DIGITS.issuperset(digits) or b"\n" in line:
        raise BadFraming("a chunk's size is not a hexadecimal number")
