"""Requests that two servers could read as two different ones, by the rule that they break.

`<own>` stands for the Host value of the listener. What follows an empty line is what a server that reads the
request otherwise would take for the next one.
"""

from __future__ import annotations

from dataclasses import dataclass

NEXT = b"GET /smuggled HTTP/1.1\r\nHost: <own>\r\n\r\n"
HOST = b"Host: <own>\r\n"


@dataclass(frozen=True, slots=True)
class Refused:
    """A request to refuse.

    Args:
        source: the rule that it breaks, or where such a request did harm.
        statuses: those that say so.
    """

    source: str
    raw: bytes
    statuses: tuple[int, ...] = (400,)


def start(source: str, line: bytes, *statuses: int) -> Refused:
    """Return a request with this start line, its line end included."""
    return Refused(source, line + HOST + b"\r\n", statuses or (400,))


def line(source: str, lines: bytes, *statuses: int) -> Refused:
    """Return a GET with these field lines, their line ends included."""
    return Refused(source, b"GET / HTTP/1.1\r\n" + HOST + lines + b"\r\n" + NEXT, statuses or (400,))


def first(source: str, lines: bytes) -> Refused:
    """The same, with these lines before Host."""
    return Refused(source, b"GET / HTTP/1.1\r\n" + lines + HOST + b"\r\n" + NEXT)


def sized(source: str, lines: bytes, *statuses: int) -> Refused:
    """Return a POST with these lines and five bytes of a body."""
    return Refused(source, b"POST / HTTP/1.1\r\n" + HOST + lines + b"\r\nhello" + NEXT, statuses or (400,))


def coded(source: str, lines: bytes, *statuses: int) -> Refused:
    """Return a POST with these lines and an empty chunked body."""
    return Refused(source, b"POST / HTTP/1.1\r\n" + HOST + lines + b"\r\n0\r\n\r\n" + NEXT, statuses or (400, 501))


START_LINES = [
    start("RFC 9112 3: HTTP/0.9", b"GET /\r\n"),
    start("RFC 9112 3: HTTP/0.9 with a space", b"GET / \r\n"),
    start("RFC 9112 3: two spaces before the target", b"GET  / HTTP/1.1\r\n"),
    start("RFC 9112 3: two spaces before the version", b"GET /  HTTP/1.1\r\n"),
    start("RFC 9112 3: a space after the version", b"GET / HTTP/1.1 \r\n"),
    start("RFC 9112 3: a tab after the version", b"GET / HTTP/1.1\t\r\n"),
    start("RFC 9112 3: a tab for the first space", b"GET\t/ HTTP/1.1\r\n"),
    start("RFC 9112 3: a tab for the second space", b"GET /\tHTTP/1.1\r\n"),
    start("RFC 9112 3: a vertical tab for a space", b"GET\x0b/ HTTP/1.1\r\n"),
    start("RFC 9112 3: a form feed for a space", b"GET /\x0cHTTP/1.1\r\n"),
    start("RFC 9112 3: a space within the target", b"GET /a b HTTP/1.1\r\n"),
    start("RFC 9112 3: a whole version within the target", b"GET / HTTP/1.1 HTTP/1.1\r\n"),
    start("RFC 9112 3: a space before the method", b" GET / HTTP/1.1\r\n"),
    start("RFC 9112 3: a tab before the method", b"\tGET / HTTP/1.1\r\n"),
    start("RFC 9112 3: no method", b" / HTTP/1.1\r\n"),
    start("RFC 9112 3: no method and no space", b"/ HTTP/1.1\r\n"),
    start("RFC 9112 3: no target", b"GET HTTP/1.1\r\n"),
    start("RFC 9112 3: an empty target", b"GET  HTTP/1.1\r\n"),
    start("RFC 9112 2.2: a bare LF before the method", b"\nGET / HTTP/1.1\r\n"),
    start("RFC 9112 2.2: a bare CR before the method", b"\rGET / HTTP/1.1\r\n"),
    start("RFC 9112 2.2: CRLF and a bare LF before the method", b"\r\n\nGET / HTTP/1.1\r\n"),
    start("RFC 9112 2.2: CRLF and a bare CR before the method", b"\r\n\rGET / HTTP/1.1\r\n"),
    start("RFC 9112 2.2: a start line that ends with LF", b"GET / HTTP/1.1\n"),
    start("RFC 9112 2.2: a start line that ends with CR", b"GET / HTTP/1.1\r"),
    start("RFC 9112 2.2: a start line that ends with CR CR LF", b"GET / HTTP/1.1\r\r\n"),
    start("RFC 9112 2.2: a bare LF ends the target", b"GET /\nX:y HTTP/1.1\r\n"),
    start("RFC 9112 2.2: a bare LF hides a field in the target", b"GET /a\nAuthorization:x HTTP/1.1\r\n"),
    start("RFC 9112 2.2: a bare LF in an authority", b"GET http://\n<own>/ HTTP/1.0\r\n"),
    start("RFC 9112 2.2: a bare CR in the target", b"GET /\rX HTTP/1.1\r\n"),
    start("RFC 9110 5.6.2: a NUL in the method", b"GE\x00T / HTTP/1.1\r\n"),
    start("RFC 9110 5.6.2: a colon in the method", b"GET: / HTTP/1.1\r\n"),
    start("RFC 9110 5.6.2: parentheses in the method", b"G(E)T / HTTP/1.1\r\n"),
    start("RFC 9110 5.6.2: a quoted method", b'"GET" / HTTP/1.1\r\n'),
    start("RFC 9110 5.6.2: a slash in the method", b"GET/ / HTTP/1.1\r\n"),
    start("RFC 9110 5.6.2: a method that is not ASCII", b"G\xc9T / HTTP/1.1\r\n"),
    start("RFC 9110 5.6.2: DEL in the method", b"GET\x7f / HTTP/1.1\r\n"),
    start("RFC 9110 9.3.8: TRACE shows the token", b"TRACE / HTTP/1.1\r\n", 405),
    start("RFC 9110 9.3.8: in lower case, to servers that fold it", b"trace / HTTP/1.1\r\n", 405),
    start("RFC 9110 9.3.8: TRACK is TRACE to IIS", b"TRACK / HTTP/1.1\r\n", 405),
    start("RFC 9110 9.3.6: CONNECT", b"CONNECT <own> HTTP/1.1\r\n", 405),
    start("RFC 9110 9.3.6: connect", b"connect / HTTP/1.1\r\n", 405),
    start("RFC 9113 11.6: PRI is for nobody to use", b"PRI / HTTP/1.1\r\n", 405),
    start("RFC 9113 11.6: PRI with its own target", b"PRI * HTTP/1.1\r\n", 405),
    start("RFC 9113 3.4: the preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    start("RFC 9113 11.6: llhttp has a grammar of its own for PRI", b"PRI /a HTTP/1.1\r\nno colon\x00\r\n", 400, 405),
    start("RFC 3986: a NUL in the target", b"GET /\x00 HTTP/1.1\r\n"),
    start("RFC 3986: a control character in the target", b"GET /\x1f HTTP/1.1\r\n"),
    start("RFC 3986: DEL in the target", b"GET /\x7f HTTP/1.1\r\n"),
    start("RFC 3986: a target that is not ASCII", b"GET /\xe9 HTTP/1.1\r\n"),
    start("RFC 3986: a target in UTF-8", b"GET /\xc3\xa9 HTTP/1.1\r\n"),
    start("RFC 9112 3.2: a fragment", b"GET /#x HTTP/1.1\r\n"),
    start("RFC 9112 3.2: a target without a slash", b"GET a HTTP/1.1\r\n"),
    start("RFC 9112 3.2: a target that is a query", b"GET ?a HTTP/1.1\r\n"),
    start("RFC 9112 2.3: HTTP/1.2", b"GET / HTTP/1.2\r\n", 400, 505),
    start("RFC 9112 2.3: HTTP/1.10", b"GET / HTTP/1.10\r\n", 400, 505),
    start("RFC 9112 2.3: HTTP/01.1", b"GET / HTTP/01.1\r\n", 400, 505),
    start("RFC 9112 2.3: HTTP/1.01", b"GET / HTTP/1.01\r\n", 400, 505),
    start("RFC 9112 2.3: HTTP/0.9 by name", b"GET / HTTP/0.9\r\n", 400, 505),
    start("RFC 9112 2.3: HTTP/2", b"GET / HTTP/2\r\n", 400, 505),
    start("RFC 9112 2.3: HTTP/2.0", b"GET / HTTP/2.0\r\n", 400, 505),
    start("RFC 9112 2.3: HTTP/1", b"GET / HTTP/1\r\n"),
    start("RFC 9112 2.3: HTTP/1,1", b"GET / HTTP/1,1\r\n"),
    start("RFC 9112 2.3: HTTP/-1.1", b"GET / HTTP/-1.1\r\n"),
    start("RFC 9112 2.3: HTTP/1.1 and more", b"GET / HTTP/1.1x\r\n"),
    start("RFC 9112 2.3: HTTP/1.1 and a NUL", b"GET / HTTP/1.1\x00\r\n"),
    start("RFC 9112 2.3: http in lower case", b"GET / http/1.1\r\n"),
    start("RFC 9112 2.3: HTTP with a space", b"GET / HTTP /1.1\r\n"),
    start("RFC 9112 2.3: a digit of another script", b"GET / HTTP/1.\xd9\xa1\r\n"),
    start("another protocol", b"GET / ICE/1.0\r\n"),
    start("another protocol's method", b"DESCRIBE / RTSP/1.0\r\n"),
    start("a client that speaks TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n"),
]

FIELD_LINES = [
    first("RFC 9112 2.2: white space before the first field", b" X: y\r\n"),
    first("RFC 9112 2.2: a tab before the first field", b"\tX: y\r\n"),
    first("RFC 9112 2.2: a line of white space first", b" \r\n"),
    line("RFC 9112 5.1: a space before the colon", b"X : y\r\n"),
    line("RFC 9112 5.1: a tab before the colon", b"X\t: y\r\n"),
    line("RFC 9112 5.1: a vertical tab before the colon", b"X\x0b: y\r\n"),
    line("RFC 9112 5.1: a NUL before the colon", b"X\x00: y\r\n"),
    line("RFC 9112 5.1: a bare CR before the colon", b"X\r: y\r\n"),
    line("RFC 9112 5.1: a bare LF before the colon", b"X\n: y\r\n"),
    line("RFC 9112 5.1: a space in the name", b"X Y: z\r\n"),
    line("RFC 9112 5: no name", b": y\r\n"),
    line("RFC 9112 5: no name and no value", b":\r\n"),
    line("RFC 9112 5: no colon", b"X\r\n"),
    line("RFC 9112 5: no colon, but a space", b"X y\r\n"),
    line("RFC 9110 5.6.2: a name in quotes", b'"X": y\r\n'),
    line("RFC 9110 5.6.2: a name in brackets", b"[X]: y\r\n"),
    line("RFC 9110 5.6.2: a comma in the name", b"X,Y: z\r\n"),
    line("RFC 9110 5.6.2: an equals sign in the name", b"X=Y: z\r\n"),
    line("RFC 9110 5.6.2: a name that is not ASCII", b"X\xe9: y\r\n"),
    line("RFC 9110 5.6.2: a name with a soft hyphen", b"Content\xadLength: 5\r\n"),
    line("RFC 9110 5.6.2: DEL in the name", b"X\x7f: y\r\n"),
    line("RFC 9110 5.6.2: a control character in the name", b"X\x01: y\r\n"),
    line("RFC 9112 5.2: a folded value", b"X: y\r\n z\r\n"),
    line("RFC 9112 5.2: a value folded with a tab", b"X: y\r\n\tz\r\n"),
    line("RFC 9112 5.2: an empty value, folded", b"X:\r\n y\r\n"),
    line("RFC 9112 5.2: a fold that looks like a field", b"X: y\r\n Content-Length: 5\r\n"),
    line("RFC 9112 5.2: a line of white space", b"X: y\r\n \r\n"),
    line("RFC 9112 2.2: a bare LF ends a field", b"X: y\n"),
    line("RFC 9112 2.2: a bare LF between two fields", b"X: y\nZ: z\r\n"),
    line("RFC 9112 2.2: a bare LF within a value", b"X: \ny\r\n"),
    line("RFC 9112 2.2: LF and CRLF for an empty line", b"X: y\n\r\n"),
    line("RFC 9112 2.2: two LF for an empty line", b"X: y\n\n" + NEXT),
    line("RFC 9112 2.2: CRLF and LF for an empty line", b"X: y\r\n\n" + NEXT),
    line("RFC 9112 2.2: a bare CR within a value", b"X: y\rz\r\n"),
    line("RFC 9112 2.2: a bare CR between two fields", b"X: y\rZ: z\r\n"),
    line("RFC 9112 2.2: a bare CR before a line end", b"X: y\r\r\n"),
    line("RFC 9112 2.2: a value that is a bare CR", b"X:\r\r\n"),
    line("RFC 9112 2.2: a bare CR first in a value", b"X: \rTransfer-Encoding: chunked\r\n"),
    line("RFC 9112 2.2: a bare CR for an empty line", b"X: y\r\n\r" + NEXT),
    line("RFC 9110 5.5: a NUL in a value", b"X: y\x00z\r\n"),
    line("RFC 9110 5.5: a value that is a NUL", b"X: \x00\r\n"),
    line("RFC 9110 5.5: a control character in a value", b"X: y\x01\r\n"),
    line("RFC 9110 5.5: a vertical tab in a value", b"X:\x0by\r\n"),
    line("RFC 9110 5.5: a form feed in a value", b"X: y\x0c\r\n"),
    line("RFC 9110 5.5: an escape in a value", b"X: \x1b[2J\r\n"),
    line("RFC 9110 5.5: DEL in a value", b"X: y\x7f\r\n"),
    line("RFC 9110 7.2: two Hosts", HOST),
    line("RFC 9110 7.2: two Hosts that differ", b"Host: other\r\n"),
    line("RFC 9110 7.2: two Hosts in another case", b"hOST: <own>\r\n"),
    Refused("RFC 9110 7.2: no Host", b"GET / HTTP/1.1\r\n\r\n" + NEXT),
    Refused("RFC 9110 7.2: no Host, HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n" + NEXT),
    Refused("RFC 9110 7.2: a Host with a space before its colon", b"GET / HTTP/1.1\r\nHost : <own>\r\n\r\n" + NEXT),
    Refused("RFC 9110 7.2: a folded Host", b"GET / HTTP/1.1\r\nHost:\r\n <own>\r\n\r\n" + NEXT),
]


def _hosts(*values: bytes) -> list[Refused]:
    return [
        Refused(
            f"RFC 9110 7.2: {value!r}",
            b"GET / HTTP/1.1\r\nConnection: close\r\nHost: " + value + b"\r\n\r\n",
            (400, 403),
        )
        for value in values
    ]


HOSTS = _hosts(
    b"",
    b"other",
    b"<own>, <own>",
    b"<own>,other",
    b"user@<own>",
    b"<own>/",
    b"<own>/path",
    b"<own>?a",
    b"<own>#a",
    b"<own> other",
    b"<own>\tother",
    b"<own>\x00",
    b"<own>\x7f",
    b"<own>.",
    b"<own>:",
    b"<own>0",
    b"localhost:99999999",
    b"localhost:-1",
    b"localhost:",
    b"[<own>]",
    b"http://<own>",
    b'"<own>"',
    b"\\<own>",
    b"xn--<own>",
    b"<own>\xc2\xa0",
)

LENGTHS = [
    sized("RFC 9112 6.3: two that differ", b"Content-Length: 5\r\nContent-Length: 0\r\n"),
    sized("RFC 9112 6.3: two that differ, the other way", b"Content-Length: 0\r\nContent-Length: 5\r\n"),
    sized("RFC 9112 6.3: two alike", b"Content-Length: 5\r\nContent-Length: 5\r\n"),
    sized("RFC 9112 6.3: two in another case", b"Content-Length: 5\r\ncontent-length: 6\r\n"),
    sized("RFC 9112 6.3: two with a field between them", b"Content-Length: 5\r\nX: y\r\nContent-Length: 6\r\n"),
    sized("RFC 9112 6.3: a list of two alike", b"Content-Length: 5, 5\r\n"),
    sized("RFC 9112 6.3: a list of two that differ", b"Content-Length: 5,6\r\n"),
    sized("RFC 9112 6.3: a list with an empty member", b"Content-Length: 5,\r\n"),
    sized("RFC 9112 6.3: a list with an empty member first", b"Content-Length: ,5\r\n"),
    sized("RFC 9110 8.6: no digits", b"Content-Length:\r\n"),
    sized("RFC 9110 8.6: white space alone", b"Content-Length: \t\r\n"),
    sized("RFC 9110 8.6: a plus", b"Content-Length: +5\r\n"),
    sized("RFC 9110 8.6: a minus", b"Content-Length: -5\r\n"),
    sized("RFC 9110 8.6: minus zero", b"Content-Length: -0\r\n"),
    sized("RFC 9110 8.6: hexadecimal", b"Content-Length: 0x5\r\n"),
    sized("RFC 9110 8.6: hexadecimal without a prefix", b"Content-Length: a\r\n"),
    sized("RFC 9110 8.6: octal", b"Content-Length: 0o5\r\n"),
    sized("RFC 9110 8.6: a fraction", b"Content-Length: 5.0\r\n"),
    sized("RFC 9110 8.6: an exponent", b"Content-Length: 5e0\r\n"),
    sized("RFC 9110 8.6: Python's digit groups", b"Content-Length: 0_5\r\n"),
    sized("RFC 9110 8.6: two numbers", b"Content-Length: 5 5\r\n"),
    sized("RFC 9110 8.6: a digit, a tab, a digit", b"Content-Length: 5\t5\r\n"),
    sized("RFC 9110 8.6: a word", b"Content-Length: five\r\n"),
    sized("RFC 9110 8.6: in quotes", b'Content-Length: "5"\r\n'),
    sized("RFC 9110 8.6: a parameter", b"Content-Length: 5;x\r\n"),
    sized("RFC 9110 8.6: a digit of another script", b"Content-Length: \xd9\xa5\r\n"),
    sized("RFC 9110 8.6: a superscript digit", b"Content-Length: \xb2\r\n"),
    sized("RFC 9110 8.6: a vertical tab before it", b"Content-Length:\x0b5\r\n"),
    sized("RFC 9110 8.6: a form feed after it", b"Content-Length: 5\x0c\r\n"),
    sized("RFC 9110 8.6: a NUL after it", b"Content-Length: 5\x00\r\n"),
    sized("RFC 9110 8.6: a no-break space before it", b"Content-Length: \xa05\r\n"),
    sized("RFC 9112 5.1: a space before the colon", b"Content-Length : 5\r\n"),
    sized("RFC 9112 5.1: a tab before the colon", b"Content-Length\t: 5\r\n"),
    sized("RFC 9112 5.2: folded", b"Content-Length:\r\n 5\r\n"),
    sized("RFC 9112 2.2: hidden after a bare CR", b"X: y\rContent-Length: 5\r\n"),
    sized("RFC 9112 2.2: hidden after a bare LF", b"X: y\nContent-Length: 5\r\n"),
    sized("CGI's spelling: Content_Length", b"Content_Length: 5\r\n"),
    sized("CGI's spelling beside the other", b"Content-Length: 5\r\ncontent_length: 6\r\n"),
    sized("PHP's spelling: Content.Length", b"Content.Length: 5\r\n"),
    sized("RFC 9110 8.6: 2^63", b"Content-Length: 9223372036854775808\r\n"),
    sized("RFC 9110 8.6: 2^64 - 1", b"Content-Length: 18446744073709551615\r\n"),
    sized("RFC 9110 8.6: 2^64", b"Content-Length: 18446744073709551616\r\n"),
    sized("RFC 9110 8.6: 2^64 + 5", b"Content-Length: 18446744073709551621\r\n"),
    sized("RFC 9110 8.6: 30 digits", b"Content-Length: " + b"9" * 30 + b"\r\n"),
    sized("RFC 9110 8.6: zeros without end", b"Content-Length: " + b"0" * 5000 + b"5\r\n"),
]

CODINGS = [
    coded("RFC 9112 6.1: CL.TE", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
    coded("RFC 9112 6.1: TE.CL", b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
    coded("RFC 9112 6.1: with a length of 0", b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"),
    coded("RFC 9112 6.1: a field between them", b"Content-Length: 5\r\nX: y\r\nTransfer-Encoding: chunked\r\n"),
    coded("RFC 9112 6.1: a length and a coding that is none", b"Content-Length: 5\r\nTransfer-Encoding: identity\r\n"),
    coded("RFC 9112 6.1: a length and an empty coding", b"Content-Length: 5\r\nTransfer-Encoding:\r\n"),
    coded(
        "RFC 9112 6.1: a coding that Connection takes away",
        b"Connection: transfer-encoding\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    ),
    coded("RFC 9112 6.1: two lines alike", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
    coded("RFC 9112 6.1: chunked, then another", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n"),
    coded("RFC 9112 6.1: another, then chunked", b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"),
    coded("RFC 9112 6.1: chunked, then identity", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
    coded("RFC 9112 6.1: identity, then chunked", b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n"),
    coded("RFC 9112 6.1: chunked, then nothing", b"Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n"),
    coded("RFC 9112 6.1: nothing, then chunked", b"Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n"),
    coded("RFC 9112 6.1: two lines in another case", b"Transfer-Encoding: x\r\ntransfer-encoding: chunked\r\n"),
    *(
        coded(f"RFC 9112 7: {value!r}", b"Transfer-Encoding: " + value + b"\r\n")
        for value in (
            b"",
            b"identity",
            b"gzip",
            b"x",
            b"gzip, chunked",
            b"identity, chunked",
            b"chunked, identity",
            b"chunked, gzip",
            b"chunked, chunked",
            b"chunked,",
            b",chunked",
            b", chunked",
            b"chunked, ,",
            b"chunked;q=1",
            b"chunked;",
            b"chunked; x=y",
            b"chunked chunked",
            b"chunked\tx",
            b"xchunked",
            b"chunkedx",
            b"chunke",
            b"chunked0",
            b"chunk ed",
            b"x chunked",
            b'"chunked"',
            b"'chunked'",
            b"(chunked)",
            b"\x0bchunked",
            b"\x0cchunked",
            b"chunked\x0b",
            b"chunked\x0c",
            b"\x00chunked",
            b"chunked\x00",
            b"\x01chunked",
            b"\x7fchunked",
            b"\xa0chunked",
            b"chunked\xa0",
            b"\xefchunked",
            b"\xc4\x87hunked",
            b"chun\xe2\x84\xaaed",
            b"\rchunked",
            b"chunked\r",
            b"\nchunked",
            b"\r\n chunked",
            b"chunked\r\n ",
            b"chunked\r\n , identity",
        )
    ),
    coded("RFC 9112 5.1: a space before the colon", b"Transfer-Encoding : chunked\r\n"),
    coded("RFC 9112 5.1: a tab before the colon", b"Transfer-Encoding\t: chunked\r\n"),
    coded("RFC 9112 5.1: a vertical tab before the colon", b"Transfer-Encoding\x0b: chunked\r\n"),
    coded("RFC 9112 5.1: a NUL before the colon", b"Transfer-Encoding\x00: chunked\r\n"),
    coded("RFC 9112 5.1: a CR before the colon", b"Transfer-Encoding\r: chunked\r\n"),
    coded("RFC 9112 5.1: a no-break space before the colon", b"Transfer-Encoding\xa0: chunked\r\n"),
    coded("RFC 9112 5: a space for the colon", b"Transfer-Encoding chunked\r\n"),
    coded("RFC 9112 5: an equals sign for the colon", b"Transfer-Encoding=chunked\r\n"),
    coded("RFC 9112 2.2: a space before the name", b" Transfer-Encoding: chunked\r\n"),
    coded("RFC 9112 2.2: a NUL before the name", b"\x00Transfer-Encoding: chunked\r\n"),
    coded("RFC 9112 2.2: hidden after a bare CR", b"X: y\rTransfer-Encoding: chunked\r\n"),
    coded("RFC 9112 2.2: hidden after a bare LF", b"X: y\nTransfer-Encoding: chunked\r\n"),
    coded("CGI's spelling: Transfer_Encoding", b"Transfer_Encoding: chunked\r\n"),
    coded("CGI's spelling beside a length", b"Content-Length: 5\r\ntransfer_encoding: chunked\r\n"),
    coded("PHP's spelling: Transfer.Encoding", b"Transfer.Encoding: chunked\r\n"),
    Refused(
        "RFC 9112 6.1: HTTP/1.0",
        b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + NEXT,
    ),
    Refused(
        "RFC 9112 6.1: HTTP/1.0 that is kept alive",
        b"POST / HTTP/1.0\r\n" + HOST + b"Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + NEXT,
    ),
]

EXPECTATIONS = [
    sized(f"RFC 9110 10.1.1: {value!r}", b"Expect: " + value + b"\r\nContent-Length: 5\r\n", 400, 417)
    for value in (
        b"",
        b"100",
        b"100-continue, x",
        b"x, 100-continue",
        b"100-continue;q=1",
        b'"100-continue"',
        b"x 100-continue",
        b"100 continue",
        b"200-ok",
        b"\x0b100-continue",
        b"\r\n 100-continue",
    )
]

SIZES = [
    line("RFC 9110 5.4: too many fields", b"X: y\r\n" * 100, 431),
    line("RFC 9110 5.4: too many empty ones", b"X:\r\n" * 10_000, 431),
    line("RFC 9110 5.4: a value that is too long", b"X: " + b"y" * 70_000 + b"\r\n", 431),
    line("RFC 9110 5.4: a name that is too long", b"X" * 70_000 + b": y\r\n", 431),
    Refused("RFC 9112 3: a target that is too long", b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", (414, 431)),
    Refused("RFC 9112 3: a method that is too long", b"X" * 70_000 + b" / HTTP/1.1\r\n\r\n", (400, 414, 431, 501)),
]

# Each table by what it is about.
IN_THE_HEAD = {
    "start lines": START_LINES,
    "field lines": FIELD_LINES,
    "hosts": HOSTS,
    "lengths": LENGTHS,
    "codings": CODINGS,
    "expectations": EXPECTATIONS,
    "sizes": SIZES,
}
