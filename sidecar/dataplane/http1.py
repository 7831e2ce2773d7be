"""HTTP/1.1 heads as bytes, both sides. No sockets, no timers, no policy.

A pattern of ours judges the start line, llhttp the fields, one regular
expression finds those that matter, and nothing else of a head is touched.

Start lines are not left to llhttp: strict as it is, it takes a line feed in a
target for the end of an HTTP/0.9 request, skips bare CR and LF before a line,
and lets control characters into a reason phrase.

A head is found by its empty line and fed to llhttp (no leniency) in one piece,
to a parser of its own: nothing of one message can colour the next. What it
accepts has CRLF line ends only, no folded lines, no white space before a colon,
no control characters, and at most one framing. That makes it exact to look for a
field as CRLF, name, colon. llhttp is given no callbacks: values are taken from
the very bytes that it judged.

A framing that is clear but oddly spelt (`CHUNKED`, a tab, leading zeros) is sent
on in the one spelling that nobody misreads.

Source: RFC 9112 sections 2 to 7, RFC 9110 sections 5, 6.5 and 7.6.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, HttpResponseParser

from sidecar.errors import BadRequest, UpstreamProtocol
from sidecar.messages import FOLD, NOTHING, Field, Fields, RequestHead, ResponseHead

END_OF_HEAD = b"\r\n\r\n"
_TLS = b"\x16\x03"  # the first two bytes of a client that wants TLS
NO_REQUEST_LINE = "the request line is not `METHOD target HTTP/1.1`"
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
# RFC 9110 6.5.1: what a trailer may not hold, because it routes, frames, authenticates or controls the message, or says
# what its content is.
_NEVER_A_TRAILER = (
    _REQUEST_FIELDS
    | RESPONSE_HOP
    | frozenset(
        b"trailer content-encoding content-type content-range cache-control pragma age expires location retry-after"
        b" vary max-forwards range if-match if-none-match if-modified-since if-unmodified-since if-range"
        b" cookie set-cookie www-authenticate".split()
    )
)

_FRAMES = frozenset((b"content-length", b"transfer-encoding"))

# RFC 9112 3 and 4, RFC 9110 5.6.2: single spaces, visible ASCII in a target, and three digits of which the first is
# not 0. Statuses from 600 on mean nothing (RFC 9110 15) but can be read by everybody.
_match_request_line = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~]+) HTTP/1\.([01])\r\n").match
_match_status_line = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [\t -~\x80-\xff]*)?\r\n").match
# Control characters, LF without CR, and CR without LF (RFC 9112 2.2, RFC 9110 5.5).
_LF = 0x0A
_TEXT = bytes(byte for byte in range(256) if (byte >= 0x20 and byte != 0x7F) or byte in b"\t\r\n")
# A method is any token (RFC 9110 9.1). llhttp knows 34, and what else it looks at depends on it for some:
# all but these are a POST to it.
_TO_LLHTTP = frozenset(b"GET HEAD POST PUT PATCH DELETE OPTIONS".split())
# In whatever case: some servers fold it. TRACK is TRACE to IIS; PRI is for nobody to use (RFC 9113 11.6).
_NEVER = frozenset((b"CONNECT", b"TRACE", b"TRACK", b"PRI"))
# An app that asks a proxy for https does so by CONNECT. The log says this too: most clients show the status alone.
_ASK_FOR_HTTP = "ask for http:// in place of https://, as the sidecar speaks https to the upstream"
_NO_TUNNEL = f"no tunnels (CONNECT): {_ASK_FOR_HTTP}"
# What every server's 64 bits hold, with a sign: a larger number is not the same to all.
_LENGTH_DIGITS = 18
TRAILER_FIELDS = 100


def fold(name: str) -> bytes:
    """Return a field's name as it is compared: lower case, with `_` and `.` turned into `-`."""
    return name.encode().translate(FOLD)


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
        start = _match_request_line(raw)
        if start is None:
            raise _not_a_request(raw, NO_REQUEST_LINE)
        method, target, minor = start.groups()
        try:
            HttpRequestParser(_SILENT).feed_data(raw if method in _TO_LLHTTP else _as_post(raw, method))
        except HttpParserUpgrade:
            pass
        except HttpParserError as error:
            raise _not_a_request(raw, str(error)) from None
        lines = raw[start.end() :]
        if before is None or before.fields.raw != lines or before.http_10:
            fields = self._read_fields(lines)
        else:
            fields = before.fields  # those of an HTTP/1.0 head lack what that may not ask for
        if fields.length is not None or fields.chunked:
            plain = _plainly_framed(fields)
            fields = fields if plain is None else self._read_fields(plain)
        head = RequestHead(raw, method, target, minor == b"0", fields)
        if head.http_10 and fields.chunked:
            raise BadRequest("HTTP/1.0 has no Transfer-Encoding (RFC 9112 6.1)", reason="framing")
        if head.http_10 and fields.upgrade is not None:
            head.fields = fields = self._read_fields(lines)
            fields.upgrade = None  # to be ignored there (RFC 9110 7.8)
            fields.lasts = False
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
        for match in self._find(b"\n" + lines.translate(FOLD)):
            name = match[1]
            field = (name, match.start(), lines.find(b"\n", match.end() - 1) + 1)
            found.append(field)
            if name in _REQUEST_FIELDS:
                _take_request_field(fields, field)
        if fields.upgrade is not None:
            fields.upgrade = _offered(fields.upgrade) if b"upgrade" in fields.nominated else None
        if fields.nominated:
            fields.find(fields.nominated)
        fields.lasts = fields.chunked or fields.upgrade is not None
        return fields


def _as_post(raw: bytes, method: bytes) -> bytes:
    """Return a head with a method that llhttp knows.

    Raises:
        BadRequest: the method is one that no proxy like this serves.
    """
    if method.upper() in _NEVER:
        detail = _NO_TUNNEL if method.upper() == b"CONNECT" else "this method is not served here"
        raise BadRequest(detail, reason="method", status=405)
    return b"POST" + raw[len(method) :]


def _not_a_request(raw: bytes, why: str) -> BadRequest:
    if raw.startswith(HTTP2_PREFACE):
        return BadRequest("HTTP/2 without TLS is not spoken here: use HTTP/1.1", reason="http2_preface")
    # llhttp's reasons are a fixed set of sentences; none quotes the input.
    return BadRequest(f"not a clear HTTP/1.1 request: {why}", reason="malformed")


def never_a_head(beginning: bytes | bytearray, most_bytes: int, new_bytes: int | None = None) -> BadRequest | None:
    """Return what is wrong with the beginning of a head that can no longer become one, or None: its end may still come.

    Args:
        most_bytes: that a head may have.
        new_bytes: how many at the end of it were not looked at yet; None: all.
    """
    if len(beginning) >= most_bytes:
        if beginning.find(b"\r\n", 0, most_bytes) < 0:  # RFC 9110 15.5.15
            return BadRequest("the request's target is too long", reason="head_too_large", status=414)
        return BadRequest("the request's head is too large", reason="head_too_large", status=431)
    if beginning.startswith(_TLS):
        return BadRequest("TLS is not spoken here: use http://", reason="malformed")
    at = 0 if new_bytes is None else max(0, len(beginning) - new_bytes)
    if is_no_text(beginning, at):
        return BadRequest("not a clear HTTP/1.1 request: a control character, or a bare CR or LF", reason="malformed")
    if beginning.find(b"\n", at) >= 0 and beginning.find(b"\n") >= at:  # the first line has just ended
        if not _match_request_line(beginning) and not HTTP2_PREFACE.startswith(beginning[: len(HTTP2_PREFACE)]):
            return _not_a_request(b"", NO_REQUEST_LINE)
    return None


def is_no_text(lines: bytes | bytearray, at: int = 0) -> bool:
    """Whether there is something in lines, from `at` on, that no head and no trailer may hold.

    Without looking, one whose lines end with LF alone would be waited for until its time is over.
    """
    start = max(0, at - 1)  # what was a CR at the end may be a bare one by now
    if start and lines[start] == _LF:
        start -= 1  # its own CR
    new = lines[start:]
    # Counted, not searched by a regular expression: 64 KiB of a flood cost 0.6 ms that way.
    pairs = new.count(b"\r\n")
    if new.count(b"\n") != pairs or new.count(b"\r") - new.endswith(b"\r") != pairs:
        return True
    return bool(new.translate(None, _TEXT))


def _absolute_form(head: RequestHead) -> None:
    """Take apart `http://authority/path` (RFC 9112 3.2.2); the gate decides whether the authority is ours."""
    if head.target[:8].lower() == b"https://":  # as some clients ask a proxy for it
        raise BadRequest(f"no https:// in a target: {_ASK_FOR_HTTP}", reason="target")
    if head.target[:7].lower() != b"http://":
        raise BadRequest("the target must start with / (RFC 9112 3.2.1)", reason="target")
    authority, slash, rest = head.target[7:].partition(b"/")
    name, mark, _ = authority.partition(b"?")
    if not name or b"@" in name:
        raise BadRequest("the target's authority is not a plain host and port", reason="target")
    if (mark or not slash) and head.method == b"OPTIONS":
        raise BadRequest("OPTIONS of a whole server, and there may be several behind this", reason="target")
    head.authority = name
    # RFC 9110 4.2.3: no path is the same as `/`, and must be sent as that.
    head.target = b"/" + head.target[7 + len(name) :] if mark or not slash else slash + rest


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
        # llhttp: digits only, once, no Transfer-Encoding beside it.
        if len(value) > _LENGTH_DIGITS:
            raise BadRequest("a Content-Length that no body has", reason="framing")
        fields.length = int(value)
    elif name == b"transfer-encoding":
        if fields.chunked or value.lower() != b"chunked":
            raise BadRequest("the only transfer coding known here is chunked", reason="framing", status=501)
        fields.chunked = True
    elif name == b"upgrade":
        fields.upgrade = value if fields.upgrade is None else fields.upgrade + b", " + value
    elif name == b"expect":
        if value.lower() != b"100-continue":
            raise BadRequest("the only expectation known is 100-continue", reason="expect", status=417)
        fields.expects_continue = True
    elif name in _BROWSER:
        fields.from_browser = True


def _offered(upgrade: bytes) -> bytes | None:
    """Return the protocols that the app would switch to, but for HTTP/2: that may be ignored (RFC 9110 7.8).

    Passed on it would be a way around every rule, for the tunnel that it begins carries requests.
    """
    offers = [offer.strip(b" \t") for offer in upgrade.split(b",")]
    return b", ".join(offer for offer in offers if offer and not _is_http_2(offer)) or None


def _is_http_2(protocol: bytes) -> bool:
    """Whether a protocol is HTTP/2 or 3, by its own name or by the one in RFC 9110's example, `HTTP/2.0`."""
    name, _, version = protocol.lower().partition(b"/")
    return name in (b"h2c", b"h2", b"h3") or (name == b"http" and version[:1] in (b"2", b"3"))


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
        options = frozenset(option.strip(b" \t").translate(FOLD) for option in value.split(b","))
        if b"close" in options:
            fields.persistent = False
        elif b"keep-alive" in options:
            fields.persistent = fields.persistent is not False
        # What frames the message is not for a peer to take away.
        fields.nominated |= options - _FRAMING


def _plainly_framed(fields: Fields) -> bytes | None:
    """Return the lines with their framing as nobody misreads it, or None where it is like that already.

    Servers differ in whether they take a tab for white space, `CHUNKED` for `chunked`, and 010 for ten.
    """
    raw = fields.raw
    for name, begin, end in fields.found:
        if name in _FRAMES:
            plain = b"chunked" if fields.length is None else b"%d" % fields.length
            after_colon = begin + len(name) + 1
            given = raw[after_colon : end - 2]
            if given != plain and given != b" " + plain:
                return b"".join((raw[:after_colon], b" ", plain, raw[end - 2 :]))
    return None


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
    start = _match_status_line(raw)
    if start is None:
        raise UpstreamProtocol("the upstream's answer is not HTTP/1.1", phase="head")
    try:
        HttpResponseParser(_SILENT).feed_data(raw)
    except HttpParserUpgrade:
        pass
    except HttpParserError as error:
        raise UpstreamProtocol(f"the upstream's answer is not HTTP/1.1: {error}", phase="head") from None
    status, http_10 = int(start[2]), start[1] == b"0"
    lines = raw[start.end() :]
    fields = _read_response_fields(lines)
    if http_10 and fields.chunked:
        raise UpstreamProtocol("an HTTP/1.0 answer with Transfer-Encoding (RFC 9112 6.1)", phase="head")
    if fields.length is not None or fields.chunked:
        # What has no body may not announce one (RFC 9110 8.6, RFC 9112 6.1): not every app knows not to wait for it.
        lies = (status < 200 or status == 204) and fields.length != 0
        plain = without(lines[:-2], _FRAMES) + b"\r\n" if lies else _plainly_framed(fields)
        fields = fields if plain is None else _read_response_fields(plain)
    head = ResponseHead(raw, method, raw[: start.end() - 2], status, http_10, fields)
    if method == b"HEAD" or status < 200 or status == 204 or status == 304:
        head.length = 0
        head.chunked = False
    return head


def _read_response_fields(lines: bytes) -> Fields:
    fields = Fields(lines)
    found = fields.found
    for match in _find_response_fields(b"\n" + lines.translate(FOLD)):
        field = (match[1], match.start(), lines.find(b"\n", match.end() - 1) + 1)
        found.append(field)
        _take_response_field(fields, field)
    if fields.nominated:
        fields.find(fields.nominated)
    return fields


def _take_response_field(fields: Fields, field: Field) -> None:
    """Take in one of the fields that say how the response is to be read."""
    name = field[0]
    if name == b"content-length":
        if _is_alias(fields, field):
            raise UpstreamProtocol("the upstream's framing is ambiguous", phase="head")
        value = fields.value_at(field)
        if len(value) > _LENGTH_DIGITS:
            raise UpstreamProtocol("the upstream's Content-Length is one that no body has", phase="head")
        fields.length = int(value)
    elif name == b"connection":
        _take_connection(fields, fields.value_at(field))
    elif name == b"transfer-encoding":
        if fields.chunked or _is_alias(fields, field) or fields.value_at(field).lower() != b"chunked":
            raise UpstreamProtocol("the upstream uses a transfer coding other than chunked", phase="head")
        fields.chunked = True
    elif name == b"upgrade":
        fields.upgrade = fields.value_at(field)


def trailer_lines(section: bytes) -> bytes | None:
    """Return the lines of a trailer section that a trailer may hold, each with its CRLF.

    Args:
        section: the lines and the empty line after them.

    Returns:
        None where llhttp, which judges them as it does fields, refuses the section, or where they are too many.
    """
    if section.count(b"\r\n") - 1 > TRAILER_FIELDS:
        return None
    try:
        HttpRequestParser(_SILENT).feed_data(b"GET / HTTP/1.1\r\n" + section)
    except (HttpParserError, HttpParserUpgrade):
        return None
    return without(section[:-2], _NEVER_A_TRAILER)


def without(lines: bytes, dropped: frozenset[bytes]) -> bytes:
    """Return these field lines, each with its CRLF, but for those whose folded name is in `dropped`."""
    kept = lines[:-2].split(b"\r\n")
    return b"".join(line + b"\r\n" for line in kept if line[: line.find(b":")].translate(FOLD) not in dropped)
