"""The gate: who may use a listener. It looks at a request's head alone, before any route.

It keeps two kinds of strangers out. A web page that the user happens to have
open can send requests to localhost: its Origin or Sec-Fetch-Site gives it away
(CSRF), and so does a Host that is not ours (DNS rebinding). Over http, browsers
send Fetch Metadata to loopback alone, and a link, an image or a script has no
Origin: by another name that is ours no browser comes in without one. And on a shared
machine other users can connect: `require_header` and `require_token` are for
them. Matching is exact, never by prefix, suffix or resolution.

Source: RFC 9110 4.3, Fetch Metadata Request Headers 2, Secure Contexts 3.1, Upgrade Insecure Requests 3.2.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass

from sidecar.errors import BadRequest, Refused
from sidecar.messages import Fields, RequestHead
from sidecar.secret import Secret

TOKEN_FIELD = b"sidecar-token"
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")

_FOLD = str.maketrans("_.", "--")
# A name or an address, and a port. RFC 3986 lets a name hold more; none that is looked up does.
_HOST = re.compile(rb"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_OWN_SITES = frozenset((b"same-origin", b"none"))
_NAVIGATES = b"upgrade-insecure-requests"  # with every navigation, a frame's too
_OF_BROWSERS = frozenset((_NAVIGATES, b"user-agent", b"accept-language"))


@dataclass(frozen=True, slots=True)
class HeaderRule:
    """A field that callers must send, with exactly this value."""

    name: str
    value: str


def authorities(port: int | None, names: tuple[str, ...], bound: str | None = None) -> frozenset[bytes]:
    """Return the Host values that name a listener, in lower case.

    Args:
        port: the listener's, or None for a unix socket.
        names: further names that are admitted, with the port and without; one that has a port is taken as it is.
        bound: the address that it is bound to, where that is one.
    """
    own = LOCAL_NAMES if bound is None else (*LOCAL_NAMES, bound)
    if port is None:
        return frozenset(name.lower().encode() for name in (*own, *names))
    with_port = {f"{name}:{port}" for name in (*own, *names)}
    plain = {*names, *own} if port == 80 else {*names}
    return frozenset(name.lower().encode() for name in with_port | plain)


class Gate:
    """Admits a request or refuses it.

    Args:
        origins: browser origins admitted besides the listener's own.
        require_header: a field that callers must send.
        require_token: what callers must send in Sidecar-Token.
        for_people: there are pages of our own, to be looked at by any of its names.
    """

    def __init__(
        self,
        *,
        origins: tuple[str, ...] = (),
        require_header: HeaderRule | None = None,
        require_token: Secret | None = None,
        for_people: bool = False,
    ) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)
        self._header = None
        self.watched = frozenset((TOKEN_FIELD,))  # what it asks a head for
        if require_header is not None:
            name = require_header.name.lower().translate(_FOLD).encode()
            self._header = (name, require_header.value.encode())
            self.watched |= {name}
        self._token = require_token
        # No page can have a browser send another site a field or a token that is required, so an app has sent those.
        self._wary = not (for_people or require_header or require_token)

    def admit(self, head: RequestHead, own: frozenset[bytes]) -> None:
        """Let a request in, or raise.

        Args:
            own: the Host values that name the listener it came in on.

        Raises:
            BadRequest: no Host, or one that is none.
            Refused: a stranger.
        """
        fields = head.fields
        host = fields.host
        if host is None:
            raise BadRequest("no Host (RFC 9112 3.2)", reason="host")
        if host not in own and host.lower() not in own:
            if not _HOST.fullmatch(host):
                raise BadRequest("the Host is not a host and a port (RFC 9112 3.2)", reason="host")
            raise Refused("the Host is not one of this listener's", reason="host")
        if head.authority is not None and head.authority.lower() != host.lower():
            # RFC 9112 3.2.2: the target's goes. Whoever comes after us may think otherwise.
            raise Refused("the target's authority is not the Host", reason="host")
        if fields.from_browser:
            self.admit_page(fields, host)
        elif self._wary and not _is_loopback(host) and is_a_browser_s(fields):
            raise Refused(
                "a browser sent this, and does not say for which page",
                reason="origin",
                remedy="in a browser, ask by localhost or 127.0.0.1: over http, it says so to these alone; an app that "
                "passes a browser's fields on is let in by gate.require_token or gate.require_header",
            )
        if self._header is not None and fields.values(self._header[0]) != [self._header[1]]:
            raise Refused("a field that callers must send once is missing or wrong", reason="require_header")
        if self._token is not None:
            given = fields.values(TOKEN_FIELD)
            if len(given) != 1 or not hmac.compare_digest(given[0], self._token.reveal()):
                raise Refused("Sidecar-Token is missing or wrong", reason="require_token")

    def admit_page(self, fields: Fields, host: bytes) -> None:
        """Let in what no web page has sent, and pages of this listener or of a configured origin, or raise.

        Raises:
            Refused: a page of a stranger.
        """
        origins = fields.values(b"origin")
        if len(origins) == 1 and origins[0] in self._origins:
            return
        if any(origin.lower() != b"http://" + host.lower() for origin in origins):
            raise Refused("a web page of another origin", reason="origin")
        if not _OWN_SITES.issuperset(fields.values(b"sec-fetch-site")):
            raise Refused("a web page of another site", reason="origin")


def is_a_browser_s(fields: Fields) -> bool:
    """Whether a browser sent this, also where it does not say for which page; apps do not send these together.

    Source: measured, Chromium 156.
    """
    if fields.raw.find(b"Mozilla/") < 0 and fields.raw.find(b"-Insecure-") < 0:  # so every browser spells them
        return False
    fields.find(_OF_BROWSERS)
    if fields.value(_NAVIGATES) is not None:
        return True
    named = any(name.startswith(b"Mozilla/") for name in fields.values(b"user-agent"))
    return named and fields.value(b"accept-language") is not None


def _is_loopback(host: bytes) -> bool:
    """Whether a browser takes an admitted Host for trustworthy without TLS (Secure Contexts 3.1)."""
    return host.startswith((b"127.", b"[::1]")) or host.lower().partition(b":")[0] == b"localhost"
