"""Odd requests that are clear all the same, and exactly what goes upstream for each.

`<own>` stands for the Host value of the listener. The upstream's Host comes first in what goes upstream, and the
token last; both are left out here.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.attack.requests_to_refuse import HOST, NEXT


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it goes upstream: its start line, its field lines, its body, its trailers."""

    start: bytes
    lines: tuple[bytes, ...] = ()
    body: bytes = b""
    trailers: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Passed:
    """What an app sends, and what goes upstream for it.

    Args:
        source: why it is clear.
        raw: the bytes, on one connection.
        sent: each request that goes upstream.
        refused: whether what follows these is refused.
        stays: whether the connection may carry another request.
    """

    source: str
    raw: bytes
    sent: tuple[Sent, ...]
    refused: bool = False
    stays: bool = True


PLAIN = Sent(b"GET / HTTP/1.1")
CHUNKED_LINE = b"Transfer-Encoding: chunked"


def get(source: str, lines: bytes, *sent: bytes, stays: bool = True) -> Passed:
    """Return a GET with these lines, and those of them that go upstream."""
    return Passed(source, b"GET / HTTP/1.1\r\n" + HOST + lines + b"\r\n", (Sent(b"GET / HTTP/1.1", sent),), stays=stays)


def start(source: str, line: bytes, sent: bytes | None = None, *, stays: bool = True) -> Passed:
    """Return a request with this start line, and the one that goes upstream."""
    return Passed(source, line + b"\r\n" + HOST + b"\r\n", (Sent(line if sent is None else sent),), stays=stays)


def post(source: str, lines: bytes, content: bytes, body: bytes, *sent: bytes) -> Passed:
    """Return a POST with these lines and content, and the body and lines that go upstream; a GET follows it."""
    raw = b"POST / HTTP/1.1\r\n" + HOST + lines + b"\r\n" + content
    return Passed(source, raw + b"GET / HTTP/1.1\r\n" + HOST + b"\r\n", (Sent(b"POST / HTTP/1.1", sent, body), PLAIN))


def chunks(source: str, content: bytes, body: bytes, *trailers: bytes) -> Passed:
    """Return a POST with this chunked content, and the body and trailers that go upstream; a GET follows it."""
    raw = b"POST / HTTP/1.1\r\n" + HOST + CHUNKED_LINE + b"\r\n\r\n" + content
    sent = Sent(b"POST / HTTP/1.1", (CHUNKED_LINE,), body, trailers)
    return Passed(source, raw + b"GET / HTTP/1.1\r\n" + HOST + b"\r\n", (sent, PLAIN))


START_LINES = [
    *(
        start("RFC 9110 9.1: a method is any token", method + b" / HTTP/1.1")
        for method in (
            b"GET",
            b"PROPFIND",
            b"M-SEARCH",
            b"QUERY",
            b"SOURCE",
            b"FOO",
            b"get",
            b"Get",
            b"GETS",
            b"G",
            b"POSTAL",
            b"PRIM",
            b"TRACER",
            b"X" * 300,
            b"!#$%&'*+-.^_`|~09azAZ",
        )
    ),
    start("RFC 9112 3.2: odd but legal", b"GET /a//b/;c=d/%2e%2E/*?e=/?&f=:@!$&'()*+,;=-._~ HTTP/1.1"),
    start("WHATWG URL: what browsers leave as it is", b'GET /"<>\\^`{|}[] HTTP/1.1'),
    start("RFC 9112 3: 8,000 octets should do", b"GET /" + b"x" * 8000 + b" HTTP/1.1"),
    start("RFC 9112 3.2.2: our own authority", b"GET http://<own>/a HTTP/1.1", b"GET /a HTTP/1.1"),
    start("RFC 9110 4.2.3: no path is /", b"GET http://<own> HTTP/1.1", b"GET / HTTP/1.1"),
    start("RFC 9110 4.2.3: no path before a query", b"GET http://<own>?a/b?c HTTP/1.1", b"GET /?a/b?c HTTP/1.1"),
    start("RFC 9110 4.2.3: an empty query", b"GET http://<own>? HTTP/1.1", b"GET /? HTTP/1.1"),
    start("RFC 9110 4.2.3: a scheme in another case", b"GET HTTP://<own>/a HTTP/1.1", b"GET /a HTTP/1.1"),
    Passed("RFC 9112 2.2: an empty line before it", b"\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n", (PLAIN,)),
    Passed("RFC 9112 2.2: several", b"\r\n\r\n\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n", (PLAIN,)),
    Passed("RFC 9112 2.5: HTTP/1.0", b"GET / HTTP/1.0\r\n" + HOST + b"\r\n", (PLAIN,), stays=False),
    Passed(
        "RFC 9112 9.3: HTTP/1.0 that is kept alive",
        b"GET / HTTP/1.0\r\n" + HOST + b"Connection: Keep-Alive\r\n\r\n",
        (PLAIN,),
    ),
    Passed(
        "RFC 9110 7.8: an upgrade is ignored in HTTP/1.0",
        b"GET / HTTP/1.0\r\n" + HOST + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        (PLAIN,),
        stays=False,
    ),
    Passed(
        "RFC 9110 10.1.1: an expectation is ignored in HTTP/1.0",
        b"POST / HTTP/1.0\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
        (Sent(b"POST / HTTP/1.1", (b"Content-Length: 5",), b"hello"),),
        stays=False,
    ),
]

FIELD_LINES = [
    get("RFC 9110 5.5: white space around a value", b"X:y\r\nX: \t y \t\r\n", b"X:y", b"X: \t y \t"),
    get("RFC 9110 5.5: empty values", b"X:\r\nX: \r\n", b"X:", b"X: "),
    get("RFC 9110 5.5: bytes that are not ASCII", b"X: \x80\xff\xc3\xa9\r\n", b"X: \x80\xff\xc3\xa9"),
    get("RFC 9110 5.6.2: every character of a token", b"!#$%&'*+-.^_`|~09azAZ: y\r\n", b"!#$%&'*+-.^_`|~09azAZ: y"),
    get("RFC 9110 5.3: duplicates, in order", b"X: 1\r\nY: 2\r\nx: 3\r\n", b"X: 1", b"Y: 2", b"x: 3"),
    get("RFC 9110 5.4: a line of 9 KiB", b"X: " + b"y" * 9216 + b"\r\n", b"X: " + b"y" * 9216),
    get("RFC 9110 5.4: 99 fields", b"X: y\r\n" * 99, *[b"X: y"] * 99),
    get("a name that only ends like one that matters", b"X-Content-Length: 5\r\n", b"X-Content-Length: 5"),
    get("a name that only begins like one", b"Content-Length-X: 5\r\n", b"Content-Length-X: 5"),
    get("a value that looks like a field", b"X: Content-Length: 5\r\n", b"X: Content-Length: 5"),
    get(
        "RFC 9110 7.6.1: nominated fields end here",
        b"Connection: x-y, Cookie\r\nX-Y: 1\r\nCookie: a\r\nZ: 1\r\n",
        b"Z: 1",
    ),
    get("RFC 9110 7.6.1: nominated twice over, and empty", b"Connection: ,x,,x,\r\nX: 1\r\nconnection: y\r\nY: 1\r\n"),
    get("RFC 9110 7.6.1: Host is not for Connection", b"Connection: host\r\n"),
    get(
        "RFC 9110 7.6.1: Authorization is ours, nominated or not", b"Connection: authorization\r\nAuthorization: a\r\n"
    ),
    get("RFC 9110 10.1.4: TE ends here", b"TE: trailers\r\n"),
    get("RFC 9110 10.1.4: no coding is taken", b"Connection: TE\r\nTE: deflate;q=0.5\r\n"),
    get(
        "RFC 9110 10.1.4: that trailers are taken is said for the next hop, and no more",
        b"Connection: TE\r\nTE: trailers, deflate;q=0.5\r\n",
        b"Connection: TE",
        b"TE: trailers",
    ),
    get("RFC 9112 C.2.2: Proxy-Connection ends here", b"Proxy-Connection: close\r\n"),
    get("RFC 9112 9.6: close", b"Connection: close\r\n", stays=False),
    get("RFC 9112 9.6: close, among others", b"Connection: x, Close\r\nX: y\r\n", stays=False),
    get("RFC 9112 9.6: close outranks keep-alive", b"Connection: close\r\nConnection: keep-alive\r\n", stays=False),
    *(
        get(
            f"RFC 9110 7.8: an offer of HTTP/2 is dropped: {value!r}",
            b"Connection: Upgrade\r\nUpgrade: " + value + b"\r\n",
        )
        for value in (
            b"h2c",
            b"H2C",
            b"h2c,",
            b",h2c",
            b"h2c, h2c",
            b"h2c/1",
            b" h2c\t",
            b"h2c\r\nUpgrade: h2c",
            b"HTTP/2.0",
            b"h2",
            b"http/2, H3/1",
        )
    ),
    *(
        get(
            f"RFC 9110 7.8: the others are passed on: {value!r}",
            b"Connection: Upgrade\r\nUpgrade: " + value + b"\r\n",
            b"Connection: Upgrade",
            b"Upgrade: a, b",
        )
        for value in (
            b"a, b",
            b"a,b",
            b"h2c, a, b",
            b"a,h2c,b",
            b"a, HTTP/2.0, b",
            b"a\r\nUpgrade: b",
            b"a\r\nUpgrade: h2c\r\nUpgrade: b",
        )
    ),
    get("RFC 9110 7.8: an offer that Connection does not name is dropped", b"Upgrade: websocket\r\n"),
    get("RFC 9110 6.6.2: Trailer passes", b"Trailer: X-Sum\r\n", b"Trailer: X-Sum"),
]

LENGTHS = [
    post("RFC 9110 8.6: plain", b"Content-Length: 5\r\n", b"hello", b"hello", b"Content-Length: 5"),
    post("RFC 9110 8.6: without a space", b"content-length:5\r\n", b"hello", b"hello", b"content-length:5"),
    post("RFC 9110 8.6: none", b"Content-Length: 0\r\n", b"", b"", b"Content-Length: 0"),
    post("RFC 9110 8.6: no length at all", b"X: y\r\n", b"", b"", b"X: y"),
    post("RFC 9110 8.6: leading zeros go", b"Content-Length: 0005\r\n", b"hello", b"hello", b"Content-Length: 5"),
    post("RFC 9110 8.6: 010 is ten", b"Content-Length: 010\r\n", b"ten bytes!", b"ten bytes!", b"Content-Length: 10"),
    post("RFC 9110 8.6: zeros are nothing", b"Content-Length: 000\r\n", b"", b"", b"Content-Length: 0"),
    post("RFC 9110 5.5: a tab before", b"Content-Length:\t5\r\n", b"hello", b"hello", b"Content-Length: 5"),
    post("RFC 9110 5.5: white space after", b"CONTENT-LENGTH: 5 \t\r\n", b"hello", b"hello", b"CONTENT-LENGTH: 5"),
    post("RFC 9112 6.3: a request as a body", b"Content-Length: 21\r\n", NEXT[:21], NEXT[:21], b"Content-Length: 21"),
    post(
        "RFC 9110 7.6.1: a length is not for Connection",
        b"Connection: content-length\r\nContent-Length: 5\r\n",
        b"hello",
        b"hello",
        b"Content-Length: 5",
    ),
    Passed(
        "RFC 9110 9.3.1: a GET with a body",
        b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n" + HOST + b"\r\n",
        (Sent(b"GET / HTTP/1.1", (b"Content-Length: 5",), b"hello"), PLAIN),
    ),
    Passed(
        "RFC 9110 9.3.5: a DELETE with a chunked body",
        b"DELETE / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        (Sent(b"DELETE / HTTP/1.1", (CHUNKED_LINE,), b"hello"),),
    ),
    Passed(
        "RFC 9112 6.3: what follows a GET without a length is the next request",
        b"GET / HTTP/1.1\r\n" + HOST + b"\r\nhello\r\n\r\n",
        (PLAIN,),
        refused=True,
    ),
    Passed(
        "RFC 9112 6.3: a body is not longer than its length",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello!GET / HTTP/1.1\r\n\r\n",
        (Sent(b"POST / HTTP/1.1", (b"Content-Length: 5",), b"hello"),),
        refused=True,
    ),
    Passed(
        "RFC 9110 7.8: an upgrade that brings a body, and is not taken",
        b"POST / HTTP/1.1\r\n"
        + HOST
        + b"Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n"
        + HOST
        + b"\r\n",
        (
            Sent(b"POST / HTTP/1.1", (b"Content-Length: 5", b"Connection: Upgrade", b"Upgrade: x"), b"hello"),
            PLAIN,
        ),
    ),
    Passed(
        "RFC 9110 10.1.1: an expectation, with its body at once",
        b"POST / HTTP/1.1\r\n" + HOST + b"Expect: 100-Continue\r\nContent-Length: 5\r\n\r\nhello",
        (Sent(b"POST / HTTP/1.1", (b"Expect: 100-Continue", b"Content-Length: 5"), b"hello"),),
    ),
    Passed(
        "RFC 9112 9.6: nothing is read after a request that is the last",
        b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n" + NEXT,
        (PLAIN,),
        stays=False,
    ),
    Passed(
        "RFC 9112 9.3.2: pipelined, with junk after",
        (b"GET / HTTP/1.1\r\n" + HOST + b"\r\n") * 3 + b"\x00" + NEXT,
        (PLAIN,) * 3,
        refused=True,
    ),
]

CODINGS = [
    post(f"RFC 9112 7: {value!r}", b"Transfer-Encoding:" + value + b"\r\n", b"0\r\n\r\n", b"", sent)
    for value, sent in (
        (b" chunked", CHUNKED_LINE),
        (b"chunked", b"Transfer-Encoding:chunked"),
        (b" CHUNKED", CHUNKED_LINE),
        (b" Chunked", CHUNKED_LINE),
        (b"\tchunked", CHUNKED_LINE),
        (b"  chunked", CHUNKED_LINE),
        (b" chunked  ", CHUNKED_LINE),
    )
] + [
    post(
        "RFC 9110 5.1: a name in another case",
        b"tRANSFER-eNCODING: chunked\r\n",
        b"0\r\n\r\n",
        b"",
        b"tRANSFER-eNCODING: chunked",
    ),
    post(
        "RFC 9110 7.6.1: a coding is not for Connection",
        b"Connection: Transfer-Encoding, x\r\nTransfer-Encoding: chunked\r\nX: y\r\n",
        b"0\r\n\r\n",
        b"",
        CHUNKED_LINE,
    ),
]

CHUNKS = [
    chunks("RFC 9112 7.1: one", b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    chunks("RFC 9112 7.1: none", b"0\r\n\r\n", b""),
    chunks(
        "RFC 9112 7.1: hexadecimal in both cases", b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", b"0123456789" * 2
    ),
    chunks("RFC 9112 7.1: leading zeros", b"0000000000000005\r\nhello\r\n000\r\n\r\n", b"hello"),
    chunks(
        "RFC 9112 7.1: the same size twice, and another",
        b"1\r\na\r\n1\r\nb\r\n2\r\ncd\r\n1\r\ne\r\n0\r\n\r\n",
        b"abcde",
    ),
    chunks(
        "RFC 9112 7.1: data that looks like framing", b"a\r\n\r\n0\r\n\r\n\r\nx\r\n0\r\n\r\n", b"\r\n0\r\n\r\n\r\nx"
    ),
    chunks("RFC 9112 7.1: a request as data", b"15\r\n" + NEXT[:21] + b"\r\n0\r\n\r\n", NEXT[:21]),
    chunks("RFC 9112 7.1.1: extensions end here", b'5;a;b=c;d="e \\" f"\r\nhello\r\n0;g=h\r\n\r\n', b"hello"),
    chunks("RFC 9112 7.1.1: white space around them", b"5 ; a = b\r\nhello\r\n0\t;c\r\n\r\n", b"hello"),
    chunks("RFC 9112 7.1.1: an empty one, as some send", b"5;\r\nhello\r\n0\r\n\r\n", b"hello"),
    chunks("RFC 9112 7.1.1: one that is not ASCII", b'5;x="\xe9"\r\nhello\r\n0\r\n\r\n', b"hello"),
    chunks("RFC 9112 7.1.2: trailers", b"0\r\nX-Sum: a\r\nx-sum: b\r\n\r\n", b"", b"X-Sum: a", b"x-sum: b"),
    chunks("RFC 9112 7.1.2: 100 trailers", b"0\r\n" + b"X: y\r\n" * 100 + b"\r\n", b"", *[b"X: y"] * 100),
    *(
        chunks("RFC 9110 6.5.1: no field for a trailer", b"0\r\nX: y\r\n" + name + b": 5\r\n\r\n", b"", b"X: y")
        for name in (
            b"Content-Length",
            b"content_length",
            b"Host",
            b"Authorization",
            b"authorization",
            b"Connection",
            b"Trailer",
            b"TE",
            b"Keep-Alive",
            b"Expect",
            b"Cookie",
            b"Content-Type",
            b"content.type",
            b"Content-Encoding",
            b"Content-Range",
            b"Cache-Control",
            b"Range",
            b"If-Match",
            b"Max-Forwards",
            b"Origin",
            b"Proxy-Authorization",
            b"Set-Cookie",
            b"Upgrade",
        )
    ),
]

# Each table by what it is about.
CLEAR = {
    "start lines": START_LINES,
    "field lines": FIELD_LINES,
    "lengths": LENGTHS,
    "codings": CODINGS,
    "chunks": CHUNKS,
}
