"""A reader of HTTP/1.1 requests that shares nothing with the sidecar's: slow, strict, and short enough to be checked.

Source: RFC 9112 sections 2 to 7, RFC 9110 5.5 and 5.6.2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([^\x00-\x20\x7f]+) HTTP/1\.([01])")
_FIELD_LINE = re.compile(
    rb"(" + _TOKEN + rb"):[ \t]*((?:[^\x00-\x20\x7f](?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)?)[ \t]*"
)
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[^\x00-\x08\x0a-\x1f]*)?")
_DIGITS = re.compile(rb"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as one parser sees it.

    Args:
        lines: its fields, in order: name as received, value without the white space around it.
        whole: whether its body has come to its end.
    """

    method: bytes
    target: bytes
    lines: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    trailers: tuple[tuple[bytes, bytes], ...] = ()
    whole: bool = True
    http_10: bool = False

    @property
    def gist(self) -> tuple[bytes, bytes, bytes]:
        """What must be the same for everybody: method, target and body."""
        return self.method, self.target, self.body

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of all fields with this name, in any case."""
        return [value for known, value in self.lines if known.lower() == name]


class NotClear(Exception):
    """It is not one clear message."""


def read_head(raw: bytes) -> Seen:
    """Read a head with its empty line.

    Raises:
        NotClear: it is none.
    """
    start, *lines = raw[:-4].split(b"\r\n")
    line = _REQUEST_LINE.fullmatch(start)
    if line is None:
        raise NotClear("request line")
    return Seen(line[1], line[2], read_lines(lines), http_10=line[3] == b"0")


def read_lines(lines: list[bytes]) -> tuple[tuple[bytes, bytes], ...]:
    """Read field lines without their line ends.

    Raises:
        NotClear: one is none.
    """
    fields = [_FIELD_LINE.fullmatch(line) for line in lines]
    if None in fields:
        raise NotClear("field line")
    return tuple((field[1], field[2]) for field in fields if field is not None)


def framing(head: Seen) -> int | None:
    """Return the size of a request's body, None where it is chunked (RFC 9112 6.3).

    Raises:
        NotClear: it has two framings, or one that not everybody reads alike.
    """
    codings = head.values(b"transfer-encoding")
    lengths = head.values(b"content-length")
    if len(codings) + len(lengths) > 1 or (codings and head.http_10):
        raise NotClear("framing")
    if codings:
        if codings[0].lower() != b"chunked":
            raise NotClear("coding")
        return None
    if lengths and not _DIGITS.fullmatch(lengths[0]):
        raise NotClear("length")
    return int(lengths[0]) if lengths else 0


def read_chunked(data: bytes) -> tuple[bytes, tuple[tuple[bytes, bytes], ...], bytes] | None:
    """Read a chunked body: return it, its trailers and what follows; None where it is not whole yet.

    Raises:
        NotClear: it is not chunked.
    """
    pieces = []
    while True:
        line, end, data = data.partition(b"\r\n")
        if not end:
            return None
        size = _CHUNK_LINE.fullmatch(line)
        if size is None:
            raise NotClear("chunk")
        length = int(size[1], 16)
        if length == 0:
            break
        if len(data) < length + 2:
            return None
        if data[length : length + 2] != b"\r\n":
            raise NotClear("chunk end")
        pieces.append(data[:length])
        data = data[length + 2 :]
    if data.startswith(b"\r\n"):
        return b"".join(pieces), (), data[2:]
    section, end, rest = data.partition(b"\r\n\r\n")
    return (b"".join(pieces), read_lines(section.split(b"\r\n")), rest) if end else None


def read_requests(data: bytes) -> list[Seen]:
    """Return the requests of a stream up to where it ends or is no longer clear; only the last may not be whole."""
    seen: list[Seen] = []
    while True:
        while data.startswith(b"\r\n"):  # RFC 9112 2.2
            data = data[2:]
        raw, end, data = data.partition(b"\r\n\r\n")
        try:
            if not end:
                return seen
            head = read_head(raw + end)
            size = framing(head)
            body = read_chunked(data) if size is None else (data[:size], (), data[size:]) if len(data) >= size else None
        except NotClear:
            return seen
        if body is None:
            return [*seen, replace(head, whole=False)]
        seen.append(replace(head, body=body[0], trailers=body[1]))
        data = body[2]
