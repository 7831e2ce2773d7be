"""Who may ask the admin listener for what.

On loopback, every browser on this machine can reach it, and so can any web page that
is open there: the gate's rules for Host, Origin and Sec-Fetch-Site hold here too.
Beyond loopback, probes and Prometheus dial an address that nobody knows beforehand,
so any Host is admitted, and only health and metrics are there at all. A page of
another origin is refused there as well: no probe is one.
"""

from __future__ import annotations

from sidecar.errors import BadRequest, NoRoute
from sidecar.gate import Gate
from sidecar.messages import RequestHead

_HEALTH = frozenset((b"/livez", b"/healthz", b"/startupz", b"/readyz", b"/metrics"))


class Admission:
    """The rules of one admin listener.

    Args:
        loopback: whether only this machine can reach it.
    """

    def __init__(self, *, loopback: bool) -> None:
        self._loopback = loopback
        self._gate = Gate(for_people=True)

    def admit(self, head: RequestHead, own: frozenset[bytes]) -> None:
        """Let a request in, or raise.

        Args:
            own: the Host values that name the listener.

        Raises:
            BadRequest: no Host, or one that is none.
            Refused: a stranger.
            NoRoute: a path that is not served beyond loopback.
        """
        if self._loopback:
            self._gate.admit(head, own)
            return
        host = head.fields.host
        if host is None and not head.http_10:  # some load balancers still probe by HTTP/1.0, without a Host
            raise BadRequest("no Host (RFC 9112 3.2)", reason="host")
        if head.fields.from_browser:
            self._gate.admit_page(head.fields, host or b"")
        if head.path not in _HEALTH and not head.path.startswith(b"/readyz/"):
            raise NoRoute("Beyond loopback, the admin listener serves health and metrics alone: see /readyz?verbose.")
