"""Who may ask the admin listener for what.

On loopback, every browser on this machine can reach it, and so can any web page that
is open there: the gate's rules for Host, Origin and Sec-Fetch-Site hold here too.
Beyond loopback, probes and Prometheus dial an address that nobody knows beforehand,
so any Host is admitted, and only health and metrics are there at all.
"""

from __future__ import annotations

from collections.abc import Collection

from aiohttp import web

from sidecar.errors import BadRequest, NoRoute, Refused
from sidecar.gate import authorities

_HEALTH = frozenset({"/livez", "/healthz", "/startupz", "/readyz", "/metrics"})
_OWN_SITES = frozenset({"same-origin", "none"})


class Admission:
    """The rules of one admin listener.

    Args:
        loopback: whether only this machine can reach it.
        own_hosts: names beside localhost, 127.0.0.1 and [::1] by which it is known.
        port: where it listens; None for a unix socket.
    """

    def __init__(self, *, loopback: bool, own_hosts: Collection[str], port: int | None) -> None:
        self._loopback = loopback
        self._own = {name.decode() for name in authorities(port, tuple(own_hosts))}

    def admit(self, request: web.BaseRequest) -> None:
        """Let a request in, or raise.

        Raises:
            BadRequest: no Host, or several.
            Refused: a stranger.
            NoRoute: a path that is not served beyond loopback.
        """
        hosts = request.headers.getall("Host", [])
        if self._loopback:
            if len(hosts) != 1:
                raise BadRequest("not exactly one Host (RFC 9112 3.2)", reason="host")
            self._admit_local(request, hosts[0].lower())
        elif request.path not in _HEALTH and not request.path.startswith("/readyz/"):
            raise NoRoute("Beyond loopback, the admin listener serves health and metrics alone.")

    def _admit_local(self, request: web.BaseRequest, host: str) -> None:
        if host not in self._own:
            raise Refused("the Host is not one of this listener's; ask for localhost with its port", reason="host")
        if any(origin.lower() != f"http://{host}" for origin in request.headers.getall("Origin", [])):
            raise Refused("a web page of another origin", reason="origin")
        if any(site not in _OWN_SITES for site in request.headers.getall("Sec-Fetch-Site", [])):
            raise Refused("a web page of another site", reason="origin")
