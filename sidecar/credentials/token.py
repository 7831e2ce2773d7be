"""A token, ready to be sent, and the moment at which to renew it.

Pure values and arithmetic. When a token expires is read in `expiry.py`, what
is done about it is decided in `credential.py`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from sidecar.credentials.rules import Injection
from sidecar.errors import ExchangeFailed
from sidecar.secret import Secret

# A JWT with every group of a large directory in it takes some 10 KiB; no server takes a field beyond 64 KiB.
MOST_TOKEN_BYTES = 64 * 1024
_JITTER = 0.1
_VISIBLE = re.compile(rb"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True, eq=False)
class Token:
    """A token. Compared by identity: two exchanges bring two tokens, even where the bytes are the same.

    Args:
        secret: the token itself.
        line: the complete field line that carries it, with its CRLF.
        obtained_at: when its answer came, wall-clock seconds.
        expires_at: when it ceases to be valid, wall-clock seconds; math.inf for never.
    """

    secret: Secret
    line: Secret
    obtained_at: float
    expires_at: float


def is_visible(value: bytes) -> bool:
    """Return whether there is something, and all of it visible ASCII: then it cannot end a field early or split it."""
    return _VISIBLE.fullmatch(value) is not None


def make_token(secret: Secret, injection: Injection, *, obtained_at: float, expires_at: float) -> Token:
    """Put a token and its field line together.

    Args:
        secret: the token as it came.
        injection: the field that carries it.
        obtained_at: wall-clock seconds.
        expires_at: wall-clock seconds, or math.inf.

    Raises:
        ExchangeFailed: `bad_response`, it could not be sent in a field, is too long, or has expired already.
    """
    value = secret.reveal()
    if len(value) > MOST_TOKEN_BYTES:
        raise ExchangeFailed("bad_response", f"the token is longer than {MOST_TOKEN_BYTES} bytes")
    if not is_visible(value):
        raise ExchangeFailed("bad_response", "the token is empty or holds something other than visible ASCII")
    if expires_at <= obtained_at:
        text = "the token has already expired (is this machine's clock right?)"
        raise ExchangeFailed("bad_response", text, cause="clock")
    line = f"{injection.header}: {injection.value}\r\n".encode().replace(b"{token}", value)
    return Token(secret, Secret(line), obtained_at, expires_at)


def refresh_at(token: Token, window_s: float, share: float) -> float:
    """Return the moment at which to renew a token, in wall-clock seconds; math.inf for one that never expires.

    That is min(window, life/3) before its expiry, the lead, less a random share of up to 10 % of
    the time from obtaining it to that moment. The share is of that time and not of the lead, so
    that tokens obtained in one second by a whole fleet are renewed over minutes: 354 s for a life
    of an hour. It only ever makes a renewal earlier, and leaves at least 90 % of that time.

    Args:
        token: the token to renew.
        window_s: the refresh window, >= 0.
        share: a random number in [0, 1).
    """
    if token.expires_at == math.inf:
        return math.inf
    life_s = token.expires_at - token.obtained_at
    lead_s = min(window_s, life_s / 3)
    return token.expires_at - lead_s - share * _JITTER * (life_s - lead_s)
