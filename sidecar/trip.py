"""One request on its way: what the steps of the path hand to each other, and what is counted at its end."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from sidecar.dataplane.client import ClientConnection
from sidecar.messages import RequestHead, ResponseHead
from sidecar.stats import own_part_s

if TYPE_CHECKING:
    from sidecar.credentials.token import Token
    from sidecar.dataplane.upstream import UpstreamConnection
    from sidecar.route import Route

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Trip:
    """A request between its head and the end of its answer.

    `connection` is the one that it was last sent on. `status` is 0 until an answer begins, and again where one that
    had begun was cut. `relaying` says that bytes of the upstream's answer have gone to the app. `waited_s` is time
    spent waiting for a token or a connection. Moments are seconds of `time.perf_counter`: `answered_at` is when the
    upstream's head came, `relayed_at` when ours went out. `did` is there
    only where the credential did something for it, and `replacement` where it was sent again with that token.
    """

    __slots__ = (
        "answered_at",
        "body",
        "client",
        "connection",
        "continued",
        "did",
        "head",
        "relayed_at",
        "relaying",
        "replacement",
        "route",
        "sent_at",
        "started_at",
        "status",
        "target",
        "waited_s",
    )

    did: str
    replacement: Token

    def __init__(self, client: ClientConnection, head: RequestHead) -> None:
        self.client = client
        self.head = head
        self.body = client.body
        self.route: Route | None = None
        self.target = b""
        self.connection: UpstreamConnection | None = None
        self.continued = False
        self.relaying = False
        self.status = 0
        self.sent_at = 0.0
        self.answered_at = 0.0
        self.relayed_at = 0.0
        self.waited_s = 0.0
        self.started_at = perf_counter()

    @property
    def overhead_s(self) -> float | None:
        """Our own part of it; None where nothing was relayed."""
        if not self.relayed_at:
            return None
        return own_part_s(self.started_at, self.waited_s, self.sent_at, self.answered_at, self.relayed_at)

    @property
    def credential_did(self) -> str:
        """What the credential did for it, in words; "" where its token was there and was taken."""
        return getattr(self, "did", "")  # a slot that nobody fills costs a request nothing

    def interim(self, head: ResponseHead) -> None:
        """Pass a 1xx on (RFC 9110 15.2); a second "go on" would be one too many, and HTTP/1.0 knows none."""
        if self.head.http_10 or self.route is None or self.client.transport.is_closing():
            return
        if head.status == 100:
            if self.continued or not self.head.fields.expects_continue:
                return
            self.continued = True
        self.client.transport.write(head.relayed(self.route.dropped_from(head)) + b"\r\n")

    def go_on(self, connection: UpstreamConnection | None) -> None:
        """The upstream has not said whether it wants the body: tell the app to send it."""
        waits = self.connection is connection and not self.status and not self.continued
        if waits and self.body is not None and not self.body.complete and not self.client.transport.is_closing():
            self.continued = True
            self.client.transport.write(_CONTINUE)
