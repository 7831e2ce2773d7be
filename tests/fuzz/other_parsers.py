"""What parsers that nobody here wrote make of a stream: h11, and both of aiohttp's (llhttp in C, and pure Python)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import h11
import h11._readers
from aiohttp import http_exceptions
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy

from tests.fuzz.reference import Seen

# Ours is 64 KiB; whoever reads with a smaller limit would refuse for its size what is clear.
MOST_HEAD_BYTES = 1024 * 1024

# h11 refuses white space before a chunk's extension, which RFC 9112 7.1.1 has read (BWS).
h11._readers.chunk_header_re = re.compile(rb"(?P<chunk_size>[0-9A-Fa-f]{1,20})(?:[ \t]*(?P<chunk_ext>;.*))?[ \t]*\r\n")


def h11_requests(data: bytes) -> list[Seen]:
    """Return the requests that h11 sees, up to where it refuses to go on; only the last may not be whole.

    Each is read by a connection object of its own, so that what h11 thinks of keeping a connection plays no part.
    h11 does not skip empty lines before a request line, which RFC 9112 2.2 asks for: that is done for it.
    """
    seen: list[Seen] = []
    while True:
        while data.startswith(b"\r\n"):
            data = data[2:]
        message, rest = _h11_request(data)
        if message is not None:
            seen.append(message)
        if rest is None:
            return seen
        data = rest


def _h11_request(data: bytes) -> tuple[Seen | None, bytes | None]:
    """Return the first request, and what follows it; None for what follows where it is refused or not whole."""
    connection = h11.Connection(h11.SERVER, MOST_HEAD_BYTES)
    try:
        connection.receive_data(data)
        head = connection.next_event()
        if not isinstance(head, h11.Request):
            return None, None
        body = bytearray()
        while isinstance(event := connection.next_event(), h11.Data):
            body += event.data
    except h11.RemoteProtocolError:
        return None, None
    lines = tuple(head.headers.raw_items())
    if not isinstance(event, h11.EndOfMessage):
        return Seen(head.method, head.target, lines, bytes(body), whole=False), None
    trailers = tuple(event.headers.raw_items())
    return Seen(head.method, head.target, lines, bytes(body), trailers), connection.trailing_data[0]


def aiohttp_requests(pieces: Sequence[bytes], parser: Callable[..., Any]) -> list[Seen]:
    """Return the requests that one of aiohttp's parsers sees in a stream that comes in these pieces.

    Raises:
        http_exceptions.HttpProcessingError: it refuses what comes.
    """
    reader = _aiohttp_reader(parser)
    messages = []
    for piece in pieces:
        more, upgraded, _ = reader.feed_data(piece)
        messages += more
        if upgraded:  # nobody switched: aiohttp's server goes on with the next request as if nothing had been asked
            reader = _aiohttp_reader(parser)
    return [_as_seen(message, payload) for message, payload in messages]


def _aiohttp_reader(parser: Callable[..., Any]) -> Any:
    loop = asyncio.get_running_loop()
    most = MOST_HEAD_BYTES
    protocol = BaseProtocol(loop)
    return parser(
        protocol, loop, 2**20, max_line_size=most, max_headers=1000, max_field_size=most, auto_decompress=False
    )


def _as_seen(message: Any, payload: Any) -> Seen:
    if payload.exception() is not None:
        raise payload.exception()
    body = b"".join(getattr(payload, "_buffer", ()))  # there is none to read where there is no body
    target = message.path.encode("utf-8", "surrogateescape")
    return Seen(message.method.encode(), target, tuple(message.raw_headers), body, whole=payload.is_eof())


AIOHTTP_PARSERS: tuple[Callable[..., Any], ...] = (HttpRequestParser, HttpRequestParserPy)
Refusal = http_exceptions.HttpProcessingError


@dataclass(frozen=True, slots=True)
class SeenAnswer:
    """A response as h11 sees it.

    Args:
        interim: the statuses of the interim responses before it.
        status: None where there is no final head.
        whole: whether its body has come to its end.
        refused: whether h11 refuses to go on.
        rest: what follows it.
    """

    interim: tuple[int, ...] = ()
    status: int | None = None
    reason: bytes = b""
    lines: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    trailers: tuple[tuple[bytes, bytes], ...] = ()
    whole: bool = False
    refused: bool = False
    rest: bytes = b""

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of all fields with this name, in any case."""
        return [value for known, value in self.lines if known.lower() == name]


def h11_answer(data: bytes, method: bytes, *, ended: bool) -> SeenAnswer:
    """Return the response to a request with `method` that h11 sees.

    Args:
        ended: whether the connection came to a clean end after `data`.
    """
    connection = h11.Connection(h11.CLIENT, MOST_HEAD_BYTES)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    interim: list[int] = []
    body = bytearray()
    head: h11.Response | None = None
    end: h11.EndOfMessage | None = None
    refused = False
    try:
        if data:
            connection.receive_data(data)
        if ended:
            connection.receive_data(b"")
        while end is None:
            event = connection.next_event()
            if isinstance(event, h11.InformationalResponse):
                interim.append(event.status_code)
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                end = event
            else:
                break
    except h11.RemoteProtocolError:
        refused = True
    return SeenAnswer(
        tuple(interim),
        head.status_code if head is not None else None,
        bytes(head.reason) if head is not None else b"",
        tuple(head.headers.raw_items()) if head is not None else (),
        bytes(body),
        tuple(end.headers.raw_items()) if end is not None else (),
        end is not None,
        refused,
        connection.trailing_data[0] if end is not None else b"",
    )
