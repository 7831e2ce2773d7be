"""The forward proxy: apps whose base URL cannot be changed, but that honour `http_proxy`.

Such an app asks the proxy for `http://api.example.com/v1/x`, in absolute form, as if the API
spoke plain HTTP. Here that names a route: the request goes where the route leads, by https and
with the token, as if it had come to an ordinary listener.

| the target's authority is | its path is |
|---|---|
| the host of a route's upstream | the upstream's own; the rules see what a listener would have been asked for |
| a route's `match.host` | what a listener would have been asked for |

Never an open proxy. What no route leads to is refused, by whatever trick it is named: the
authority is compared, never resolved, and not used to connect. A path counts where the route
would send it for a request to an ordinary listener; what another route shadows there, or a rule
forbids, is out of reach here too. CONNECT is refused before any of this (`http1.py`).

Nor is a browser served: one whose proxy this is (many obey `http_proxy`) would lend the token to every
page that it shows. What keeps pages out of an ordinary listener does not suffice. Fetch Metadata go to
https and to localhost alone, and a link, an image or a script has no Origin: none of Chromium's requests
for `http://api.example.com` says by itself that a page made it. So browsers are told by what they all send.

Source: RFC 9112 3.2.2; Fetch Metadata Request Headers 2; Upgrade Insecure Requests 3.2; RFC 6797 8.3
for ports: `http` without a port, or with 80, stands for `https` on 443; any other port stays as it is.
"""

from __future__ import annotations

import binascii
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from sidecar.errors import BadRequest, NoRoute, ProxyTokenMissing, Refused
from sidecar.gate import TOKEN_FIELD, Gate, is_a_browser_s
from sidecar.messages import Fields, RequestHead
from sidecar.routes import Match, Routes

R = TypeVar("R")

_PROXY_TOKEN = b"proxy-authorization"


class ForwardGate(Gate):
    """Admits a request to a forward listener or refuses it. An ordinary one names itself by Host; this one never."""

    def admit(self, head: RequestHead, own: frozenset[bytes]) -> None:
        """Let a request in, or raise.

        Args:
            own: not looked at: a forward listener has no name of its own.

        Raises:
            BadRequest: not a request to a proxy.
            ProxyTokenMissing: the token that callers must send is missing or wrong.
            Refused: a stranger.
        """
        fields, authority = head.fields, head.authority
        if authority is None:
            raise BadRequest(
                "this listener is a forward proxy: it takes requests for whole URLs alone",
                reason="target",
                remedy="set http_proxy to it; as a base URL, take a listener that is not `mode: forward`",
            )
        if fields.host is None:
            raise BadRequest("no Host (RFC 9112 3.2)", reason="host")
        if _plain(fields.host) != _plain(authority):
            # RFC 9112 3.2.2 has a proxy take the target's. An honest client sends the same.
            raise Refused("the Host is not the target's authority", reason="host")
        if fields.from_browser or is_a_browser_s(fields):
            self._admit_browser(fields)
        if self._header is not None and fields.values(self._header[0]) != [self._header[1]]:
            raise Refused("a field that callers must send once is missing or wrong", reason="require_header")
        if self._token is not None:
            given = [*fields.values(TOKEN_FIELD), *map(_password, fields.values(_PROXY_TOKEN))]
            if len(given) != 1 or not hmac.compare_digest(given[0], self._token.reveal()):
                raise ProxyTokenMissing()

    def _admit_browser(self, fields: Fields) -> None:
        """No page is this listener's own, so only those of a configured origin come in."""
        origins = fields.values(b"origin")
        if len(origins) != 1 or origins[0] not in self._origins:
            raise Refused(
                "a browser sent this, and this proxy is for apps",
                reason="origin",
                remedy="take this proxy out of the browser's settings; gate.origins admits a page by its origin; an app"
                " that takes a browser's name (User-Agent: Mozilla/...) needs one of its own",
            )


def _plain(authority: bytes) -> bytes:
    """Return an authority of http in lower case, without the port that it has anyway."""
    return authority.lower().removesuffix(b":80")


def _password(credentials: bytes) -> bytes:
    """Return the password of `Basic` credentials (RFC 7617 2); b"" for whatever else this is."""
    scheme, _, encoded = credentials.partition(b" ")
    try:
        decoded = binascii.a2b_base64(encoded.strip(b" "), strict_mode=True)
    except binascii.Error:
        return b""
    return decoded.partition(b":")[2] if scheme.lower() == b"basic" else b""


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a route is found among absolute URLs: by these authorities, at this path and below.

    `path` and `local` are without a slash at the end; `local` is the same path on an ordinary listener. `bound` says
    that the authorities are the Host that the route is bound to, and not its upstream's.
    """

    authorities: frozenset[bytes]
    path: str
    local: str
    bound: bool


def reaches(path: str, host: str | None, upstream: str, *, strip_prefix: bool) -> tuple[Reach, ...]:
    """Return where a route is found: by the Host that it is bound to, and by its upstream's.

    Args:
        path: the prefix that the route matches.
        host: the Host that it is bound to, None for none.
        upstream: its URL.
        strip_prefix: whether the prefix is taken off.
    """
    local = path.rstrip("/")
    url = urlsplit(upstream)
    bound = _names(host) if host is not None else frozenset[bytes]()
    # A name that the route is bound to has the listener's paths, also where it is the upstream's as well.
    theirs = _names(url.netloc, https=url.scheme == "https") - bound
    sent = url.path.rstrip("/") + ("" if strip_prefix else local)
    found = Reach(bound, local, local, bound=True), Reach(theirs, sent, local, bound=False)
    return tuple(reach for reach in found if reach.authorities)


def _names(authority: str, *, https: bool = False) -> frozenset[bytes]:
    """Return the authorities of http that stand for this one."""
    given = authority.lower().encode()
    usual = b"443" if https else b"80"
    name, _, port = given.rpartition(b":")
    if not port.isdigit():
        name, port = given, usual
    exact = name + b":" + port
    return frozenset((exact, name, name + b":80") if port == usual else (exact,))


class Way(Generic[R]):
    """The way to one route by one authority of one of its reaches.

    Args:
        reach: where it is.
        match: what the route matches on an ordinary listener.
        routes: those of ordinary listeners.
    """

    def __init__(self, reach: Reach, match: Match, routes: Routes[R]) -> None:
        self.outer = Match(
            reach.path, host=None, strip_prefix=False, upstream_prefix="", allow=(), agent_safe=match.agent_safe
        )
        self._reach = reach
        self._match = match
        self._routes = routes

    def admit(self, head: RequestHead) -> bytes:
        """Check a request that this reach covers, and return the target to send.

        Raises:
            NoRoute: on an ordinary listener, the route does not send this.
            Refused: a rule forbids it, or would if the path were read otherwise.
        """
        self.outer.admit(head)  # no other reach at this authority may be meant
        inner = self._on_a_listener(head)
        if self._routes.match(inner)[0] is not self._match:
            raise NoRoute("no route sends this path to that host", reason="no_route")
        sent = self._match.admit(inner)
        return sent if self._reach.bound else head.target

    def _on_a_listener(self, head: RequestHead) -> RequestHead:
        """Return what an app would have asked an ordinary listener for."""
        target = self._reach.local.encode() + head.target[len(self._reach.path) :]
        if target[:1] != b"/":
            target = b"/" + target
        inner = RequestHead(head.raw, head.method, target, head.http_10, head.fields)
        inner.authority = self._match.host or head.authority
        return inner


class ForwardRoutes(Generic[R]):
    """Finds the route of a request to a forward listener.

    Args:
        found: each route with what it matches, and where it is found.
        routes: those of ordinary listeners.
    """

    def __init__(self, found: Sequence[tuple[Match, R, Sequence[Reach]]], routes: Routes[R]) -> None:
        ways: dict[bytes, list[tuple[Match, tuple[Way[R], R]]]] = {}
        each = [(reach, match, route) for match, route, its in found for reach in its]
        # Routes keep their order at the same path: one that is bound to the name goes before an upstream's.
        for reach, match, route in sorted(each, key=lambda one: not one[0].bound):
            for authority in reach.authorities:
                way = Way(reach, match, routes)
                ways.setdefault(authority, []).append((way.outer, (way, route)))
        self._by_authority = {authority: Routes(its) for authority, its in ways.items()}

    def match(self, head: RequestHead) -> tuple[Way[R], R]:
        """Return the way that a request takes, and its route.

        Raises:
            NoRoute: none reaches this path.
            Refused: none leads to this host.
        """
        there = self._by_authority.get((head.authority or b"").lower())
        if there is None:
            raise Refused(
                "no route of this proxy leads to that host and port",
                reason="host",
                remedy="add a route whose upstream or match.host it is, or name it in NO_PROXY, so that the app goes"
                " there by itself",
            )
        return there.match(head)[1]
