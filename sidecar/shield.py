"""The shield: vendors' own SDKs exchange their key themselves, and are given an exchange that gives nothing away.

An app that uses such an SDK through the sidecar changes its base URL and
nothing else: the SDK posts whatever key it was given to the vendor's exchange
path, is answered here at once with a placeholder token that lasts a day, and
sends that with each request, where it is dropped and the real one put on.

What was posted is neither forwarded nor logged, and the real token is never
handed out. A posted key that looks real is worth a warning: it has no business
in that app any more.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from sidecar.dataplane.flow import Body
from sidecar.messages import RequestHead

PLACEHOLDER_KEY = "gct_placeholder"
PLACEHOLDER_TOKEN = "sidecar-placeholder-token"  # noqa: S105  # what it says
PLACEHOLDER_LIFE_S = 24 * 3600
# A body with a key in it is some hundred bytes.
MOST_BODY_BYTES = 16 * 1024

_log = logging.getLogger("sidecar.shield")


class Shield:
    """Answers the key exchange of one vendor's SDKs.

    Args:
        path: where they exchange keys; whatever prefix the app's base URL has comes before it.
        key_prefix: what the vendor's real keys begin with.
    """

    def __init__(self, path: str, key_prefix: str = "gct_") -> None:
        self._path = path.encode()
        self._key_prefix = key_prefix

    def covers(self, head: RequestHead) -> bool:
        """Whether this request is an SDK's key exchange."""
        return head.method == b"POST" and head.path.endswith(self._path)

    def answer(self, now: float, *, close: bool) -> bytes:
        """Return the whole answer.

        Args:
            now: wall-clock seconds.
            close: whether the connection ends after it.
        """
        expires_at = datetime.fromtimestamp(now + PLACEHOLDER_LIFE_S, UTC)
        content = {"token": PLACEHOLDER_TOKEN, "expiresAt": f"{expires_at:%Y-%m-%dT%H:%M:%S}.000Z"}
        body = json.dumps(content).encode()
        lines = [
            "HTTP/1.1 200 OK",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            "Cache-Control: no-store",
            "Proxy-Status: sidecar",
        ]
        if close:
            lines.append("Connection: close")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def looks_real(self, content: bytes) -> bool:
        """Whether a real key was posted."""
        try:
            posted = json.loads(content)
        except (ValueError, RecursionError):
            return False
        values = posted.values() if isinstance(posted, dict) else ()
        keys = [value for value in values if isinstance(value, str) and value.startswith(self._key_prefix)]
        return any(key != PLACEHOLDER_KEY for key in keys)

    async def take(self, body: Body | None, route: str) -> None:
        """Take in what was posted, as far as it is small, and warn where it is a real key."""
        if body is None or body.length is None or body.length > MOST_BODY_BYTES:
            return
        await body.finished()
        if self.looks_real(b"".join(body.held)):
            _log.warning("%s: an app posted what looks like a real API key; give it %s instead", route, PLACEHOLDER_KEY)
