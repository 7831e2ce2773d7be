"""HTTP/1.1 as bytes: heads and body framing, both sides. No sockets, no timers, no policy.

llhttp judges a head, we cut it. A head is found by its empty line and fed to
llhttp (strict, no leniency) in one piece; what it accepts has CRLF line ends
only, no folded lines, no white space before a colon, no control characters,
and at most one framing. That makes cutting it at `\r\n` and at the first `:`
exact, and keeps every line as it was received. llhttp is given no callbacks:
the values are taken from the very bytes that it judged, so a second, pipelined
message can never overwrite those of the first.

Bodies are framed here rather than by llhttp, because it cannot stop at the
end of a message: what follows belongs to the next request, and is not read
before this one has been answered.

Source: RFC 9112 sections 2 to 7, RFC 9110 sections 5, 6.5 and 7.6.1.
"""

from __future__ import annotations

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, HttpResponseParser

from sidecar.errors import BadRequest, UpstreamProtocol
from sidecar.messages import NOTHING, Line, RequestHead, ResponseHead

END_OF_HEAD = b"\r\n\r\n"
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\n"
# One chunk's size line with its extensions. Extensions are dropped (RFC 9112 7.1.1 allows it), so a long one is only a burden;
# Node bounds them all together at 16 KiB after CVE-2024-22019.
CHUNK_LINE_BYTES = 256
CHUNK_EXTENSION_BYTES = 16 * 1024
TRAILER_BYTES = 16 * 1024

_FOLD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ_.", b"abcdefghijklmnopqrstuvwxyz--")
# Fields that a request's head holds in attributes, or that never pass (RFC 9110 7.6.1; HTTP2-Settings: RFC 7540 3.2.1).
_REQUEST_SPECIAL = frozenset(
    (b"host", b"connection", b"content-length", b"transfer-encoding", b"upgrade", b"expect", b"origin", b"sec-fetch-site")
    + (b"keep-alive", b"proxy-connection", b"te", b"proxy-authorization", b"http2-settings", b"proxy")
)
# A reflected Authorization would hand the token to the app.
_RESPONSE_SPECIAL = frozenset(
    (b"connection", b"content-length", b"transfer-encoding", b"upgrade")
    + (b"keep-alive", b"proxy-connection", b"te", b"proxy-authenticate", b"proxy-authentication-info", b"authorization")
)
# An alias of these (`Content_Length`) would be framing to some servers and not to us: refused.
_FRAMING = frozenset((b"content-length", b"transfer-encoding", b"host"))
# RFC 9110 6.5.1: fields that a trailer may not hold because they route, frame or authenticate the message.
_NEVER_A_TRAILER = _REQUEST_SPECIAL | _RESPONSE_SPECIAL | frozenset((b"trailer", b"set-cookie", b"cache-control"))
_DIGITS = frozenset(b"0123456789abcdefABCDEF")


class _Silent:
    """llhttp's listener that listens to nothing; the attributes spare it eight failing look-ups."""

    on_message_begin = on_url = on_status = on_header = on_headers_complete = None
    on_body = on_message_complete = on_chunk_header = on_chunk_complete = None


_SILENT = _Silent()


class RequestReader:
    """Turns the bytes of one request head into a `RequestHead`.

    Args:
        most_fields: how many field lines a head may have.
    """

    def __init__(self, most_fields: int) -> None:
        self._most_fields = most_fields
        self._parser = HttpRequestParser(_SILENT)

    def read(self, raw: bytes) -> RequestHead:
        """Read a head, from its first byte to its empty line.

        Raises:
            BadRequest: it is not one clear HTTP/1.1 or 1.0 request; no byte of it may be used.
        """
        lines = raw[:-4].split(b"\r\n")
        if len(lines) - 1 > self._most_fields:
            raise BadRequest(f"more than {self._most_fields} fields", reason="head_too_large", status=431)
        try:
            self._parser.feed_data(raw)
        except HttpParserUpgrade:
            self._parser = HttpRequestParser(_SILENT)
        except HttpParserError as error:
            self._parser = HttpRequestParser(_SILENT)
            raise _not_a_request(raw, error) from None
        head = _request_line(lines[0])
        kept = head.lines
        for line in lines[1:]:
            name = line[: line.find(b":")].translate(_FOLD)
            if name not in _REQUEST_SPECIAL:
                kept.append((name, line))
            else:
                _request_field(head, name, line)
        if head.chunked and head.http_10:
            self._parser = HttpRequestParser(_SILENT)
            raise BadRequest("HTTP/1.0 has no Transfer-Encoding (RFC 9112 6.1)", reason="framing")
        if head.chunked or head.length:
            self._parser = HttpRequestParser(_SILENT)  # this one waits for a body that it will not get
        if head.upgrade is not None and (b"upgrade" not in head.nominated or head.upgrade.lower() == b"h2c"):
            head.upgrade = None  # an offer of HTTP/2 may be ignored (RFC 9110 7.8): served as HTTP/1.1
        return head


def _not_a_request(raw: bytes, error: Exception) -> BadRequest:
    if raw.startswith(HTTP2_PREFACE):
        return BadRequest("HTTP/2 without TLS is not spoken here: use HTTP/1.1", reason="http2_preface")
    # llhttp's reasons are a fixed set of sentences; none quotes the input.
    return BadRequest(f"not a clear HTTP/1.1 request: {error}", reason="malformed")


def _request_line(line: bytes) -> RequestHead:
    """Cut `METHOD SP target SP HTTP/1.x`; llhttp lets pass two spaces, other protocols, HTTP/0.9 and HTTP/2.0."""
    parts = line.split(b" ")
    if len(parts) != 3 or parts[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise BadRequest("the request line is not `METHOD target HTTP/1.1`", reason="malformed")
    method, target, version = parts
    head = RequestHead(line, method, target, version == b"HTTP/1.0")
    if target[:1] != b"/":
        _absolute_form(head)
    if b"#" in target:
        raise BadRequest("a target has no fragment (RFC 9112 3.2)", reason="target")
    return head


def _absolute_form(head: RequestHead) -> None:
    """Take apart `http://authority/path` (RFC 9112 3.2.2); the gate decides whether the authority is ours."""
    if head.method in (b"CONNECT", b"TRACE"):
        return  # the gate's 405 says more
    if head.target[:7].lower() != b"http://":
        raise BadRequest("the target must start with / (RFC 9112 3.2.1)", reason="target")
    authority, slash, rest = head.target[7:].partition(b"/")
    if not slash or not authority or b"?" in authority or b"@" in authority:
        raise BadRequest("the target's authority is not a plain host and port", reason="target")
    head.authority = authority
    head.target = slash + rest
    head.start_line = b"%b %b HTTP/1.1" % (head.method, head.target)


def _request_field(head: RequestHead, name: bytes, line: bytes) -> None:
    """Take in one of the special fields."""
    colon = line.index(b":")
    if b"_" in line[:colon] or b"." in line[:colon]:
        if name in _FRAMING:
            raise BadRequest(f"a field that some servers read as {name.decode()}", reason="framing")
        return  # an alias of a field that does not pass
    value = line[colon + 1 :].strip(b" \t")
    if name == b"host":
        if head.host is not None:
            raise BadRequest("more than one Host (RFC 9112 3.2)", reason="host")
        head.host = value
    elif name == b"connection":
        _connection(head, value)
    elif name == b"content-length":
        head.length = int(value)  # llhttp: digits only, once, no overflow, no Transfer-Encoding beside it
        head.lines.append((name, line))
    elif name == b"transfer-encoding":
        if value.lower() != b"chunked":
            raise BadRequest("the only transfer coding known here is chunked", reason="framing", status=501)
        head.chunked = True
        head.lines.append((name, line))
    elif name == b"upgrade":
        head.upgrade = value
    elif name == b"expect":
        if value.lower() != b"100-continue" or head.http_10:
            raise BadRequest("the only expectation known is 100-continue", reason="expect", status=417)
        head.expects_continue = True
        head.lines.append((name, line))
    elif name == b"origin":
        head.origin = value if head.origin is None else b"null"  # two origins are nobody's
        head.lines.append((name, line))
    elif name == b"sec-fetch-site":
        head.sec_fetch_site = value if head.sec_fetch_site is None else b"cross-site"
        head.lines.append((name, line))


def _connection(head: RequestHead | ResponseHead, value: bytes) -> None:
    """Read `Connection` (RFC 9110 7.6.1): options that are ours, and names of fields that stop here."""
    lowered = value.lower()
    if lowered == b"keep-alive":
        head.keep_alive = True
        return
    if lowered == b"close":
        head.keep_alive = False
        return
    options = frozenset(option.strip(b" \t").translate(_FOLD) for option in value.split(b","))
    if b"close" in options:
        head.keep_alive = False
    elif b"keep-alive" in options:
        head.keep_alive = True
    head.nominated |= options


class ResponseReader:
    """Turns the bytes of one response head into a `ResponseHead`."""

    def read(self, raw: bytes, method: bytes) -> ResponseHead:
        """Read a head, from its first byte to its empty line.

        Args:
            method: of the request that it answers; a response to HEAD has no body.

        Raises:
            UpstreamProtocol: it is not one clear HTTP/1.x response.
        """
        parser = HttpResponseParser(_SILENT)
        try:
            parser.feed_data(raw)
        except HttpParserUpgrade:
            pass
        except HttpParserError as error:
            raise UpstreamProtocol(f"the upstream's answer is not HTTP/1.1: {error}", phase="head") from None
        lines = raw[:-4].split(b"\r\n")
        start = lines[0]
        if start[:7] != b"HTTP/1." or start[7:8] not in (b"0", b"1"):
            raise UpstreamProtocol("the upstream's answer is not HTTP/1.1", phase="head")
        head = ResponseHead(int(start[9:12]), start[12:], start[7:8] == b"1")
        kept = head.lines
        for line in lines[1:]:
            name = line[: line.find(b":")].translate(_FOLD)
            if name not in _RESPONSE_SPECIAL:
                kept.append((name, line))
            else:
                _response_field(head, name, line)
        if head.chunked and start[7:8] == b"0":
            raise UpstreamProtocol("an HTTP/1.0 answer with Transfer-Encoding (RFC 9112 6.1)", phase="head")
        if method == b"HEAD" or head.status < 200 or head.status == 204 or head.status == 304:
            head.length = 0
            head.chunked = False
        head.raw = raw
        return head


def _response_field(head: ResponseHead, name: bytes, line: bytes) -> None:
    """Take in one of the special fields."""
    colon = line.index(b":")
    if b"_" in line[:colon] or b"." in line[:colon]:
        return
    value = line[colon + 1 :].strip(b" \t")
    if name == b"connection":
        _connection(head, value)
    elif name == b"content-length":
        head.length = int(value)
        head.lines.append((name, line))
    elif name == b"transfer-encoding":
        if value.lower() != b"chunked":
            raise UpstreamProtocol("the upstream uses a transfer coding other than chunked", phase="head")
        head.chunked = True
        head.lines.append((name, line))
    elif name == b"upgrade":
        head.upgrade = value


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
        self.trailers: list[Line] = []

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
        self.trailers: list[Line] = []

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Return all of `data`."""
        return data, b""


class ChunkedDecoder:
    """A chunked body (RFC 9112 7.1), strictly: CRLF only, hex digits only, extensions dropped and bounded."""

    __slots__ = ("_buffer", "_extension_bytes", "_in_trailers", "_left", "done", "trailers")

    def __init__(self) -> None:
        self._buffer = b""  # a line that has not ended yet
        self._left = 0  # bytes of the current chunk still to come, its CRLF included
        self._extension_bytes = 0
        self._in_trailers = False
        self.done = False
        self.trailers: list[Line] = []

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
            size = self._size(data[at:end])
            at = end + 2
            if size:
                self._left = size + 2
            else:
                self._in_trailers = True
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
            if any(byte < 0x20 and byte != 0x09 for byte in extension):
                raise BadFraming("a control character in a chunk extension")
            digits = digits.rstrip(b" \t")  # BWS, RFC 9112 7.1.1
        if not 0 < len(digits) <= 16 or not _DIGITS.issuperset(digits):
            raise BadFraming("a chunk's size is not a hexadecimal number")
        return int(digits, 16)

    def _take_trailers(self, data: bytes) -> bytes:
        """Take the trailer section where it is complete; return what follows it."""
        if data[:2] == b"\r\n":
            self.done = True
            return data[2:]
        end = data.find(END_OF_HEAD, 0, TRAILER_BYTES)
        if end < 0:
            if len(data) >= TRAILER_BYTES:
                raise BadFraming("the trailer section is too long")
            self._buffer = data
            return b""
        self.trailers = _trailer_lines(data[: end + 4])
        self.done = True
        return data[end + 4 :]


def _check_partial(line: bytes) -> None:
    """Refuse a size line that can no longer become one, rather than wait for its end."""
    digits = line.partition(b";")[0].rstrip(b"\r \t")
    if not _DIGITS.issuperset(digits) or b"\n" in line:
        raise BadFraming("a chunk's size is not a hexadecimal number")


def _trailer_lines(section: bytes) -> list[Line]:
    """Judge a trailer section as llhttp judges fields, and keep what a trailer may hold."""
    try:
        HttpRequestParser(_SILENT).feed_data(b"GET / HTTP/1.1\r\n" + section)
    except (HttpParserError, HttpParserUpgrade):
        raise BadFraming("the trailer section is malformed") from None
    lines = [(line[: line.find(b":")].translate(_FOLD), line) for line in section[:-4].split(b"\r\n")]
    return [line for line in lines if line[0] not in _NEVER_A_TRAILER]


def field_lines(lines: list[Line], dropped: frozenset[bytes]) -> list[bytes]:
    """Return the lines to send on: all but those whose folded name is in `dropped`."""
    return [line for name, line in lines if name not in dropped]


def dropped_fields(nominated: frozenset[bytes], own: frozenset[bytes]) -> frozenset[bytes]:
    """Return the names that stop here: `own`, and those that Connection names, except what frames the message."""
    if nominated is NOTHING:
        return own
    return own | (nominated - _FRAMING)
