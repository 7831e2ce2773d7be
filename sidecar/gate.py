"""The gate: who may use a listener. It looks at a request's head alone, before any route.

It keeps two kinds of strangers out. A web page that the user happens to have
open can send requests to localhost: its Origin or Sec-Fetch-Site gives it away
(CSRF), and so does a Host that is not ours (DNS rebinding). And on a shared
machine other users can connect: `require_header` and `require_token` are for
them. Matching is exact, never by prefix, suffix or resolution.

Source: RFC 9110 4.3, Fetch Metadata Request Headers 2.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from sidecar.errors import BadRequest, Refused
from sidecar.messages import Fields, RequestHead
from sidecar.secret import Secret

TOKEN_FIELD = b"sidecar-token"
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")

_FOLD = str.maketrans("_.", "--")
_NEVER = frozenset((b"CONNECT", b"TRACE"))
_OWN_SITES = frozenset((b"same-origin", b"none"))


@dataclass(frozen=True, slots=True)
class HeaderRule:
    """A field that callers must send, with exactly this value."""

    name: str
    value: str


def authorities(port: int | None, names: tuple[str, ...]) -> frozenset[bytes]:
    """Return the Host values that name a listener.

    Args:
        port: the listener's, or None for a unix socket.
        names: further names that are admitted; one with a port is taken as it is.
    """
    if port is None:
        return frozenset(name.lower().encode() for name in (*LOCAL_NAMES, *names))
    with_port = {f"{name}:{port}" for name in (*LOCAL_NAMES, *names)}
    plain = {*names, *LOCAL_NAMES} if port == 80 else {*names}
    return frozenset(name.lower().encode() for name in with_port | plain)


class Gate:
    """Admits a request or refuses it.

    Args:
        origins: browser origins admitted besides the listener's own.
        require_header: a field that callers must send.
        require_token: what callers must send in Sidecar-Token.
    """

    def __init__(
        self,
        *,
        origins: tuple[str, ...] = (),
        require_header: HeaderRule | None = None,
        require_token: Secret | None = None,
    ) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)
        self._header = None
        self.watched = frozenset((TOKEN_FIELD,))  # what it asks a head for
        if require_header is not None:
            name = require_header.name.lower().translate(_FOLD).encode()
            self._header = (name, require_header.value.encode())
            self.watched |= {name}
        self._token = require_token

    def admit(self, head: RequestHead, own: frozenset[bytes]) -> None:
        """Let a request in, or raise.

        Args:
            own: the Host values that name the listener it came in on.

        Raises:
            BadRequest: no Host, a method that no proxy like this serves.
            Refused: a stranger.
        """
        if head.method in _NEVER:
            raise BadRequest("this method is not served here", reason="method", status=405)
        fields = head.fields
        host = fields.host
        if host is None:
            raise BadRequest("no Host (RFC 9112 3.2)", reason="host")
        if host not in own and host.lower() not in own:
            raise Refused("the Host is not one of this listener's", reason="host")
        if head.authority is not None and head.authority.lower() not in own:
            raise Refused("the target's authority is not one of this listener's", reason="host")
        if fields.from_browser:
            self._admit_browser(fields, host)
        if self._header is not None and fields.value(self._header[0]) != self._header[1]:
            raise Refused("a field that callers must send is missing", reason="require_header")
        if self._token is not None:
            given = fields.value(TOKEN_FIELD) or b""
            if not hmac.compare_digest(given, self._token.reveal()):
                raise Refused("Sidecar-Token is missing or wrong", reason="require_token")

    def _admit_browser(self, fields: Fields, host: bytes) -> None:
        """Only pages that came from this listener, or from a configured origin."""
        origins = fields.values(b"origin")
        if len(origins) == 1 and origins[0] in self._origins:
            return
        if any(origin.lower() != b"http://" + host.lower() for origin in origins):
            raise Refused("a web page of another origin", reason="origin")
        if not _OWN_SITES.issuperset(fields.values(b"sec-fetch-site")):
            raise Refused("a web page of another site", reason="origin")
