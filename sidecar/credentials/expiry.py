"""When a token expires, read from whatever its answer says about it.

Pure functions over numbers and text; nothing here verifies a token, since its
upstream is the audience and we are not. The earliest moment counts, and a moment
that cannot be understood makes the answer malformed: guessing would either wear
a dead token or exchange without end.

| shape | read as |
|---|---|
| `2030-01-31T12:00:00Z`, with an offset, with none (UTC), a fraction of any length | ISO 8601 |
| `1900000000`, `1900000000.5`, the same as text | seconds since the epoch |
| `1900000000000`, or any number too large to be seconds before the year 10000 | milliseconds since the epoch |
| NaN, infinite, negative, beyond the year 9999, anything else | malformed |
"""

from __future__ import annotations

import json
import math
import re
from base64 import urlsafe_b64decode
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from sidecar.errors import ExchangeFailed
from sidecar.secret import Secret

# 9999-12-31T23:59:59Z. Some vendors write it for "never".
LAST_MOMENT = 253_402_300_799.0
# Date has whole seconds and an answer travels: less than this is no difference.
_SAME_CLOCK_S = 5.0
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)


def expiry(
    secret: Secret,
    *,
    expires_at: object | None,
    expires_in: object | None,
    default_ttl_s: float,
    now: float,
    ahead_s: float,
) -> float:
    """Return when a token expires, by our clock: the earliest of all that is said about it.

    Args:
        secret: the token; where it is a JWT its `exp` counts too.
        expires_at: what the answer says, in one of the shapes above; None where it says nothing.
        expires_in: seconds from now, a number or the text of one; None where it says nothing.
        default_ttl_s: the life of a token about which nothing is said, in seconds.
        now: when the answer came, wall-clock seconds.
        ahead_s: how far their clock is ahead of ours (`clock_difference`), in seconds.

    Raises:
        ExchangeFailed: `bad_response`, one of them cannot be understood.
    """
    moments = [moment(stated) - ahead_s for stated in (expires_at, jwt_exp(secret)) if stated is not None]
    if expires_in is not None:
        moments.append(now + seconds(expires_in))
    return min(moments, default=now + default_ttl_s)


def moment(stated: object) -> float:
    """Return a moment in seconds since the epoch.

    Raises:
        ExchangeFailed: `bad_response`, it is none of the shapes above.
    """
    number = _number(stated)
    if number is None:
        number = _iso_8601(stated) if isinstance(stated, str) else math.nan
    elif number > LAST_MOMENT:
        number /= 1000
    if not 0 <= number <= LAST_MOMENT:
        raise ExchangeFailed("bad_response", "the answer's expiry is not a date and time")
    return number


def seconds(stated: object) -> float:
    """Return a length of time in seconds.

    Raises:
        ExchangeFailed: `bad_response`, it is not a number, negative, or longer than any life.
    """
    number = _number(stated)
    if number is None or not 0 <= number <= LAST_MOMENT:
        raise ExchangeFailed("bad_response", "the answer's expiry is not a number of seconds")
    return number


def jwt_exp(secret: Secret) -> object | None:
    """Return a JWT's `exp` as it stands there, unverified; None for a token that is no JWT or has none.

    Verifying is for the audience, which we are not. Without it, a JWT library would be here to decode base64 and
    JSON, and where `cryptography` is installed PyJWT loads that too: 9 MB for every pod, 1.5 MB without it.

    Source: RFC 7519 3 and 4.1.4, RFC 7515 7.1.
    """
    parts = secret.reveal().split(b".")
    if len(parts) != 3:
        return None
    try:
        header, claims = (json.loads(urlsafe_b64decode(part + b"=" * (-len(part) % 4))) for part in parts[:2])
    except (ValueError, RecursionError):
        return None
    is_jwt = isinstance(header, dict) and "alg" in header and isinstance(claims, dict)
    return claims.get("exp") if is_jwt else None


def clock_difference(date: str | None, now: float) -> float:
    """Return how many seconds another clock is ahead of ours, by its `Date` field.

    0 for a difference of up to 5 s, and where the field is missing or not a date.
    """
    theirs = http_date(date)
    if theirs is None or abs(theirs - now) <= _SAME_CLOCK_S:
        return 0.0
    return theirs - now


def http_date(text: str | None) -> float | None:
    """Return an HTTP-date in seconds since the epoch, or None where it is not one.

    Source: RFC 9110 section 5.6.7, all three forms.
    """
    try:
        parsed = parsedate_to_datetime(text or "")
        return _timestamp(parsed)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _number(stated: object) -> float | None:
    """Return a JSON number, or text that is one; NaN where it is too large to be one; None where it is neither."""
    if isinstance(stated, str):
        text = stated.strip()  # also of what float() does not take for white space
        stated = float(text) if _NUMBER.fullmatch(text) else None
    if isinstance(stated, bool) or not isinstance(stated, int | float):
        return None
    try:
        return float(stated)
    except OverflowError:
        return math.nan


def _iso_8601(text: str) -> float:
    try:
        return _timestamp(datetime.fromisoformat(text.strip().upper()))
    except (ValueError, OverflowError):
        return math.nan


def _timestamp(parsed: datetime) -> float:
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
