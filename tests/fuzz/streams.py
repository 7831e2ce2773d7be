"""Streams of requests and responses: honest ones by the grammar, and ones damaged where their framing stands.

All from a seeded random number generator, so that a failure names a seed that brings it back.
"""

from __future__ import annotations

import random
import re

from tests.fuzz.in_memory import AUTHORITY, split

# Stands in every value and body; it must never stand in a log line.
CANARY = b"canary"

METHODS = (b"GET", b"GET", b"POST", b"POST", b"PUT", b"HEAD", b"DELETE", b"OPTIONS", b"PATCH", b"PROPFIND")
PATHLESS = (b"http://a", b"http://a?x/y")
TARGETS = (
    *(b"/", b"/canary", b"/a?b=c&d", b"/%2e%2e/x", b"/a//b/../c;d=1", b"/?", b"/%00", b"/*", b"/a\\b|c^d`e{f}"),
    *(b"http://a/abs", b"http://A/", b"HTTP://a/x?http://b/", *PATHLESS),
)
FIELDS = (
    *(b"X-A: canary", b"x-a:canary", b"X_A: 1", b"X-Empty:", b"X-Space:  canary \t", b"Accept: */*", b"Cookie: a=b"),
    *(b"Connection: keep-alive", b"Connection: close", b"Connection: X-A", b"Keep-Alive: timeout=5", b"TE: trailers"),
    *(b"Authorization: canary", b"authorization: canary", b"Sidecar-Token: canary", b"Trailer: X-Sum", b"X-High: \xe9"),
    *(b"Upgrade: websocket", b"Connection: Upgrade", b"Upgrade: h2c", b"Proxy-Connection: close", b"Range: bytes=0-1"),
    *(b"Expect: 100-continue", b"Content-Encoding: gzip", b"Content-Type: text/plain", b"Proxy-Connection: keep-alive"),
)
# What attacks on framing are made of (RFC 9112 6 and 11.2, and the desync papers).
NASTY_LINES = (
    *(b"Content-Length: 0", b"Content-Length: 5", b"Content-Length: 05", b"Content-Length: +5", b"Content-Length: -1"),
    *(
        b"Content-Length: 5, 5",
        b"Content-Length: 5 5",
        b"Content-Length:",
        b"Content-Length: 0x5",
        b"Content-Length: 5;",
    ),
    *(
        b"Content-Length : 5",
        b"Content-Length\t: 5",
        b" Content-Length: 5",
        b"Content-Length: \x0b5",
        b"content_length: 5",
    ),
    *(b"Content-Length: 18446744073709551621", b"Content-Length: 99999999999999999999999", b"Content-Length: 5\xa0"),
    *(
        b"Content.Length: 5",
        b"Content-Length\x00: 5",
        b"Content-Length: 5\x00",
        b"Content-Length: 1_0",
        b"CONTENT-LENGTH: 3",
    ),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked, chunked", b"Transfer-Encoding: identity"),
    *(b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: chunked, gzip", b"Transfer-Encoding: xchunked"),
    *(b"Transfer-Encoding : chunked", b"Transfer-Encoding:\tchunked", b"Transfer-Encoding: \x0bchunked"),
    *(
        b"Transfer-Encoding: Chunked",
        b"Transfer-Encoding:chunked ",
        b'Transfer-Encoding: "chunked"',
        b"Transfer-Encoding:",
    ),
    *(b"transfer_encoding: chunked", b"Transfer-Encoding: chunked;q=1", b"Transfer-Encoding: ,chunked"),
    *(b"Transfer-Encoding\r\n : chunked", b"Transfer-Encoding:\r\n chunked", b"X: y\r\n Transfer-Encoding: chunked"),
    *(b"Transfer-Encoding: chunked\x00", b"Transfer-Encoding\x00: chunked", b"\x00Transfer-Encoding: chunked"),
    *(b"X: y\nTransfer-Encoding: chunked", b"X: y\rTransfer-Encoding: chunked", b"X: y\n\nGET /evil HTTP/1.1"),
    *(b"Connection: Content-Length", b"Connection: Transfer-Encoding", b"Connection: Host, close", b"Connection: a,,b"),
    *(
        b"Connection: Authorization, Expect",
        b"Connection: upgrade, X-A",
        b"Connection: chunked",
        b"Connection: \x0bclose",
    ),
    *(
        b"Host: b",
        b"Host: a",
        b"Host : a",
        b" Host: a",
        b"Host:",
        b"host:\ta",
        b"HOST: a:80",
        b"Host: a, b",
        b"X:\xff\xfe",
    ),
    *(
        b"Expect: 100-Continue",
        b"Expect: 200",
        b"no colon",
        b": no name",
        b"X Y: z",
        b"X\x80: y",
        b"X: \x7f",
        b"X: \x01",
    ),
)
SPLINTERS = (
    *(b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\n\n", b"\r\r\n", b" ", b"\t", b":", b"\x00", b"0", b"1", b"f", b",", b";"),
    *(
        b"\x0b",
        b"\x0c",
        b"\x7f",
        b"\x80",
        b"\xa0",
        b"\xff",
        b"0\r\n\r\n",
        b"GET /evil HTTP/1.1\r\nHost: a\r\n\r\n",
        b"x",
    ),
    *(b"5\r\nhello\r\n", b" HTTP/1.1\r\n", b"HTTP/1.0", b"HTTP/1.1 200 OK\r\n\r\n", b"#", b"_", b"-", b"+", b'"'),
)
_AIMED_AT = re.compile(
    rb"\r\n|:|[0-9A-Fa-f]+\r\n|content-length[^\r]*|transfer-encoding[^\r]*|HTTP/1\.\d|connection[^\r]*", re.IGNORECASE
)


def sized_or_chunked(rng: random.Random, body: bytes) -> tuple[bytes, bytes]:
    """Return the field line that frames a body, and the body in that framing."""
    if rng.random() < 0.5:
        return b"Content-Length: %d\r\n" % len(body), body
    return b"Transfer-Encoding: chunked\r\n", chunked(rng, body)


def chunked(rng: random.Random, body: bytes) -> bytes:
    """Return a body in chunks of any size, with what RFC 9112 7.1 allows around them."""
    parts = []
    while body:
        size = rng.randint(1, len(body))
        digits = rng.choice((b"%x", b"%X", b"0%x", b"000%x")) % size
        parts += [digits, _extension(rng), b"\r\n", body[:size], b"\r\n"]
        body = body[size:]
    trailers = rng.choice((b"", b"", b"", b"X-Sum: canary\r\n", b"X-Sum: 1\r\nContent-Length: 3\r\nX-B:\r\n"))
    return b"".join((*parts, rng.choice((b"0", b"0", b"00")), _extension(rng), b"\r\n", trailers, b"\r\n"))


def _extension(rng: random.Random) -> bytes:
    return rng.choice((b"", b"", b"", b"", b";x", b"; x=canary", b' ;x="a b"', b";"))


def request(rng: random.Random) -> bytes:
    """Return one request that every server understands."""
    method, target = rng.choice(METHODS), rng.choice(TARGETS)
    if method == b"OPTIONS" and target in PATHLESS:
        target = b"/"  # the other is about a whole server, and refused
    version = b"HTTP/1.1"
    fields = [rng.choice(FIELDS) + b"\r\n" for _ in range(rng.choice((0, 0, 1, 2, 3)))]
    body = b""
    if rng.random() < (0.7 if method in (b"POST", b"PUT", b"PATCH") else 0.1):
        framing, body = sized_or_chunked(rng, CANARY * rng.choice((0, 1, 1, 2, 40)))
        fields.insert(rng.randint(0, len(fields)), framing)
    elif rng.random() < 0.05:
        version = b"HTTP/1.0"
    fields.insert(rng.randint(0, len(fields)), b"Host: " + AUTHORITY + b"\r\n")
    return b"".join((method, b" ", target, b" ", version, b"\r\n", *fields, b"\r\n", body))


def requests(rng: random.Random) -> bytes:
    """Return one to three requests in a row."""
    return b"".join(request(rng) for _ in range(rng.choice((1, 1, 2, 2, 3))))


STATUSES = (
    *(
        b"200 OK",
        b"200 OK",
        b"200 OK",
        b"201 Created",
        b"204 No Content",
        b"304 Not Modified",
        b"404 Not Found",
        b"200",
    ),
    *(b"205 Reset Content", b"500 Oh no", b"299 ", b"206 Partial Content", b"401 Who", b"418 I'm  a teapot\xe9"),
)
_NO_BODY = (b"204", b"304")
INTERIM = (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </canary>\r\n\r\n")


def response(rng: random.Random, method: bytes) -> bytes:
    """Return one response to a request with this method, with interim ones before it at times."""
    status = rng.choice(STATUSES)
    version = rng.choice((b"HTTP/1.1",) * 9 + (b"HTTP/1.0",))
    fields = [rng.choice(FIELDS) + b"\r\n" for _ in range(rng.choice((0, 0, 1, 2, 3)))]
    content = CANARY * rng.choice((0, 1, 1, 2, 40))
    if rng.random() < 0.85:
        framing, body = sized_or_chunked(rng, content)
        if version == b"HTTP/1.0":
            framing, body = b"Content-Length: %d\r\n" % len(content), content
        if status[:3] != b"204":
            fields.insert(rng.randint(0, len(fields)), framing)
    else:
        body = content
    if method == b"HEAD" or status[:3] in _NO_BODY:
        body = b""
    interim = b"".join(rng.choice(INTERIM) for _ in range(rng.choice((0,) * 8 + (1, 2))))
    return b"".join((interim, version, b" ", status, b"\r\n", *fields, b"\r\n", body))


def damaged(rng: random.Random, stream: bytes, most: int = 3) -> bytes:
    """Return a stream with one to `most` things done to it, most of them near what frames it."""
    for _ in range(rng.randint(1, most)):
        stream = rng.choice(_DAMAGES)(rng, stream)
    return stream


def _spot(rng: random.Random, stream: bytes) -> int:
    spots = [at for match in _AIMED_AT.finditer(stream) for at in match.span()]
    return rng.choice(spots) if spots and rng.random() < 0.8 else rng.randint(0, len(stream))


def _insert(rng: random.Random, stream: bytes) -> bytes:
    at = _spot(rng, stream)
    return stream[:at] + rng.choice(SPLINTERS) + stream[at:]


def _replace(rng: random.Random, stream: bytes) -> bytes:
    at = _spot(rng, stream)
    return stream[:at] + rng.choice(SPLINTERS) + stream[at + rng.choice((1, 1, 1, 2, 4)) :]


def _remove(rng: random.Random, stream: bytes) -> bytes:
    at = _spot(rng, stream)
    return stream[:at] + stream[at + rng.choice((1, 1, 1, 2, 4, 30)) :]


def _byte(rng: random.Random, stream: bytes) -> bytes:
    at = _spot(rng, stream)
    return stream[:at] + bytes((rng.randrange(256),)) + stream[at + rng.randint(0, 1) :]


def _line(rng: random.Random, stream: bytes) -> bytes:
    ends = [match.end() for match in re.finditer(rb"\r\n", stream)] or [0]
    at = rng.choice(ends)
    return stream[:at] + rng.choice(NASTY_LINES) + b"\r\n" + stream[at:]


def _instead_of_a_line(rng: random.Random, stream: bytes) -> bytes:
    lines = stream.split(b"\r\n")
    lines[rng.randrange(len(lines))] = rng.choice(NASTY_LINES)
    return b"\r\n".join(lines)


def _repeat_a_line(rng: random.Random, stream: bytes) -> bytes:
    lines = stream.split(b"\r\n")
    lines.insert(rng.randint(0, len(lines)), rng.choice(lines))
    return b"\r\n".join(lines)


def _swap_lines(rng: random.Random, stream: bytes) -> bytes:
    lines = stream.split(b"\r\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\r\n".join(lines)


def _line_end(rng: random.Random, stream: bytes) -> bytes:
    ends = [match.start() for match in re.finditer(rb"\r\n", stream)] or [0]
    at = rng.choice(ends)
    return (
        stream[:at] + rng.choice((b"\n", b"\r", b"\r\r\n", b"\n\r\n", b"\r\n ", b" \r\n", b"\r\n\t")) + stream[at + 2 :]
    )


def _number(rng: random.Random, stream: bytes) -> bytes:
    numbers = list(re.finditer(rb"[0-9A-Fa-f]+(?=[\r; ])", stream))
    if not numbers:
        return stream
    number = rng.choice(numbers)
    new = rng.choice(
        (b"0", b"1", b"5", b"6", b"7", b"ffffffffffffffff", b"10000000000000005", b"-1", b"+6", b"0x6", b"6 ")
    )
    return stream[: number.start()] + new + stream[number.end() :]


def _cut_short(rng: random.Random, stream: bytes) -> bytes:
    return stream[: _spot(rng, stream)]


def _case(rng: random.Random, stream: bytes) -> bytes:
    at = _spot(rng, stream)
    return stream[:at] + stream[at : at + 8].swapcase() + stream[at + 8 :]


def _reframe(rng: random.Random, stream: bytes) -> bytes:
    """Another line of the same kind in place of one that frames a message, or another version."""
    found = list(re.finditer(rb"(?i)content-length:[^\r]*|transfer-encoding:[^\r]*|HTTP/1\.1", stream))
    if not found:
        return stream
    line = rng.choice(found)
    kind = line[0][:8].lower()
    alike = [nasty for nasty in NASTY_LINES if nasty[:8].lower().replace(b"_", b"-") == kind] or [b"HTTP/1.0"]
    return stream[: line.start()] + rng.choice(alike) + stream[line.end() :]


_DAMAGES = (
    *(_insert, _replace, _remove, _byte, _line, _line, _instead_of_a_line, _repeat_a_line, _swap_lines, _line_end),
    *(_number, _cut_short, _case, _reframe, _reframe),
)


def segments(rng: random.Random, stream: bytes) -> list[bytes]:
    """Return a stream in the pieces in which it may arrive."""
    kind = rng.random()
    if kind < 0.4 or not stream:
        return [stream] if stream else []
    if kind < 0.45:
        return [stream[at : at + 1] for at in range(len(stream))]
    cuts = sorted(rng.randint(1, len(stream)) for _ in range(rng.randint(1, 5)))
    return split(stream, cuts)
