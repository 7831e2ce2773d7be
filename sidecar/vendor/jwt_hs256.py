"""JSON Web Tokens signed with HMAC-SHA256, as far as the pretend vendor needs them.

Not a JWT library: one algorithm, and no claim is judged here. The rule: what was
not signed with the secret, byte for byte, has no claims.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _packed(value: Mapping[str, object]) -> str:
    return _text(json.dumps(value, separators=(",", ":")).encode())


_HEADER = _packed({"alg": "HS256", "typ": "JWT"})


def sign(claims: Mapping[str, object], secret: bytes) -> str:
    """Return the claims as a compact JWT (RFC 7515 3.1)."""
    signed = f"{_HEADER}.{_packed(claims)}"
    return f"{signed}.{_signature(signed, secret)}"


def verify(token: str, secret: bytes) -> dict[str, object] | None:
    """Return the claims of a token that was made by `sign` with this secret, else None."""
    signed, _, signature = token.rpartition(".")
    if not hmac.compare_digest(_signature(signed, secret).encode(), _encoded(signature)):
        return None
    payload = signed.partition(".")[2]
    claims: dict[str, object] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def _signature(signed: str, secret: bytes) -> str:
    return _text(hmac.digest(secret, _encoded(signed), hashlib.sha256))


def _encoded(text: str) -> bytes:
    # A header value may hold any byte; aiohttp hands the odd ones over as surrogates.
    return text.encode("utf-8", "surrogatepass")
