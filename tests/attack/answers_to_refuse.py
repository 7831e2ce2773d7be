"""Answers that are not one clear HTTP/1.1 response, by the rule that they break; and those with more than belongs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bad:
    """An answer that no byte of may reach the app."""

    source: str
    raw: bytes


def start(source: str, line: bytes) -> Bad:
    """Return an answer with this status line, its line end included."""
    return Bad(source, line + b"Content-Length: 5\r\n\r\nhello")


def line(source: str, lines: bytes) -> Bad:
    """Return an answer with these field lines, their line ends included."""
    return Bad(source, b"HTTP/1.1 200 OK\r\n" + lines + b"Content-Length: 5\r\n\r\nhello")


def sized(source: str, lines: bytes) -> Bad:
    """Return an answer with these lines and five bytes of a body."""
    return Bad(source, b"HTTP/1.1 200 OK\r\n" + lines + b"\r\nhello")


def coded(source: str, lines: bytes) -> Bad:
    """Return an answer with these lines and a chunked body."""
    return Bad(source, b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n5\r\nhello\r\n0\r\n\r\n")


STATUS_LINES = [
    *(
        start(f"RFC 9112 4: {status_line!r}", status_line + b"\r\n")
        for status_line in (
            b"HTTP/1.1 000 OK",
            b"HTTP/1.1 099 OK",
            b"HTTP/1.1 1000 OK",
            b"HTTP/1.1 20 OK",
            b"HTTP/1.1 2 OK",
            b"HTTP/1.1 20x OK",
            b"HTTP/1.1 12x",
            b"HTTP/1.1 2 00 OK",
            b"HTTP/1.1 -200 OK",
            b"HTTP/1.1 +20 OK",
            b"HTTP/1.1 0xC8 OK",
            b"HTTP/1.1 OK",
            b"HTTP/1.1 ",
            b"HTTP/1.1",
            b"HTTP/1.1 200OK",
            b"HTTP/1.1 200\tOK",
            b"HTTP/1.1\t200 OK",
            b"HTTP/1.1  200 OK",
            b"HTTP/1.1200 OK",
            b"HTTP/1.2 200 OK",
            b"HTTP/1.10 200 OK",
            b"HTTP/01.1 200 OK",
            b"HTTP/0.9 200 OK",
            b"HTTP/2.0 200 OK",
            b"HTTP/2 200",
            b"HTTP/1 200 OK",
            b"http/1.1 200 OK",
            b"HTTP /1.1 200 OK",
            b"XHTTP/1.1 200 OK",
            b"ICY 200 OK",
            b"SSH-2.0-OpenSSH_9.2",
            b" HTTP/1.1 200 OK",
            b"\r\nHTTP/1.1 200 OK",
            b"\nHTTP/1.1 200 OK",
            b"\rHTTP/1.1 200 OK",
            b"\x00HTTP/1.1 200 OK",
            b"\xef\xbb\xbfHTTP/1.1 200 OK",
            b"HTTP/1.1 200 O\x00K",
            b"HTTP/1.1 200 O\x0bK",
            b"HTTP/1.1 200 O\x1bK",
            b"HTTP/1.1 200 OK\x7f",
            b"HTTP/1.1 200 OK\rX: y",
            b"HTTP/1.1 200 OK\r",
            b"HTTP/1.1 200 OK\nX: y",
            b"HTTP/1.1 \xd9\xa2\xd9\xa0\xd9\xa0 OK",
            b"GET / HTTP/1.1",
            b"hello",
        )
    ),
    start("RFC 9112 2.2: a status line that ends with LF", b"HTTP/1.1 200 OK\n"),
]

FIELD_LINES = [
    line("RFC 9112 2.2: white space before the first field", b" X: y\r\n"),
    line("RFC 9112 5.1: a space before the colon", b"X : y\r\n"),
    line("RFC 9112 5.1: a tab before the colon", b"X\t: y\r\n"),
    line("RFC 9112 5: no name", b": y\r\n"),
    line("RFC 9112 5: no colon", b"X\r\n"),
    line("RFC 9110 5.6.2: a space in the name", b"X Y: z\r\n"),
    line("RFC 9110 5.6.2: a name that is not ASCII", b"X\xe9: y\r\n"),
    line("RFC 9110 5.6.2: a NUL in the name", b"X\x00: y\r\n"),
    line("RFC 9112 5.2: a folded value", b"X: y\r\n z\r\n"),
    line("RFC 9112 5.2: a value folded with a tab", b"X: y\r\n\tz\r\n"),
    line("RFC 9112 5.2: an empty value, folded", b"X:\r\n y\r\n"),
    line("RFC 9112 2.2: a bare LF ends a field", b"X: y\n"),
    line("RFC 9112 2.2: two LF for an empty line", b"X: y\n\n"),
    line("RFC 9112 2.2: CRLF and LF for an empty line", b"X: y\r\n\n"),
    line("RFC 9112 2.2: a bare CR within a value", b"X: y\rz\r\n"),
    line("RFC 9112 2.2: a bare CR hides a framing", b"X: y\rTransfer-Encoding: chunked\r\n"),
    line("RFC 9112 2.2: a bare CR before a line end", b"X: y\r\r\n"),
    line("RFC 9110 5.5: a NUL in a value", b"X: y\x00\r\n"),
    line("RFC 9110 5.5: a control character in a value", b"X: \x01\r\n"),
    line("RFC 9110 5.5: an escape in a value", b"X: \x1b[2J\r\n"),
    line("RFC 9110 5.5: DEL in a value", b"X: \x7f\r\n"),
]

FRAMINGS = [
    coded("RFC 9112 6.3: CL and TE", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
    coded("RFC 9112 6.3: TE and CL", b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
    coded("RFC 9112 6.3: TE and no length", b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"),
    sized("RFC 9112 6.3: two lengths that differ", b"Content-Length: 5\r\nContent-Length: 6\r\n"),
    sized("RFC 9112 6.3: two lengths alike", b"Content-Length: 5\r\nContent-Length: 5\r\n"),
    *(
        sized(f"RFC 9110 8.6: {value!r}", b"Content-Length:" + value + b"\r\n")
        for value in (
            b"",
            b" ",
            b" 5, 5",
            b" 5,6",
            b" +5",
            b" -5",
            b" 0x5",
            b" 5.0",
            b" 0_5",
            b" 5 5",
            b" five",
            b' "5"',
            b"\x0b5",
            b" 5\x00",
            b" \xd9\xa5",
            b" 9223372036854775808",
            b" 18446744073709551615",
            b" 18446744073709551621",
            b" " + b"0" * 5000 + b"5",
        )
    ),
    sized("RFC 9112 5.1: a length with a space before its colon", b"Content-Length : 5\r\n"),
    sized("CGI's spelling: Content_Length", b"Content_Length: 5\r\n"),
    *(
        coded(f"RFC 9112 7: {value!r}", b"Transfer-Encoding:" + value + b"\r\n")
        for value in (
            b"",
            b" identity",
            b" gzip",
            b" gzip, chunked",
            b" chunked, gzip",
            b" chunked, chunked",
            b" chunked,",
            b" chunked;q=1",
            b" xchunked",
            b" chunkedx",
            b' "chunked"',
            b"\x0bchunked",
            b" chunked\x00",
            b"\r\n chunked",
            b" chunked\r\nTransfer-Encoding: chunked",
            b" chunked\r\nTransfer-Encoding: gzip",
            b" gzip\r\nTransfer-Encoding: chunked",
            b" identity\r\nTransfer-Encoding: chunked",
        )
    ),
    coded("RFC 9112 5.1: a coding with a space before its colon", b"Transfer-Encoding : chunked\r\n"),
    coded("CGI's spelling: Transfer_Encoding", b"Transfer_Encoding: chunked\r\n"),
    Bad("RFC 9112 6.1: HTTP/1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    Bad(
        "RFC 9112 6.3: CL and TE with a 304",
        b"HTTP/1.1 304 x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ),
    Bad("RFC 9110 15.2.2: 101 unasked", b"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello"),
]

SIZES = [
    line("a head without end", b"X: " + b"y" * 200_000),
    line("a head that is too large", b"X: " + b"y" * 66_000 + b"\r\n"),
    line("fields without end", b"X: y\r\n" * 20_000),
    Bad("interim answers without end", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 1000),
    Bad("a go-on without end", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
]

# Each table by what it is about.
NOT_CLEAR = {
    "status lines": STATUS_LINES,
    "field lines": FIELD_LINES,
    "framings": FRAMINGS,
    "sizes": SIZES,
}


@dataclass(frozen=True, slots=True)
class Extra:
    """An answer that is a clear one, and what the upstream sends after its end."""

    source: str
    answer: bytes
    extra: bytes
    method: str = "GET"


_POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"

TOO_MUCH = [
    Extra("RFC 9112 6.3: another answer after a length", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", _POISON),
    Extra("RFC 9112 6.3: a byte after a length", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"!"),
    Extra("RFC 9112 6.3: an empty line after a length", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"\r\n"),
    Extra("RFC 9112 6.3: a body after a length of 0", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"hello"),
    Extra(
        "RFC 9112 7.1: another answer after the last chunk",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        _POISON,
    ),
    Extra("RFC 9112 6.3: 204 and a body", b"HTTP/1.1 204 No Content\r\n\r\n", b"hello"),
    Extra("RFC 9112 6.3: 204 and another answer", b"HTTP/1.1 204 No Content\r\n\r\n", _POISON),
    Extra("RFC 9112 6.3: 204 and chunks", b"HTTP/1.1 204 No Content\r\n\r\n", b"0\r\n\r\n"),
    Extra("RFC 9112 6.3: 304 and its length", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b"hello"),
    Extra("RFC 9112 6.3: 304 and another answer", b"HTTP/1.1 304 Not Modified\r\n\r\n", _POISON),
    Extra(
        "RFC 9112 6.3: a body for HEAD",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        b"hello",
        "HEAD",
    ),
    Extra(
        "RFC 9112 6.3: chunks for HEAD",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"5\r\nhello\r\n0\r\n\r\n",
        "HEAD",
    ),
    Extra("RFC 9112 6.3: a body for HEAD that says nothing of one", b"HTTP/1.1 200 OK\r\n\r\n", _POISON, "HEAD"),
    Extra("RFC 9110 15.2: 103 after the answer", b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 103 x\r\n\r\n"),
]
