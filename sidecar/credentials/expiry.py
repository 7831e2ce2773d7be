"""When a token expires, read from whatever its answer says about it.

Pure functions over numbers and text; nothing here verifies a token, since its
upstream is the audience and we are not. The earliest moment counts, and a moment
that cannot be understood makes the answer malformed: guessing would either wear
a dead token or exchange without end.

| shape of a moment | read as |
|---|---|
| `2030-01-31T12:00:00Z`, `t`, `z`, a space for `T`, `20300131T120000Z`, a date alone | ISO 8601 |
| with `+02:00`, `+0200`, `+02`, ` +0200`, ` UTC`, ` GMT`, `[Europe/Paris]` after it, or none (UTC) | the same |
| with a fraction of any length | the same, to the microsecond |
| `Thu, 31 Jan 2030 12:00:00 GMT` | RFC 1123 (an HTTP-date) |
| `1900000000`, `1900000000.5`, the same as text | seconds since the epoch |
| a number too large to be seconds before the year 10000 | milliseconds since the epoch |
| one too large for those too, and a moment before 2200 in this unit | microseconds, or else nanoseconds |
| NaN, infinite, negative, beyond the year 9999, true, a list, `1h`, anything else | malformed |

A length of time (`expires_in`) is a number of seconds, or the text of one; `1h` and `3600s` are malformed.

Clocks that differ. A moment is by the issuer's clock, so it is corrected by the answer's `Date`
(and `Age`, where a cache stands between). An answer without one still has its token's `iat`: no
token is issued in the future, so a later `iat` than our now shows that our clock is behind, by
that much at least. An earlier one shows nothing: a token may be handed out long after it was
issued. So without `Date` a clock of ours that is ahead has tokens look dead on arrival, which is
refused (nobody can tell them from dead ones); a length of time is right by any clock.
"""

from __future__ import annotations

import json
import math
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType

from sidecar.errors import ExchangeFailed
from sidecar.secret import Secret

# 9999-12-31T23:59:59Z. Some vendors write it for "never".
LAST_MOMENT = 253_402_300_799.0
# Date has whole seconds and an answer travels: less than this is no difference.
_SAME_CLOCK_S = 5.0
_NO_CLAIMS: Mapping[str, object] = MappingProxyType({})
_LONGEST_MOMENT = 100
_AGE = re.compile(r"[0-9]{1,9}")
# No token lives until then; a Windows file time, read as microseconds, would.
_FINE_UNITS_END = 7_258_118_400.0  # 2200-01-01T00:00:00Z
_FINE_UNITS_BEGIN = 978_307_200.0  # 2001-01-01T00:00:00Z
# What languages write after the time of day: ` UTC`, ` GMT`, ` +0000` (and ` UTC` after that), `[Zone/Name]`.
_ZONE_AFTER = re.compile(r"(?: (?P<offset>[+-][0-9]{2}:?[0-9]{2}))?(?P<utc> UTC| GMT)?(?:\[[A-Z/_+\-0-9]{1,40}\])?$")
_RFC_1123 = re.compile(r"[A-Za-z]{3}, [0-9]{1,2} [A-Za-z]{3} [0-9]{4} [0-9:]{8} (?:GMT|UTC|[+-][0-9]{4})")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)


def expiry(
    secret: Secret,
    *,
    expires_at: object | None,
    expires_in: object | None,
    default_ttl_s: float,
    now: float,
    ahead_s: float | None,
) -> float:
    """Return when a token expires, by our clock: the earliest of all that is said about it.

    Args:
        secret: the token; where it is a JWT its `exp` counts too.
        expires_at: what the answer says, in one of the shapes above; None where it says nothing.
        expires_in: seconds from now, a number or the text of one; None where it says nothing.
        default_ttl_s: the life of a token about which nothing is said, in seconds.
        now: when the answer came, wall-clock seconds.
        ahead_s: how far their clock is ahead of ours (`clock_difference`), in seconds; None where that is not known.

    Raises:
        ExchangeFailed: `bad_response`, one of them cannot be understood.
    """
    claims = jwt_claims(secret)
    if ahead_s is None:
        ahead_s = _ahead_by_iat(claims.get("iat"), now)
    moments = [moment(stated) - ahead_s for stated in (expires_at, claims.get("exp")) if stated is not None]
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
        number = _in_seconds(number)
    if not 0 <= number <= LAST_MOMENT:
        raise ExchangeFailed("bad_response", "the answer's expiry is not a date and time", cause="expiry")
    return number


def seconds(stated: object) -> float:
    """Return a length of time in seconds.

    Raises:
        ExchangeFailed: `bad_response`, it is not a number, negative, or longer than any life.
    """
    number = _number(stated)
    if number is None or not 0 <= number <= LAST_MOMENT:
        raise ExchangeFailed("bad_response", "the answer's expiry is not a number of seconds", cause="expiry")
    return number


def jwt_claims(secret: Secret) -> Mapping[str, object]:
    """Return a JWT's claims as they stand there, unverified; none for a token that is no JWT.

    Verifying is for the audience, which we are not. Without it, a JWT library would be here to decode base64 and
    JSON, and where `cryptography` is installed PyJWT loads that too: 9 MB for every pod, 1.5 MB without it.

    Source: RFC 7519 3 and 4.1.4, RFC 7515 7.1.
    """
    parts = secret.reveal().split(b".")
    if len(parts) != 3:
        return _NO_CLAIMS
    try:
        header, claims = (json.loads(urlsafe_b64decode(part + b"=" * (-len(part) % 4))) for part in parts[:2])
    except (ValueError, RecursionError):
        return _NO_CLAIMS
    is_jwt = isinstance(header, dict) and "alg" in header and isinstance(claims, dict)
    return claims if is_jwt else _NO_CLAIMS


def _ahead_by_iat(iat: object | None, now: float) -> float:
    """Return how far the issuer's clock is ahead of ours at least, by when it says that it issued a token."""
    try:
        ahead_s = moment(iat) - now
    except ExchangeFailed:
        return 0.0  # there is none, or it says nothing
    return ahead_s if ahead_s > _SAME_CLOCK_S else 0.0


def their_now(date: str | None, age: str | None = None) -> float | None:
    """Return what another clock says now, by the `Date` of its answer; None where that does not say.

    Args:
        date: the field.
        age: the `Age` field: for how many seconds a cache has kept the answer.

    Source: RFC 9110 6.6.1, RFC 9111 4.2.3.
    """
    theirs = http_date(date)
    if theirs is not None and age is not None and _AGE.fullmatch(age.strip()):
        theirs += int(age)
    return theirs


def clock_difference(date: str | None, now: float, age: str | None = None) -> float:
    """Return how many seconds another clock is ahead of ours, by its answer's `Date` and `Age`.

    0 for a difference of up to 5 s, and where the field is missing or not a date.
    """
    theirs = their_now(date, age)
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


def _in_seconds(number: float) -> float:
    """Return a moment in seconds that is too large to be given in them."""
    if number <= LAST_MOMENT * 1000:
        return number / 1000
    for unit in (1e6, 1e9):
        if _FINE_UNITS_BEGIN <= number / unit < _FINE_UNITS_END:
            return number / unit
    return math.nan


def _iso_8601(text: str) -> float:
    text = text.strip()
    if len(text) > _LONGEST_MOMENT:
        return math.nan
    if _RFC_1123.fullmatch(text):
        return http_date(text) or math.nan
    text = text.upper()
    if after := _ZONE_AFTER.search(text):
        zone = after["offset"] or ("Z" if after["utc"] else "")
        text = text[: after.start()] + zone
    try:
        return _timestamp(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return math.nan


def _timestamp(parsed: datetime) -> float:
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
