"""A token: what it holds, and when it is renewed."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.credentials.rules import Injection
from sidecar.credentials.token import MOST_TOKEN_BYTES, Token, make_token, refresh_at
from sidecar.errors import ExchangeFailed
from sidecar.secret import Secret
from tests.credentials.manual_clock import NOW

LIVES = st.floats(0.01, 1e9)
WINDOWS = st.floats(0, 1e6)
SHARES = st.floats(0, 1, exclude_max=True)
# A float's step at NOW is a quarter of a microsecond.
STEP_S = 1e-6


def token_of(life_s: float) -> Token:
    """Return a token with this life."""
    return make_token(Secret("t"), Injection(), obtained_at=NOW, expires_at=NOW + life_s)


def test_a_token_carries_its_complete_field_line() -> None:
    """The line is ready to be sent, with the configured name and value."""
    token = make_token(Secret("abc"), Injection("X-Key", "key={token};"), obtained_at=NOW, expires_at=NOW + 1)
    assert token.line.reveal() == b"X-Key: key=abc;\r\n"
    assert token.secret.reveal() == b"abc"


def test_a_token_does_not_print_itself() -> None:
    """Neither the token nor its line stands in its repr."""
    assert "canary" not in repr(make_token(Secret("canary"), Injection(), obtained_at=0, expires_at=1))


def test_tokens_are_compared_by_identity() -> None:
    """Two exchanges bring two tokens, whatever their bytes."""
    assert token_of(1) != token_of(1)


@pytest.mark.parametrize("octet", [*range(0x21), *range(0x7F, 0x100)])
def test_a_token_that_could_split_a_field_is_refused(octet: int) -> None:
    """Every control character, the space and every non-ASCII byte is malformed, wherever it stands."""
    for value in (b"a" + bytes([octet]) + b"b", b"a" + bytes([octet]), bytes([octet]) + b"a"):
        with pytest.raises(ExchangeFailed) as failed:
            make_token(Secret(value), Injection(), obtained_at=0, expires_at=1)
        assert failed.value.outcome == "bad_response"


def test_a_token_has_a_length() -> None:
    """64 KiB are taken, nothing and one byte more are not."""
    make_token(Secret(b"a" * MOST_TOKEN_BYTES), Injection(), obtained_at=0, expires_at=1)
    for value in (b"", b"a" * (MOST_TOKEN_BYTES + 1)):
        with pytest.raises(ExchangeFailed):
            make_token(Secret(value), Injection(), obtained_at=0, expires_at=1)


@pytest.mark.parametrize("life_s", [0, -1, -1e9])
def test_a_token_that_has_expired_is_refused(life_s: float) -> None:
    """A token without any life left never becomes one."""
    with pytest.raises(ExchangeFailed) as failed:
        token_of(life_s)
    assert failed.value.outcome == "bad_response"


@given(LIVES, WINDOWS, SHARES)
def test_renewal_comes_before_the_lead_and_not_too_early(life_s: float, window_s: float, share: float) -> None:
    """A renewal leaves the lead whole and at least 90 % of the time before it; so it is never a loop."""
    token = token_of(life_s)
    latest = token.expires_at - min(window_s, (token.expires_at - NOW) / 3)
    moment = refresh_at(token, window_s, share)
    assert moment <= latest + STEP_S
    assert moment >= NOW + 0.9 * (latest - NOW) - STEP_S


@given(LIVES, WINDOWS, SHARES, SHARES)
def test_a_larger_share_is_an_earlier_renewal(life_s: float, window_s: float, one: float, other: float) -> None:
    """Jitter only ever makes a renewal earlier; none is exactly the lead before expiry."""
    token = token_of(life_s)
    early, late = (refresh_at(token, window_s, share) for share in (max(one, other), min(one, other)))
    assert early <= late <= refresh_at(token, window_s, 0)


@pytest.mark.parametrize(("life_s", "lead_s"), [(3600, 60), (180, 60), (90, 30), (6, 2)])
def test_the_lead_is_the_window_or_a_third_of_the_life(life_s: float, lead_s: float) -> None:
    """A token shorter than three windows gives up a third of its life and no more."""
    assert refresh_at(token_of(life_s), 60, 0) == NOW + life_s - lead_s


def test_a_token_that_never_expires_is_never_renewed() -> None:
    """No arithmetic turns an infinite life into a moment."""
    assert refresh_at(token_of(math.inf), 60, 0.5) == math.inf
    assert refresh_at(token_of(math.inf), 60, 0) == math.inf


@pytest.mark.parametrize("seed", range(20))
def test_a_fleet_that_starts_together_renews_apart(seed: int) -> None:
    """Of 50 tokens of an hour obtained at once, no second sees more than 15 % renewed."""
    rng = random.Random(seed)
    buckets = Counter(int(refresh_at(token_of(3600), 60, rng.random())) for _ in range(50))
    assert max(buckets.values()) <= 7
