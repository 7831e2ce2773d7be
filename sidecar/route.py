"""One route, put together: its upstream, its credential, and what they do to a request's head."""

from __future__ import annotations

import logging

from sidecar.credentials.credential import Credential
from sidecar.credentials.remedies import NO_HELP_REASON, NO_HELP_REMEDY
from sidecar.credentials.token import Token
from sidecar.credentials.verdicts import same
from sidecar.dataplane.http1 import REQUEST_HOP, RESPONSE_HOP
from sidecar.dataplane.pool import Pool
from sidecar.messages import NOTHING, RequestHead, ResponseHead
from sidecar.shield import Shield
from sidecar.stats import RouteStats

_log = logging.getLogger("sidecar.route")

_NOT_IN_HTTP_10 = frozenset((b"expect",))  # to be ignored there, RFC 9110 10.1.1


class Route:
    """Where requests go, with whose token.

    Args:
        name: for metrics, logs and status.
        pool: connections to the upstream.
        host: the upstream's Host value.
        credential: whose token is put on, or None for none.
        injected: folded name of the field that carries the token, or b"".
        dropped: folded names of client fields that do not pass: the injected one, and what the credential adds to it.
        reject_statuses: what counts as a rejection.
        hold_down_s: how long a forbidden route causes no exchange.
        replay_body_bytes: the most of a body that is kept for a replay.
        shield: answers the key exchange of the vendor's own SDKs, or None.
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
        injected: bytes,
        dropped: frozenset[bytes],
        reject_statuses: frozenset[int],
        hold_down_s: float,
        replay_body_bytes: int,
        shield: Shield | None,
        agent_safe: bool,
        stats: RouteStats,
    ) -> None:
        self.name = name
        self.pool = pool
        self.credential = credential
        self.reject_statuses = reject_statuses
        self.replay_body_bytes = replay_body_bytes
        self.stats = stats
        self.shield = shield
        self.agent_safe = agent_safe
        # An upstream that reflects the token must not hand it to the app; Authorization never passes anyway.
        self.reflected = frozenset((injected,)) - RESPONSE_HOP if injected else NOTHING
        self.response_dropped = RESPONSE_HOP | self.reflected | ({b"www-authenticate"} if agent_safe else NOTHING)
        self._host_line = b" HTTP/1.1\r\nHost: " + host + b"\r\n"
        self.dropped = REQUEST_HOP | dropped
        self._hold_down_s = hold_down_s
        self.held_down_until = 0.0
        self.last_accepted: Token | None = None
        # The token that was last renewed for a request that could not be sent again, and until when that counts.
        self._renewed: Token | None = None
        self._renewed_until = 0.0

    def request_head(self, head: RequestHead, target: bytes, token: Token | None) -> bytes:
        """Return the bytes of the head to send: the app's lines as they came, our Host, and the token.

        Every copy of the injected field that the app sent is dropped, whatever its case, also spelt with `_` or `.`.
        """
        prepared = head.prepared
        if prepared is None or prepared[0] is not self:
            prepared = head.prepared = (self, self._prepare(head, target))
        return prepared[1] + token.line.reveal() + b"\r\n" if token is not None else prepared[1] + b"\r\n"

    def _prepare(self, head: RequestHead, target: bytes) -> bytes:
        """Return all of a head but the token."""
        fields, dropped = head.fields, self.dropped
        if fields.nominated:
            dropped |= fields.nominated
        if head.http_10:
            dropped |= _NOT_IN_HTTP_10
        parts = [head.method, b" ", target, self._host_line, fields.without(dropped)]
        trailers = b"te" in fields.nominated and _takes_trailers(fields.values(b"te"))
        if (fields.upgrade is not None or trailers) and not head.http_10:
            parts.append(_hop(fields.upgrade, trailers))
        return b"".join(parts)

    def dropped_from(self, response: ResponseHead) -> frozenset[bytes]:
        """Return the folded names of the fields of a response, interim or final, that do not pass."""
        if self.reflected:
            response.fields.find(self.reflected)
        nominated = response.fields.nominated
        return self.response_dropped | nominated if nominated else self.response_dropped

    def accepted(self, token: Token) -> None:
        """The upstream took this token."""
        self.last_accepted = token
        if self.credential is not None:
            self.credential.accepted(token)

    def held_down(self, token: Token, now_s: float) -> bool:
        """Whether a rejection of this token is relayed at once (monotonic time).

        Not where it was taken here and is rejected for the first time: then it was revoked, hold-down or not.
        Nor where there is another one by now that has not been rejected.
        """
        if now_s >= self.held_down_until:
            return False
        if self.credential is None:
            return True
        return not self.credential.may_be_replaced(token, taken_there=self.took(token))

    def took(self, token: Token) -> bool:
        """Whether the upstream took this token here before: rejected now, it was revoked, whatever other routes say."""
        return same(self.last_accepted, token)

    def hold_down(self, token: Token, now_s: float) -> None:
        """The token that came for a rejected one is rejected too: for a while, no rejection here causes an exchange."""
        if now_s >= self.held_down_until:
            _log.warning("%s: held down, %.0f s: %s %s", self.name, self._hold_down_s, NO_HELP_REASON, NO_HELP_REMEDY)
        self.held_down_until = now_s + self._hold_down_s
        if self.credential is not None:
            self.credential.note_rejected(token)

    def renew_after(self, token: Token, now_s: float) -> bool:
        """Have a rejected token renewed for the next request, as this one cannot be sent again.

        Returns:
            False: that was done a moment ago, and this is the token that it brought. The route is held down.
        """
        credential = self.credential
        if credential is None or credential.current() is not token:
            return True
        if self._renewed is not None and self._renewed is not token and now_s < self._renewed_until:
            self.hold_down(token, now_s)
            return False
        self._renewed = token
        self._renewed_until = now_s + self._hold_down_s
        credential.renew_after(token, taken_there=self.took(token))
        return True


def _takes_trailers(values: list[bytes]) -> bool:
    """Whether TE says that trailers will be used (RFC 9110 10.1.4): some servers send none otherwise."""
    return any(coding.strip(b" \t").lower() == b"trailers" for value in values for coding in value.split(b","))


def _hop(upgrade: bytes | None, trailers: bool) -> bytes:
    """Return the lines that say for this hop what the app's said for its own: an upgrade, and that trailers pass."""
    if upgrade is None:
        return b"Connection: TE\r\nTE: trailers\r\n"
    more = (b", TE", b"TE: trailers\r\n") if trailers else (b"", b"")
    return b"Connection: Upgrade%b\r\nUpgrade: %b\r\n%b" % (more[0], upgrade, more[1])
