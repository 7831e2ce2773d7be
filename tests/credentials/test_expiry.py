"""When a token expires, from everything that can be said about it."""

from __future__ import annotations

import base64
import json
import math
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.credentials.expiry import LAST_MOMENT, clock_difference, expiry, http_date, jwt_claims, moment, seconds
from sidecar.errors import ExchangeFailed
from sidecar.secret import Secret
from tests.credentials.manual_clock import NOW

OPAQUE = Secret("an-opaque-token")
# Whole seconds that no one mistakes for milliseconds, until 2200.
MOMENTS = st.integers(1, 7_258_118_400)


def make_jwt(claims: object) -> Secret:
    """Return an unsigned JWT with these claims."""
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
    return Secret(b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts) + b".")


def expires(
    secret: Secret = OPAQUE, *, at: object = None, within: object = None, now: float = NOW, ahead_s: float = 0
) -> float:
    """Call `expiry` with a default life of 300 s."""
    return expiry(secret, expires_at=at, expires_in=within, default_ttl_s=300, now=now, ahead_s=ahead_s)


@pytest.mark.parametrize(
    "text",
    [
        "2030-01-01T00:00:00Z",
        "2030-01-01T00:00:00z",
        " 2030-01-01T00:00:00Z ",
        "2030-01-01 00:00:00",
        "2030-01-01T00:00:00",
        "2030-01-01",
        "2030-01-01T00:00Z",
        "20300101T000000Z",
        "2030-01-01T02:00:00+02:00",
        "2029-12-31T19:00:00-0500",
        "2030-01-01T00:00:00.0Z",
        "2030-01-01T00:00:00.000000000000+00:00",
        "1893456000",
        "1893456000.0",
        "1.893456e9",
        "1893456000000",
        "1893456000000000",
        "2030-01-01t00:00:00z",
        "2030-01-01T00:00:00+00",
        "2030-01-01T00:00:00.000+0000",
        "2030-01-01T00:00:00,000Z",
        "2030-01-01 00:00:00 +0000",
        "2030-01-01 00:00:00 UTC",
        "2030-01-01 00:00:00 +0000 UTC",
        "2029-12-31 19:00:00 -0500",
        "2030-01-01T00:00:00Z[UTC]",
        "2030-01-01T01:00:00+01:00[Europe/Paris]",
        "Tue, 01 Jan 2030 00:00:00 GMT",
        "Tue, 1 Jan 2030 02:00:00 +0200",
        "\x1e1893456000\x1f",
        1893456000,
        1893456000.0,
        1893456000000,
        1893456000000000,
        1893456000000000000,
        1.893456e18,
    ],
)
def test_every_shape_of_a_moment(text: object) -> None:
    """One moment, in all the shapes that vendors write it in."""
    assert moment(text) == NOW


@given(MOMENTS, st.integers(-14 * 60, 14 * 60), st.text("0123456789", max_size=12))
def test_iso_8601_with_any_offset_and_fraction(at: int, offset_minutes: int, digits: str) -> None:
    """Offset and fraction are taken into account, to the microsecond."""
    zone = timezone(timedelta(minutes=offset_minutes))
    whole = datetime.fromtimestamp(at, zone).isoformat()
    fraction = "." + digits if digits else ""
    stated = whole[:19] + fraction + whole[19:]
    assert moment(stated) == pytest.approx(at + float("0" + fraction), abs=2e-6)


@given(MOMENTS, st.sampled_from([int, float, str]))
def test_epoch_seconds_stay_as_they_are(at: int, shape: type) -> None:
    """Seconds are seconds, as a number or as text."""
    assert moment(shape(at)) == at


@given(st.integers(978_307_200_000, 7_258_118_400_000), st.sampled_from([int, float, str]))
def test_epoch_milliseconds_are_told_from_seconds(at_ms: int, shape: type) -> None:
    """Milliseconds from 2001 on are recognised by their size."""
    assert moment(shape(at_ms)) == pytest.approx(at_ms / 1000)


@given(st.integers(978_307_200, 7_258_118_399), st.sampled_from([10**6, 10**9]), st.sampled_from([int, float, str]))
def test_finer_units_are_told_from_milliseconds(at: int, unit: int, shape: type) -> None:
    """Microseconds and nanoseconds from 2001 to 2200."""
    assert moment(shape(at * unit)) == pytest.approx(at)


@given(MOMENTS)
def test_rfc_1123_and_iso_8601_name_the_same_moment(at: int) -> None:
    """With GMT, and with an offset."""
    parsed = datetime.fromtimestamp(at, UTC)
    for text in (format_datetime(parsed, usegmt=True), format_datetime(parsed), parsed.isoformat(" ") + "[Etc/UTC]"):
        assert moment(text) == at


def test_the_end_of_the_year_9999_is_a_moment() -> None:
    """What some vendors write for "never" is read as the seconds that it is."""
    assert moment(int(LAST_MOMENT)) == LAST_MOMENT
    assert moment("9999-12-31T23:59:59Z") == LAST_MOMENT


@pytest.mark.parametrize(
    "stated",
    [
        -1,
        "-1",
        math.nan,
        "nan",
        math.inf,
        "Infinity",
        10**16,
        133_500_000_000_000_000,
        638_000_000_000_000_000,
        10**21,
        10**400,
        "1e400",
        "9" * 5000,
        "9999-12-31T23:59:59-23:00",
        "1969-12-31T23:59:59Z",
        "0001-01-01T00:00:00+23:00",
        "2030-13-01T00:00:00Z",
        "2030-02-30",
        "soon",
        "1h",
        "2030-01-01 PST",
        "2030-01-01T00:00:00+02:00 +0000",
        "Tue, 01 Jan 2030 00:00:00",
        "Tue, 99 Jan 2030 00:00:00 GMT",
        "2030-01-01T00:00:00" + "[" * 60_000,
        "",
        "1_000",
        "١٢٣",
        "\udc80",
        True,
        False,
        [],
        {},
        [1893456000],
    ],
)
def test_what_is_no_moment_is_malformed(stated: object) -> None:
    """Nothing is guessed: it is a malformed answer, and the error does not repeat it."""
    with pytest.raises(ExchangeFailed) as failed:
        moment(stated)
    assert failed.value.outcome == "bad_response"
    assert failed.value.detail == "the answer's expiry is not a date and time"


@given(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.datetimes().map(str)
    | st.lists(st.integers(), max_size=2)
)
def test_any_value_is_a_moment_or_malformed(stated: object) -> None:
    """No JSON value brings anything but a moment in range or ExchangeFailed."""
    for read in (moment, seconds):
        try:
            assert 0 <= read(stated) <= LAST_MOMENT
        except ExchangeFailed as exc:
            assert exc.outcome == "bad_response"


@pytest.mark.parametrize(("stated", "length_s"), [(3600, 3600), (1.5, 1.5), ("3600", 3600), ("1.5", 1.5), (0, 0)])
def test_expires_in_is_a_number_or_its_text(stated: object, length_s: float) -> None:
    """A length of time comes as a number or as text."""
    assert seconds(stated) == length_s


@pytest.mark.parametrize(
    "stated", [-1, "-5", math.nan, math.inf, True, "an hour", "1h", "3600s", "2030-01-01", "", [], {}, 10**20]
)
def test_what_is_no_length_of_time_is_malformed(stated: object) -> None:
    """A length that cannot be one is a malformed answer."""
    with pytest.raises(ExchangeFailed):
        seconds(stated)


@given(st.none() | MOMENTS, st.none() | st.integers(0, 10**9), st.none() | MOMENTS)
def test_the_earliest_counts(at: int | None, within: int | None, exp: int | None) -> None:
    """Of all that is said, the earliest holds; the default only where nothing is."""
    secret = OPAQUE if exp is None else make_jwt({"exp": exp})
    said = [float(moment) for moment in (at, exp) if moment is not None]
    if within is not None:
        said.append(NOW + within)
    assert expires(secret, at=at, within=within) == (min(said) if said else NOW + 300)


@given(MOMENTS, MOMENTS, st.floats(-1e6, 1e6))
def test_their_moments_are_shifted_to_our_clock(at: int, exp: int, ahead_s: float) -> None:
    """Absolute times move by the clocks' difference; a length from now does not."""
    assert expires(make_jwt({"exp": exp}), at=at, ahead_s=ahead_s) == pytest.approx(min(at, exp) - ahead_s)
    assert expires(within=60, ahead_s=ahead_s) == NOW + 60


def test_a_jwt_is_read_without_being_verified() -> None:
    """Neither its signature, its audience nor an exp in the past is our business."""
    assert jwt_claims(make_jwt({"exp": 1, "aud": "them", "nbf": 9e9, "iat": "x"}))["exp"] == 1


@pytest.mark.parametrize(
    "token",
    [
        "opaque",
        "a.b.c",
        "....",
        "e30.e30.",
        "e30.W10.",
        "a.b.c.d.e",
        "\udc80",
        "=.=.=",
    ],
)
def test_what_is_not_a_jwt_has_no_exp(token: str) -> None:
    """A token that only looks like a JWT counts as opaque."""
    assert not jwt_claims(Secret(token.encode(errors="surrogateescape")))


def test_a_jwt_that_nests_too_deep_has_no_exp() -> None:
    """A depth bomb inside a token is no JWT either."""
    bomb = base64.urlsafe_b64encode(b"[" * 39_999)
    assert not jwt_claims(Secret(b"eyJhbGciOiJub25lIn0." + bomb + b"."))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_jwt_or_not(value: bytes) -> None:
    """Reading a token's claims never fails."""
    assert not jwt_claims(Secret(value))


@pytest.mark.parametrize("exp", ["never", -1, 1e300, True])
def test_a_jwt_with_an_absurd_exp_is_malformed(exp: object) -> None:
    """An exp that cannot be understood is not passed over."""
    with pytest.raises(ExchangeFailed):
        expires(make_jwt({"exp": exp}))


def test_a_jwt_whose_exp_is_null_says_nothing() -> None:
    """Null is the same as absent."""
    assert expires(make_jwt({"exp": None})) == NOW + 300


@given(st.integers(-10_000_000, 10_000_000))
def test_clocks_differ_from_five_seconds_on(difference_s: int) -> None:
    """Their Date says how far ahead they are; up to 5 s is no difference."""
    date = format_datetime(datetime.fromtimestamp(NOW + difference_s, UTC), usegmt=True)
    assert clock_difference(date, NOW) == (difference_s if abs(difference_s) > 5 else 0)


@pytest.mark.parametrize("date", [None, "", "yesterday", "2030-01-01T00:00:00Z", "Tue, 99 Jan 2030 00:00:00 GMT"])
def test_without_a_date_the_clocks_are_the_same(date: str | None) -> None:
    """A Date that is missing or no date corrects nothing."""
    assert clock_difference(date, NOW) == 0


@pytest.mark.parametrize(
    "text", ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"]
)
def test_all_three_forms_of_an_http_date(text: str) -> None:
    """The form in use and both obsolete ones name the same moment."""
    assert http_date(text) == 784111777


@given(st.text())
def test_any_text_is_an_http_date_or_not(text: str) -> None:
    """Reading a date never fails."""
    read = http_date(text)
    assert read is None or math.isfinite(read)


@given(MOMENTS, MOMENTS, st.integers(0, 10**9), st.integers(0, 10**9), st.floats(-1e6, 1e6))
def test_whoever_says_later_never_expires_earlier(
    at: int, later: int, within: int, longer: int, ahead_s: float
) -> None:
    """In either shape, whatever the clocks' difference."""
    (at, later), (within, longer) = sorted((at, later)), sorted((within, longer))
    assert expires(at=at, within=within, ahead_s=ahead_s) <= expires(at=later, within=longer, ahead_s=ahead_s)
