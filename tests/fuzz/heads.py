"""What has to hold for any head, whoever made it up: the property tests and the fuzzer ask this."""

from __future__ import annotations

import re

from sidecar.credentials.rules import Injection
from sidecar.credentials.token import make_token
from sidecar.dataplane.http1 import REQUEST_HOP, RequestReader, read_response
from sidecar.errors import BadRequest, UpstreamProtocol
from sidecar.messages import RequestHead, ResponseHead
from sidecar.route import Route
from sidecar.secret import Secret
from tests.fuzz.agreement import PLAIN
from tests.fuzz.in_memory import Runner
from tests.fuzz.other_parsers import h11_requests
from tests.fuzz.reference import Seen, framing, read_head

FOLD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ_.", b"abcdefghijklmnopqrstuvwxyz--")
_TOKEN = make_token(Secret(b"t0ken"), Injection(), obtained_at=0, expires_at=1)
_MUCH_BYTES = 1000


def read(runner: Runner, raw: bytes, before: RequestHead | None = None) -> RequestHead:
    """Read a head as the sidecar does."""
    reader: RequestReader = runner.sidecar.parts.reader
    return reader.read(raw, before)


def sent_on(runner: Runner, head: RequestHead) -> bytes:
    """Return the head that goes upstream."""
    route: Route = runner.sidecar.parts.by_name["crm"]
    return route.request_head(head, head.target, _TOKEN)


def what_may_pass(head: Seen) -> list[tuple[bytes, bytes]]:
    """Return the fields that are not this connection's, as the RFCs and the route have it."""
    named = b",".join(head.values(b"connection")).translate(FOLD).split(b",")
    framing_names = {b"content-length", b"transfer-encoding"}
    dropped = {option.strip(b" \t") for option in named} - framing_names
    dropped |= REQUEST_HOP | {b"authorization", b"sidecar-token"}
    return [field for field in head.lines if field[0].translate(FOLD) not in dropped]


def upgrade_of(head: Seen) -> list[tuple[bytes, bytes]]:
    """Return the two fields that ask for another protocol, where it is asked for properly."""
    options = {option.strip(b" \t") for option in b",".join(head.values(b"connection")).translate(FOLD).split(b",")}
    asked = [offer.strip(b" \t") for offer in b",".join(head.values(b"upgrade")).split(b",")]
    asked = [offer for offer in asked if offer and not re.match(rb"(h2c|h2|h3)(/|$)|http/[23]", offer.lower())]
    if not asked or b"upgrade" not in options or head.http_10:
        return []
    return [(b"Connection", b"Upgrade"), (b"Upgrade", b", ".join(asked))]


def check_head(runner: Runner, raw: bytes) -> None:
    """A head is refused, or has for h11 and a plain reading the same fields and the same framing as for us."""
    try:
        head = read(runner, raw)
    except BadRequest:
        return
    assert framing(read_head(raw)) == (None if head.fields.chunked else head.fields.length or 0)
    passed = sent_on(runner, head)
    plain = read_head(passed)
    body = b"0\r\n\r\n" if head.fields.chunked else bytes(min(head.fields.length or 0, _MUCH_BYTES))
    (seen,) = h11_requests(passed + body)
    assert seen.whole or (head.fields.length or 0) > _MUCH_BYTES
    assert (seen.method, seen.target) == (plain.method, plain.target) == (head.method, head.target)
    assert [name for name, _ in seen.lines] == [name for name, _ in plain.lines]
    assert framing(seen) == framing(plain)


def verdict(runner: Runner, raw: bytes, before: RequestHead | None) -> tuple[object, ...]:
    """Return all that is read of a head, or why it is refused."""
    try:
        head = read(runner, raw, before)
    except BadRequest as error:
        return error.reason, error.status
    fields = head.fields
    named = [getattr(fields, name) for name in type(fields).__slots__]
    return head.method, head.target, head.authority, head.http_10, head.keep_alive, named, sent_on(runner, head)


def check_before(runner: Runner, first: bytes, second: bytes) -> None:
    """What is read of the second head does not depend on the first, whether on its connection or another."""
    read(runner, PLAIN)
    fresh = verdict(runner, second, None)
    before = None
    try:
        before = read(runner, first)
    except BadRequest:
        pass
    for _ in range(2):
        assert verdict(runner, second, before) == fresh
    assert read(runner, PLAIN).target == b"/plain"


def response_verdict(raw: bytes, method: bytes, before: ResponseHead | None) -> tuple[object, ...]:
    """Return all that is read of a response's head, or why it is refused."""
    try:
        head = read_response(raw, method, before)
    except UpstreamProtocol as error:
        return (str(error),)
    fields = [getattr(head.fields, name) for name in type(head.fields).__slots__]
    return head.status, head.status_line, head.length, head.chunked, head.keep_alive, head.http_10, fields


def check_response_before(first: bytes, first_method: bytes, second: bytes, method: bytes) -> None:
    """What is read of a response's head does not depend on the one before it on its connection."""
    try:
        before = read_response(first, first_method)
    except UpstreamProtocol:
        before = None
    for raw in (second, first):
        assert response_verdict(raw, method, before) == response_verdict(raw, method, None)
