"""Odd answers that are clear all the same, and exactly what the app gets for each."""

from __future__ import annotations

from dataclasses import dataclass

from tests.fakes import Message


@dataclass(frozen=True, slots=True)
class Passed:
    """What the upstream sends, and what the app gets.

    Args:
        source: why it is clear.
        raw: the bytes from the upstream.
        answers: what the app gets, interim answers first.
        method: of the request.
        stays: whether the upstream's connection may carry another request.
    """

    source: str
    raw: bytes
    answers: tuple[Message, ...]
    method: str = "GET"
    stays: bool = True


def same(source: str, head: bytes, body: bytes = b"", method: str = "GET", *, stays: bool = True) -> Passed:
    """Return an answer that passes as it is."""
    return Passed(source, head + body, (Message(head, body),), method, stays)


def changed(source: str, head: bytes, body: bytes, seen: bytes, *, stays: bool = True) -> Passed:
    """Return an answer whose head changes."""
    return Passed(source, head + body, (Message(seen, body),), "GET", stays)


_TRAILERS = b"HTTP/1.1 200 OK\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n"
_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"

CLEAR = [
    same("RFC 9110 15: a status past 599", b"HTTP/1.1 999 x\r\nContent-Length: 5\r\n\r\n", b"hello"),
    same("RFC 9112 4: no reason", b"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\n", b"hello"),
    same("RFC 9112 4: no reason and no space", b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n", b"hello"),
    same("RFC 9112 4: an odd reason", b"HTTP/1.1 200  \t\xe9: y \r\nContent-Length: 5\r\n\r\n", b"hello"),
    same("RFC 9110 5.4: a field of 9 KiB", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 9216 + b"\r\nContent-Length: 0\r\n\r\n"),
    same("RFC 9110 5.4: a thousand fields", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"Content-Length: 0\r\n\r\n"),
    same("RFC 9110 15.3.6: 205 with a length of 0", b"HTTP/1.1 205 x\r\nContent-Length: 0\r\n\r\n"),
    same("RFC 9110 15.3.6: 205 with a body all the same", b"HTTP/1.1 205 x\r\nContent-Length: 5\r\n\r\n", b"hello"),
    same("RFC 9110 8.6: 204 with a length of 0, as many send it", b"HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n"),
    same("RFC 9110 8.6: 304 with the length of another time", b"HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n"),
    same("RFC 9112 6.1: 304 with the coding of another time", b"HTTP/1.1 304 x\r\nTransfer-Encoding: chunked\r\n\r\n"),
    same("RFC 9110 9.3.2: HEAD with a length", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", method="HEAD"),
    same("RFC 9110 9.3.2: HEAD with a coding", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", method="HEAD"),
    changed(
        "RFC 9110 8.6: 204 may announce no body",
        b"HTTP/1.1 204 x\r\nX: 1\r\nContent-Length: 5\r\nY: 2\r\n\r\n",
        b"",
        b"HTTP/1.1 204 x\r\nX: 1\r\nY: 2\r\n\r\n",
    ),
    changed(
        "RFC 9112 6.1: 204 may announce no chunks",
        b"HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"",
        b"HTTP/1.1 204 x\r\n\r\n",
    ),
    changed(
        "RFC 9110 8.6: leading zeros go",
        b"HTTP/1.1 200 OK\r\nContent-Length: 005\r\nX: y\r\n\r\n",
        b"hello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\n",
    ),
    changed("RFC 9110 5.5: a tab goes", b"HTTP/1.1 200 OK\r\nContent-Length:\t5\r\n\r\n", b"hello", _OK),
    Passed(
        "RFC 9112 7: CHUNKED is chunked",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        (Message(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"hello"),),
    ),
    changed(
        "RFC 9112 9.6: the upstream's close is not ours",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n",
        b"hello",
        _OK,
        stays=False,
    ),
    changed("RFC 9112 9.3: HTTP/1.0 ends", b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", b"hello", _OK, stays=False),
    changed(
        "RFC 9112 9.3: HTTP/1.0 that is kept alive",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n",
        b"hello",
        _OK,
    ),
    Passed(
        "RFC 9110 15.2: as many hints as are allowed",
        _HINTS * 32 + _OK + b"hello",
        (Message(_HINTS),) * 32 + (Message(_OK, b"hello"),),
    ),
    Passed(
        "RFC 9110 8.6: an interim answer has no length",
        b"HTTP/1.1 103 x\r\nContent-Length: 5\r\nLink: x\r\n\r\n" + _OK + b"hello",
        (Message(b"HTTP/1.1 103 x\r\nLink: x\r\n\r\n"), Message(_OK, b"hello")),
    ),
    Passed(
        "RFC 9110 15.2: an interim answer that nobody knows",
        b"HTTP/1.1 142 x\r\n\r\n" + _OK + b"hello",
        (Message(b"HTTP/1.1 142 x\r\n\r\n"), Message(_OK, b"hello")),
    ),
    Passed(
        "RFC 9110 6.5.1: what is no trailer goes",
        _TRAILERS
        + b"5\r\nhello\r\n0\r\nX: y\r\nContent-Length: 9\r\nTransfer_Encoding: chunked\r\nSet-Cookie: a\r\n"
        + b"Authorization: b\r\nLocation: /\r\nContent-Type: z\r\n\r\n",
        (Message(_TRAILERS, b"hello", (b"X: y",)),),
    ),
]
