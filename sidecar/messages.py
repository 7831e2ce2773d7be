"""What travels on the request path, as plain values: heads cut into lines, nothing decoded.

A line is kept exactly as it was received, beside its folded name: lower case,
with `_` and `.` turned into `-`, because many servers read `X_Api_Key` and
`X-Api-Key` as one. Decisions are made on the folded name; what is sent on is
the line. Fields that describe the connection (RFC 9110 7.6.1) are in
attributes, not among the lines.

These are slotted classes rather than frozen dataclasses: one of each is built
per request, and a frozen dataclass costs 2 us where this costs 0.4.
"""

from __future__ import annotations

Line = tuple[bytes, bytes]  # folded name, the line as received without its CRLF

NOTHING: frozenset[bytes] = frozenset()


class RequestHead:
    """The start line and fields of a request.

    `target` is origin-form as received; `authority` is set where it came in absolute-form.
    `length` is the body's size in bytes, 0 for none; `chunked` says that only its end will tell.
    `nominated` are folded names that `Connection` names as hop-by-hop.
    `upgrade` is the protocol asked for, or None.
    """

    __slots__ = (
        "authority",
        "chunked",
        "expects_continue",
        "host",
        "http_10",
        "keep_alive",
        "length",
        "lines",
        "method",
        "nominated",
        "origin",
        "sec_fetch_site",
        "start_line",
        "target",
        "upgrade",
    )

    def __init__(self, start_line: bytes, method: bytes, target: bytes, http_10: bool) -> None:
        self.start_line = start_line
        self.method = method
        self.target = target
        self.http_10 = http_10
        self.authority: bytes | None = None
        self.lines: list[Line] = []
        self.host: bytes | None = None
        self.length = 0
        self.chunked = False
        self.keep_alive = not http_10
        self.nominated = NOTHING
        self.upgrade: bytes | None = None
        self.expects_continue = False
        self.origin: bytes | None = None
        self.sec_fetch_site: bytes | None = None

    @property
    def has_body(self) -> bool:
        """Whether a body follows the head."""
        return self.chunked or self.length > 0

    @property
    def path(self) -> bytes:
        """The target up to its query."""
        return self.target.partition(b"?")[0]

    def value(self, name: bytes) -> bytes | None:
        """Return the value of the first line with this folded name, without surrounding white space."""
        for folded, line in self.lines:
            if folded == name:
                return line[line.index(b":") + 1 :].strip(b" \t")
        return None


class ResponseHead:
    """The status line and fields of a response.

    `length` is the body's size in bytes, 0 for none, None where it is not told;
    then `chunked` says whether its own framing or the connection's end closes it.
    """

    __slots__ = ("chunked", "keep_alive", "length", "lines", "nominated", "raw", "reason", "status", "upgrade")

    def __init__(self, status: int, reason: bytes, keep_alive: bool) -> None:
        self.status = status
        self.reason = reason
        self.keep_alive = keep_alive
        self.lines: list[Line] = []
        self.length: int | None = None
        self.chunked = False
        self.nominated = NOTHING
        self.upgrade: bytes | None = None
        self.raw = b""
