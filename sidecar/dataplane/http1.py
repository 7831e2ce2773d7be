"""HTTP/1.1 heads as bytes, both sides. No sockets, no timers, no policy.

llhttp judges a head, one regular expression finds the fields that matter, and
nothing else of it is touched. A head is found by its empty line and fed to
llhttp (strict, no leniency) in one piece; what that accepts has CRLF line ends
only, no folded lines, no white space before a colon, no control characters,
and at most one framing. That makes it exact to look for a field as CRLF, name,
colon. llhttp is given no callbacks: values are taken from the very bytes that
it judged, so a pipelined second message can never overwrite those of the first.

Source: RFC 9112 sections 2 to 7, RFC 9110 sections 5, 6.5 and 7.6.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, HttpResponseParser

from sidecar.errors import BadRequest, UpstreamProtocol
from sidecar.messages import NOTHING, Field, Fields, RequestHead, ResponseHead

END_OF_HEAD = b"\r\n\r\n"
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\n"

# Fields that end at this hop (RFC 9110 7.6.1; HTTP2-Settings: RFC 7540 3.2.1; Proxy: CVE-2016-5385).
REQUEST_HOP = frozenset(
    b"host connection upgrade keep-alive proxy-connection te proxy-authorization http2-settings proxy".split()
)
# A reflected Authorization would hand the token to the app.
RESPONSE_HOP = frozenset(
    b"connection upgrade keep-alive proxy-connection te proxy-authenticate"
    b" proxy-authentication-info authorization".split()
)
_FRAMING = frozenset((b"content-length", b"transfer-encoding", b"host"))
_BROWSER = frozenset((b"origin", b"sec-fetch-site"))
_REQUEST_FIELDS = REQUEST_HOP | _FRAMING | _BROWSER | {b"expect"}
_RESPONSE_FIELDS = RESPONSE_HOP | {b"content-length", b"transfer-encoding", b"www-authenticate"}
# RFC 9110 6.5.1: what a trailer may not hold, because it routes, frames or authenticates the message.
_NEVER_A_TRAILER = _REQUEST_FIELDS | RESPONSE_HOP | {b"trailer", b"set-cookie", b"cache-control"}

_FOLD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ_.", b"abcdefghijklmnopqrstuvwxyz--")


def fold(name: str) -> bytes:
    """Return a field's name as it is compared: lower case, with `_` and `.` turned into `-`."""
    return name.encode().translate(_FOLD)


def finder(names: Iterable[bytes]) -> re.Pattern[bytes]:
    """Return what finds fields with these folded names in folded lines that have a line feed put before them."""
    return re.compile(rb"\n(" + b"|".join(re.escape(name) for name in sorted(names)) + rb"):")


_find_response_fields = finder(_RESPONSE_FIELDS).finditer


class _Silent:
    """llhttp's listener that listens to nothing; the attributes spare it eight failing look-ups."""

    on_message_begin = on_url = on_status = on_header = on_headers_complete = None
    on_body = on_message_complete = on_chunk_header = on_chunk_complete = None


_SILENT = _Silent()


class RequestReader:
    """Turns the bytes of one request head into a `RequestHead`.

    Args:
        most_fields: how many field lines a head may have.
        watched: folded names of further fields to find: those that the gate asks for or that routes drop.
    """

    def __init__(self, most_fields: int, watched: frozenset[bytes] = NOTHING) -> None:
        self._most_fields = most_fields
        self._find = finder(_REQUEST_FIELDS | watched).finditer
        self._parser: HttpRequestParser | None = None

    def read(self, raw: bytes, before: RequestHead | None = None) -> RequestHead:
        """Read a head, from its first byte to its empty line.

        Args:
            before: the head before this one on the same connection. Apps repeat themselves: the same bytes are the same
                head, and the same lines the same fields.

        Raises:
            BadRequest: it is not one clear HTTP/1.1 or 1.0 request; no byte of it may be used.
        """
        if before is not None and before.raw == raw:
            return before
        parser = self._parser or HttpRequestParser(_SILENT)
        self._parser = None
        upgraded = False
        try:
            parser.feed_data(raw)
        except HttpParserUpgrade:
            upgraded = True
        except HttpParserError as error:
            raise _not_a_request(raw, str(error)) from None
        start_line, _, lines = raw.partition(b"\r\n")
        fields = before.fields if before is not None and before.fields.raw == lines else self._read_fields(lines)
        # llhttp lets pass two spaces, other protocols, HTTP/0.9 and HTTP/2.0.
        start = start_line.split(b" ")
        if len(start) != 3 or (start[2] != b"HTTP/1.1" and start[2] != b"HTTP/1.0"):
            raise _not_a_request(raw, "the request line is not `METHOD target HTTP/1.1`")
        target = start[1]
        head = RequestHead(raw, start[0], target, start[2] == b"HTTP/1.0", fields)
        if head.http_10 and fields.chunked:
            raise BadRequest("HTTP/1.0 has no Transfer-Encoding (RFC 9112 6.1)", reason="framing")
        if head.keep_alive and not (fields.length or fields.chunked or upgraded):
            self._parser = parser  # it awaits a head: neither a body, nor another protocol, nor the end
        if target[:1] != b"/":
            _absolute_form(head)
        if b"#" in target:
            raise BadRequest("a target has no fragment (RFC 9112 3.2)", reason="target")
        return head

    def _read_fields(self, lines: bytes) -> Fields:
        if lines.count(b"\r\n") - 1 > self._most_fields:
            raise BadRequest(f"more than {self._most_fields} fields", reason="head_too_large", status=431)
        fields = Fields(lines)
        found = fields.found
        for match in self._find(b"\n" + lines.translate(_FOLD)):
            name = match[1]
            field = (name, match.start(), lines.find(b"\n", match.end() - 1) + 1)
            found.append(field)
            if name in _REQUEST_FIELDS:
                _take_request_field(fields, field)
        if fields.upgrade is not None and (b"upgrade" not in fields.nominated or fields.upgrade.lower() == b"h2c"):
            fields.upgrade = None  # an offer of HTTP/2 may be ignored (RFC 9110 7.8): served as HTTP/1.1
        if fields.nominated:
            find_more(fields, fields.nominated)
        fields.lasts = fields.chunked or fields.upgrade is not None
        return fields


def _not_a_request(raw: bytes, why: str) -> BadRequest:
    if raw.startswith(HTTP2_PREFACE):
        return BadRequest("HTTP/2 without TLS is not spoken here: use HTTP/1.1", reason="http2_preface")
    # llhttp's reasons are a fixed set of sentences; none quotes the input.
    return BadRequest(f"not a clear HTTP/1.1 request: {why}", reason="malformed")


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


def _take_request_field(fields: Fields, field: Field) -> None:
    """Take in one of the fields that say how the request is to be read."""
    name = field[0]
    if name in _FRAMING and b"-" in name and _is_alias(fields, field):
        raise BadRequest(f"a field that some servers read as {name.decode()}", reason="framing")
    value = fields.value_at(field)
    if name == b"host":
        if fields.host is not None:
            raise BadRequest("more than one Host (RFC 9112 3.2)", reason="host")
        fields.host = value
    elif name == b"connection":
        _take_connection(fields, value)
    elif name == b"content-length":
        fields.length = int(value)  # llhttp: digits only, once, no overflow, no Transfer-Encoding beside it
    elif name == b"transfer-encoding":
        if value.lower() != b"chunked":
            raise BadRequest("the only transfer coding known here is chunked", reason="framing", status=501)
        fields.chunked = True
    elif name == b"upgrade":
        fields.upgrade = value
    elif name == b"expect":
        if value.lower() != b"100-continue":
            raise BadRequest("the only expectation known is 100-continue", reason="expect", status=417)
        fields.expects_continue = True
    elif name in _BROWSER:
        fields.from_browser = True


def _is_alias(fields: Fields, field: Field) -> bool:
    """Whether a field is spelt with `_` or `.` where its name has `-`: framing to some servers, and not to others."""
    name, begin, _ = field
    return fields.raw[begin : begin + len(name)].lower() != name


def _take_connection(fields: Fields, value: bytes) -> None:
    """Read `Connection` (RFC 9110 7.6.1): options that are ours, and names of fields that stop here."""
    lowered = value.lower()
    if lowered == b"keep-alive":
        fields.persistent = fields.persistent is not False
    elif lowered == b"close":
        fields.persistent = False
    else:
        options = frozenset(option.strip(b" \t").translate(_FOLD) for option in value.split(b","))
        if b"close" in options:
            fields.persistent = False
        elif b"keep-alive" in options:
            fields.persistent = fields.persistent is not False
        # What frames the message is not for a peer to take away.
        fields.nominated |= options - _FRAMING


def find_more(fields: Fields, names: frozenset[bytes]) -> None:
    """Find further fields by their folded names, so that they can be left out."""
    known = {field[1] for field in fields.found}
    for match in finder(names).finditer(b"\n" + fields.raw.translate(_FOLD)):
        if match.start() not in known:
            fields.found.append((match[1], match.start(), fields.raw.find(b"\n", match.end() - 1) + 1))
    fields.found.sort(key=lambda field: field[1])


def read_response(raw: bytes, method: bytes, before: ResponseHead | None = None) -> ResponseHead:
    """Read a response's head, from its first byte to its empty line.

    Args:
        method: of the request that it answers; a response to HEAD has no body.
        before: the head before this one on the same connection, taken again where it is the same.

    Raises:
        UpstreamProtocol: it is not one clear HTTP/1.x response.
    """
    if before is not None and before.raw == raw and before.method == method:
        return before
    try:
        HttpResponseParser(_SILENT).feed_data(raw)
    except HttpParserUpgrade:
        pass
    except HttpParserError as error:
        raise UpstreamProtocol(f"the upstream's answer is not HTTP/1.1: {error}", phase="head") from None
    status_line, _, lines = raw.partition(b"\r\n")
    http_10 = not status_line.startswith(b"HTTP/1.1 ")
    if http_10 and not status_line.startswith(b"HTTP/1.0 "):
        raise UpstreamProtocol("the upstream's answer is not HTTP/1.1", phase="head")
    status = int(status_line[9:12])
    head = ResponseHead(raw, method, status_line, status, http_10, _read_response_fields(lines))
    if http_10 and head.chunked:
        raise UpstreamProtocol("an HTTP/1.0 answer with Transfer-Encoding (RFC 9112 6.1)", phase="head")
    if method == b"HEAD" or status < 200 or status == 204 or status == 304:
        head.length = 0
        head.chunked = False
    return head


def _read_response_fields(lines: bytes) -> Fields:
    fields = Fields(lines)
    found = fields.found
    for match in _find_response_fields(b"\n" + lines.translate(_FOLD)):
        field = (match[1], match.start(), lines.find(b"\n", match.end() - 1) + 1)
        found.append(field)
        _take_response_field(fields, field)
    if fields.nominated:
        find_more(fields, fields.nominated)
    return fields


def _take_response_field(fields: Fields, field: Field) -> None:
    """Take in one of the fields that say how the response is to be read."""
    name = field[0]
    if name == b"content-length":
        if _is_alias(fields, field):
            raise UpstreamProtocol("the upstream's framing is ambiguous", phase="head")
        fields.length = int(fields.value_at(field))
    elif name == b"connection":
        _take_connection(fields, fields.value_at(field))
    elif name == b"transfer-encoding":
        if _is_alias(fields, field) or fields.value_at(field).lower() != b"chunked":
            raise UpstreamProtocol("the upstream uses a transfer coding other than chunked", phase="head")
        fields.chunked = True
    elif name == b"upgrade":
        fields.upgrade = fields.value_at(field)


def trailer_lines(section: bytes) -> bytes | None:
    """Return the lines of a trailer section that a trailer may hold, each with its CRLF.

    Args:
        section: the lines and the empty line after them.

    Returns:
        None where llhttp, which judges them as it does fields, refuses the section.
    """
    try:
        HttpRequestParser(_SILENT).feed_data(b"GET / HTTP/1.1\r\n" + section)
    except (HttpParserError, HttpParserUpgrade):
        return None
    return without(section[:-2], _NEVER_A_TRAILER)


def without(lines: bytes, dropped: frozenset[bytes]) -> bytes:
    """Return these field lines, each with its CRLF, but for those whose folded name is in `dropped`."""
    kept = lines[:-2].split(b"\r\n")
    return b"".join(line + b"\r\n" for line in kept if line[: line.find(b":")].translate(_FOLD) not in dropped)
