"""What travels on the request path: a head is its bytes, and where in them the few fields stand that matter here.

Everything else in a head is never looked at, and goes on as it was received:
order, case, duplicates, white space. A `Field` is the span of one field line
with its CRLF, so that leaving a field out is leaving its span out.

The classes are slotted rather than frozen dataclasses: one of each may be made for
every request, and a frozen dataclass costs 2 us where this costs 0.5.
"""

from __future__ import annotations

from typing import Any

Field = tuple[bytes, int, int]  # folded name; where its line begins; where the next one does

NOTHING: frozenset[bytes] = frozenset()
# What turns a field's name into its folded one.
FOLD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ_.", b"abcdefghijklmnopqrstuvwxyz--")


class Fields:
    """The field lines of a head, and what they say of the message and the connection.

    A connection that carries many messages mostly carries the same lines again (an app's SDK sends what it sent
    before), so an object of this class is kept and used for the next head whose lines are the same bytes.

    `raw` is the lines after the start line, the empty one included. `found` are the fields that
    matter, in order, by folded name: lower case, with `_` and `.` turned into `-`, because many servers read
    `X_Api_Key` and `X-Api-Key` as one. `length` is None where there is no Content-Length. `persistent` is what
    Connection says of keeping the connection, None where it says nothing; `nominated` are the folded names that it
    names as hop-by-hop (RFC 9110 7.6.1). `upgrade` is the protocol asked for or taken, or None. `lasts` says that the
    request may go on for long: an upgrade, or a body of unknown length.
    """

    __slots__ = (
        "chunked",
        "expects_continue",
        "found",
        "from_browser",
        "host",
        "lasts",
        "length",
        "nominated",
        "persistent",
        "raw",
        "upgrade",
    )

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.found: list[Field] = []
        self.host: bytes | None = None
        self.length: int | None = None
        self.chunked = False
        self.persistent: bool | None = None
        self.nominated = NOTHING
        self.upgrade: bytes | None = None
        self.expects_continue = False
        self.from_browser = False
        self.lasts = False

    def find(self, names: frozenset[bytes]) -> None:
        """Find further fields by their folded names.

        A peer chooses the names that Connection nominates, so they do not become a pattern: compiling one for 64 KiB
        of names would take a second.
        """
        known = {field[1] for field in self.found}
        at = 0
        for line in self.raw[:-2].translate(FOLD).splitlines(keepends=True):
            name = line.partition(b":")[0]
            if name in names and at not in known:
                self.found.append((name, at, at + len(line)))
            at += len(line)
        self.found.sort(key=lambda field: field[1])

    def value(self, name: bytes) -> bytes | None:
        """Return the value of the first field found with this folded name, without surrounding white space."""
        for field in self.found:
            if field[0] == name:
                return self.value_at(field)
        return None

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of all fields found with this folded name."""
        return [self.value_at(field) for field in self.found if field[0] == name]

    def value_at(self, field: Field) -> bytes:
        """Return the value of a field, without surrounding white space."""
        return self.raw[field[1] + len(field[0]) + 1 : field[2] - 2].strip(b" \t")

    def without(self, dropped: frozenset[bytes]) -> bytes:
        """Return all lines but those found whose folded name is in `dropped`, and without the empty one."""
        raw = self.raw
        at = 0
        parts = []
        for name, begin, end in self.found:
            if name in dropped:
                parts.append(raw[at:begin])
                at = end
        parts.append(raw[at:-2])
        return b"".join(parts)


class RequestHead:
    """The head of a request; not changed once it is read: the same bytes on the same connection are the same object.

    `target` is origin-form as received; `authority` is set where it came in absolute-form.
    The rest is what others remember of it, each with whose memory it is: `passed` is for the request path, the route
    that took it and the target to send; `prepared` for that route, what it has made of the head.
    """

    __slots__ = (
        "authority",
        "fields",
        "http_10",
        "keep_alive",
        "method",
        "passed",
        "prepared",
        "raw",
        "target",
    )

    def __init__(self, raw: bytes, method: bytes, target: bytes, http_10: bool, fields: Fields) -> None:
        self.raw = raw
        self.method = method
        self.target = target
        self.http_10 = http_10
        self.fields = fields
        self.authority: bytes | None = None
        # Any: a route, which is of a layer above.
        self.passed: tuple[object, Any, bytes] | None = None
        self.prepared: tuple[object, bytes] | None = None
        persistent = fields.persistent
        self.keep_alive = not http_10 if persistent is None else persistent

    @property
    def path(self) -> bytes:
        """The target up to its query."""
        return self.target.partition(b"?")[0]


class ResponseHead:
    """The head of a response to `method`; not changed once it is read.

    `status_line` is as received, `http_10` its version. `length` is the body's size in bytes, 0 for none, None where
    the head does not tell; then `chunked` says whether the body tells its own end or the connection does. `prepared` is
    for whoever relays it: what has been made of it, and for which route.
    """

    __slots__ = (
        "_dropped",
        "_relayed",
        "chunked",
        "fields",
        "http_10",
        "keep_alive",
        "length",
        "method",
        "prepared",
        "raw",
        "status",
        "status_line",
    )

    def __init__(
        self, raw: bytes, method: bytes, status_line: bytes, status: int, http_10: bool, fields: Fields
    ) -> None:
        self.raw = raw
        self.method = method
        self.status_line = status_line
        self.status = status
        self.http_10 = http_10
        self.fields = fields
        self.length = fields.length
        self.chunked = fields.chunked
        persistent = fields.persistent
        self.keep_alive = not http_10 if persistent is None else persistent
        self.prepared: tuple[object, bytes] | None = None
        self._dropped: frozenset[bytes] | None = None
        self._relayed = b""

    def relayed(self, dropped: frozenset[bytes]) -> bytes:
        """Return the start line, in our version, and all lines but those in `dropped`; the empty line is to follow."""
        if dropped is not self._dropped:
            lines = self.fields.without(dropped)
            self._relayed = b"".join((b"HTTP/1.1", self.status_line[8:], b"\r\n", lines))
            self._dropped = dropped
        return self._relayed
