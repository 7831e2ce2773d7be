"""One route, put together: its upstream, its credential, and what they do to a request's head."""

from __future__ import annotations

from sidecar.credentials.credential import Credential
from sidecar.credentials.token import Token
from sidecar.dataplane.http1 import dropped_fields
from sidecar.dataplane.pool import Pool
from sidecar.messages import RequestHead
from sidecar.stats import RouteStats


class Route:
    """Where requests go, with whose token.

    Args:
        name: for metrics, logs and status.
        pool: connections to the upstream.
        host: the upstream's Host value.
        credential: whose token is put on, or None for none.
        dropped: folded names of client fields that do not pass: the injected one, and what the credential adds to it.
        reject_statuses: what counts as a rejection.
        hold_down_s: how long a forbidden route causes no exchange.
        replay_body_bytes: the most of a body that is kept for a replay.
        agent_safe: never show an app an OAuth challenge.
        stats: what is counted.
    """

    def __init__(
        self,
        name: str,
        *,
        pool: Pool,
        host: bytes,
        credential: Credential | None,
        dropped: frozenset[bytes],
        reject_statuses: frozenset[int],
        hold_down_s: float,
        replay_body_bytes: int,
        agent_safe: bool,
        stats: RouteStats,
    ) -> None:
        self.name = name
        self.pool = pool
        self.credential = credential
        self.reject_statuses = reject_statuses
        self.replay_body_bytes = replay_body_bytes
        self.stats = stats
        self.response_dropped = frozenset((b"www-authenticate",)) if agent_safe else frozenset[bytes]()
        self._host_line = b"Host: " + host
        self._dropped = dropped
        self._hold_down_s = hold_down_s
        self.held_down_until = 0.0

    def request_head(self, head: RequestHead, target: bytes, token: Token | None) -> bytes:
        """Return the bytes of the head to send: the app's lines as they came, our Host, and the token.

        Every copy of the injected field that the app sent is dropped, whatever its case, `_` and `.` spellings included.
        """
        if target is head.target and not head.http_10:
            start_line = head.start_line
        else:
            start_line = b"%b %b HTTP/1.1" % (head.method, target)
        names = dropped_fields(head.nominated, self._dropped)
        parts = [start_line, self._host_line]
        parts += [line for name, line in head.lines if name not in names]
        if head.upgrade is not None:
            parts += (b"Connection: Upgrade", b"Upgrade: " + head.upgrade)
        if token is not None:
            parts += (token.line.reveal(), b"")  # the line ends itself
        else:
            parts += (b"", b"")
        return b"\r\n".join(parts)

    def accepted(self, token: Token) -> None:
        """The upstream took this token."""
        if self.credential is not None:
            self.credential.accepted(token)

    def held_down(self, token: Token, now_s: float) -> bool:
        """Whether a rejection of this token is relayed at once (monotonic time).

        Not where it was taken before and is rejected for the first time: then it was revoked, hold-down or not.
        """
        return now_s < self.held_down_until and not (self.credential is not None and self.credential.is_proven(token))

    def hold_down(self, token: Token, now_s: float) -> None:
        """A replay was rejected too: for a while, no rejection here causes an exchange."""
        self.held_down_until = now_s + self._hold_down_s
        if self.credential is not None:
            self.credential.note_rejected(token)
