"""The vendor's API key and the tokens it gave out for it.

Not an endpoint: it knows no HTTP. The rule: a token is good while it was signed
with the secret of now and has not expired. Revoking changes the secret, so no
list of tokens is kept; the last few secrets are remembered, only to say of a
revoked token which one it was.
"""

from __future__ import annotations

import hmac
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sidecar.secret import Secret
from sidecar.vendor import jwt_hs256

Standing = Literal["good", "expired", "revoked", "unknown"]

_ACCOUNT = "acc_demo"
_REMEMBERED_SECRETS = 16


@dataclass(frozen=True, slots=True)
class Issued:
    """A token as it was given out. `expires_at` is wall-clock seconds, `life_s` what was left then."""

    text: Secret
    id: str
    expires_at: float
    life_s: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the vendor thinks of a token that came with a request.

    `expired` is whether it was past its expiry on arrival, revoked or not; `id` and
    `expires_at` are None for what the vendor never signed.
    """

    standing: Standing
    id: str | None = None
    expires_at: float | None = None
    expired: bool = False


class Issuer:
    """Gives out tokens for one API key and judges them.

    Args:
        api_key: the key that may be exchanged.
        token_life_s: seconds a token lives.
        now: wall clock in seconds.
    """

    def __init__(self, api_key: Secret, token_life_s: float, now: Callable[[], float]) -> None:
        self.token_life_s = token_life_s
        self._api_key = api_key
        self._now = now
        self._secret = secrets.token_bytes(32)
        self._retired: deque[bytes] = deque(maxlen=_REMEMBERED_SECRETS)

    def knows(self, api_key: bytes) -> bool:
        """Tell whether this is the API key."""
        return hmac.compare_digest(self._api_key.reveal(), api_key)

    def issue(self, life_s: float | None = None) -> Issued:
        """Return a new token.

        Args:
            life_s: seconds until it expires, instead of the usual; negative for one that expired before it was made.
        """
        life_s = self.token_life_s if life_s is None else life_s
        now = self._now()
        token_id, expires_at = secrets.token_hex(8), round(now + life_s, 3)
        claims = {"sub": _ACCOUNT, "iat": _number(round(now, 3)), "exp": _number(expires_at), "jti": token_id}
        return Issued(Secret(jwt_hs256.sign(claims, self._secret)), token_id, expires_at, life_s)

    def judge(self, token: str) -> Verdict:
        """Return what the vendor thinks of this token now."""
        for secret in (self._secret, *self._retired):
            claims = jwt_hs256.verify(token, secret)
            if claims is not None:
                return self._verdict(claims, revoked=secret is not self._secret)
        return Verdict("unknown")

    def revoke_tokens(self) -> None:
        """Make every token given out so far worthless, at once."""
        self._retired.append(self._secret)
        self._secret = secrets.token_bytes(32)

    def replace_key(self, api_key: Secret, *, keep_tokens: bool = False) -> None:
        """Make the old API key worthless, and its tokens where they are not kept; from now on `api_key` is the key."""
        self._api_key = api_key
        if not keep_tokens:
            self.revoke_tokens()

    def _verdict(self, claims: dict[str, object], *, revoked: bool) -> Verdict:
        expires_at = float(str(claims["exp"]))
        expired = expires_at <= self._now()
        standing: Standing = "revoked" if revoked else "expired" if expired else "good"
        return Verdict(standing, str(claims["jti"]), expires_at, expired)


def _number(seconds: float) -> float:
    """Return whole seconds as an int: a NumericDate (RFC 7519 2) may have a fraction, but seldom does."""
    return int(seconds) if seconds.is_integer() else seconds
