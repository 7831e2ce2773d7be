"""What a token endpoint's answer means."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.credentials.answer import (
    DATE_GRAIN_S,
    MOST_VALUES,
    Answer,
    AnswerRules,
    needs_body,
    read_answer,
    retry_after_s,
)
from sidecar.credentials.rules import AnswerPointers, Injection, RejectedRules
from sidecar.credentials.token import Token
from sidecar.errors import ExchangeFailed
from tests.credentials.manual_clock import NOW

POINTERS = AnswerPointers(token="/token", expires_at="/expiresAt", expires_in="/expires_in")
REJECTED = RejectedRules()
GOOD = b'{"token": "abc"}'


def http_date(moment: float) -> str:
    """Return a moment as a field's value."""
    return format_datetime(datetime.fromtimestamp(moment, UTC), usegmt=True)


def read(
    status: int = 200,
    body: bytes = GOOD,
    *,
    headers: dict[str, str] | None = None,
    rejected: RejectedRules = REJECTED,
    pointers: AnswerPointers = POINTERS,
) -> Token:
    """Read one answer that came at NOW."""
    return read_answer(Answer(status, headers or {}, NOW, body), AnswerRules(pointers, rejected, Injection(), 300))


def failure(status: int = 200, body: bytes = GOOD, **more: object) -> ExchangeFailed:
    """Read one answer that must hold no token, and return why."""
    with pytest.raises(ExchangeFailed) as failed:
        read(status, body, **more)  # type: ignore[arg-type]  # passed on as they are
    return failed.value


def test_a_good_answer_is_a_token() -> None:
    """Token, line, and both moments are there."""
    token = read(body=b'{"token": "abc", "expiresAt": "2030-01-01T01:00:00Z"}')
    assert token.secret.reveal() == b"abc"
    assert token.line.reveal() == b"Authorization: Bearer abc\r\n"
    assert (token.obtained_at, token.expires_at) == (NOW, NOW + 3600)


@pytest.mark.parametrize(
    ("body", "life_s"),
    [
        (GOOD, 300),
        (b'\xef\xbb\xbf{"token": "abc"}', 300),
        (b'{"token": "abc", "expiresAt": null, "expires_in": null}', 300),
        (b'{"token": "abc", "expires_in": 60}', 60),
        (b'{"token": "abc", "expires_in": "60"}', 60),
        (b'{"token": "abc", "expires_in": 60, "expiresAt": 1893456030}', 30),
    ],
)
def test_an_answer_s_expiry(body: bytes, life_s: float) -> None:
    """The earliest of what the answer says, else the default."""
    assert read(body=body).expires_at == NOW + life_s


@pytest.mark.parametrize("status", [200, 201, 203, 299])
def test_any_2xx_may_hold_a_token(status: int) -> None:
    """Some endpoints create their tokens (201)."""
    assert read(status).secret.reveal() == b"abc"


def test_pointers_reach_into_the_answer() -> None:
    """The token may stand anywhere, or be the whole document."""
    deep = AnswerPointers(token="/data/0/a~1b")
    assert read(body=b'{"data": [{"a/b": "abc"}]}', pointers=deep).secret.reveal() == b"abc"
    assert read(body=b'"abc"', pointers=AnswerPointers(token="")).secret.reveal() == b"abc"


def test_what_no_pointer_names_is_not_looked_for() -> None:
    """Without pointers to an expiry, a field of that name means nothing."""
    token = read(body=b'{"token": "abc", "expires_in": "soon"}', pointers=AnswerPointers(token="/token"))
    assert token.expires_at == NOW + 300


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (400, "key_rejected"),
        (401, "key_rejected"),
        (403, "key_rejected"),
        (429, "rate_limited"),
        (408, "server_error"),
        (500, "server_error"),
        (502, "server_error"),
        (503, "server_error"),
        (599, "server_error"),
        (301, "bad_response"),
        (302, "bad_response"),
        (304, "bad_response"),
        (307, "bad_response"),
        (402, "bad_response"),
        (404, "bad_response"),
        (405, "bad_response"),
        (422, "bad_response"),
        (600, "bad_response"),
        (101, "bad_response"),
        (0, "bad_response"),
    ],
)
@pytest.mark.parametrize("body", [GOOD, b"<html>canary</html>", b""])
def test_the_status_decides(status: int, outcome: str, body: bytes) -> None:
    """What is not 2xx brings no token, whatever its body holds."""
    failed = failure(status, body)
    assert failed.outcome == outcome
    assert str(status) in failed.detail


def test_configured_statuses_replace_the_default_ones() -> None:
    """Only what the configuration lists says that the key is bad."""
    rejected = RejectedRules(statuses=(404, 429))
    assert failure(404, rejected=rejected).outcome == "key_rejected"
    assert failure(429, rejected=rejected).outcome == "key_rejected"
    assert failure(401, rejected=rejected).outcome == "bad_response"


def test_a_configured_text_must_stand_in_the_body() -> None:
    """With a text given, a status of the list alone does not condemn the key."""
    rejected = RejectedRules(statuses=(200, 401, 503), body="invalid_key")
    assert failure(401, b'{"error": "invalid_key"}', rejected=rejected).outcome == "key_rejected"
    assert failure(200, b'{"error": "invalid_key"}', rejected=rejected).outcome == "key_rejected"
    assert failure(401, b"<html>gateway</html>", rejected=rejected).outcome == "bad_response"
    assert failure(503, b"<html>gateway</html>", rejected=rejected).outcome == "server_error"
    assert read(200, rejected=rejected).secret.reveal() == b"abc"


def test_the_body_is_needed_only_where_it_decides() -> None:
    """A success is read; a refusal only where its text matters."""
    assert needs_body(200, RejectedRules())
    assert needs_body(401, RejectedRules(body="x"))
    assert not needs_body(401, RejectedRules())
    assert not needs_body(500, RejectedRules(body="x"))
    assert not needs_body(302, RejectedRules())


DEEP = b"[" * 19_000 + b"]" * 19_000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<!doctype html><title>canary</title>",
        b"canary",
        b"{",
        b'{"token": "canary"',
        b'{"token": "canary", "x": NaN}',
        b'{"token": "canary", "x": -Infinity}',
        b'{"token": "canary", "x": ' + b"9" * 5000 + b"}",
        b'{"token": "\xff"}',
        DEEP,
        b'{"token": "canary", "x": ' + DEEP + b"}",
        b"{}",
        b"[]",
        b"null",
        b"0",
        b'"canary"',
        b'{"token": null}',
        b'{"token": ""}',
        b'{"token": 7}',
        b'{"token": ["canary"]}',
        b'{"token": {"canary": 1}}',
        b'{"token": true}',
        b'{"token": "canary\\r\\nX: y"}',
        b'{"token": "canary\\u0000"}',
        b'{"token": " canary"}',
        b'{"token": "canary\\n"}',
        '{"token": "canaryé"}'.encode(),
        b'{"token": "canary\\ud800"}',
        b'{"token": "' + b"a" * 65_537 + b'"}',
        b'{"token": "canary", "expiresAt": "canary"}',
        b'{"token": "canary", "expiresAt": -1}',
        b'{"token": "canary", "expiresAt": 1e999}',
        b'{"token": "canary", "expiresAt": "2029-12-31T23:59:59Z"}',
        b'{"token": "canary", "expires_in": 0}',
        b'{"token": "canary", "expires_in": -5}',
        b'{"token": "canary", "expires_in": {}}',
    ],
)
def test_a_2xx_without_a_usable_token_is_malformed(body: bytes) -> None:
    """Each is a bad response, and the error quotes nothing of it."""
    failed = failure(body=body)
    assert failed.outcome == "bad_response"
    assert "canary" not in failed.detail


def test_a_swarm_of_values_is_refused_before_it_is_parsed() -> None:
    """A small body cannot become a large heap."""
    assert "more than" in failure(body=b'{"token": "abc", "x": [' + b"0," * MOST_VALUES + b"0]}").detail


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip", "GZIP"])
def test_a_compressed_answer_is_refused(coding: str) -> None:
    """Nobody asked for it, and unpacking is how a small answer grows."""
    assert failure(headers={"content-encoding": coding}).outcome == "bad_response"


@pytest.mark.parametrize("coding", ["identity", "Identity", ""])
def test_an_answer_may_say_that_it_is_not_compressed(coding: str) -> None:
    """Identity is no encoding."""
    assert read(headers={"content-encoding": coding}).secret.reveal() == b"abc"


@pytest.mark.parametrize("ahead_s", [-7200, -6, 6, 7200])
def test_a_clock_that_differs_is_corrected(ahead_s: int) -> None:
    """By their clock the token lives for an hour; so it does by ours."""
    body = json.dumps({"token": "abc", "expiresAt": NOW + ahead_s + 3600}).encode()
    assert read(body=body, headers={"date": http_date(NOW + ahead_s)}).expires_at == NOW + 3600 - DATE_GRAIN_S


@pytest.mark.parametrize("ahead_s", [-7200.9, -7200.1, 7200.1, 7200.9])
def test_a_corrected_expiry_is_never_too_late(ahead_s: float) -> None:
    """A Date has whole seconds, so the difference is not known better than that."""
    body = json.dumps({"token": "abc", "expiresAt": NOW + ahead_s + 60}).encode()
    token = read(body=body, headers={"date": http_date(math.floor(NOW + ahead_s))})
    assert 58 <= token.expires_at - NOW <= 60


def test_a_clock_that_hardly_differs_is_believed() -> None:
    """Up to five seconds are the answer's own travelling."""
    body = json.dumps({"token": "abc", "expiresAt": NOW + 3600}).encode()
    assert read(body=body, headers={"date": http_date(NOW - 5)}).expires_at == NOW + 3600


@pytest.mark.parametrize("status", [429, 408, 500, 503])
def test_retry_after_comes_with_what_passes_by_itself(status: int) -> None:
    """Both forms reach the caller in seconds."""
    assert failure(status, headers={"retry-after": "7"}).retry_after_s == 7
    assert failure(status, headers={"retry-after": http_date(NOW + 9)}).retry_after_s == 9
    assert failure(status).retry_after_s is None


@pytest.mark.parametrize("status", [200, 302, 401, 404])
def test_retry_after_means_nothing_elsewhere(status: int) -> None:
    """A redirect, a refused key and nonsense have no such time."""
    assert failure(status, b"", headers={"retry-after": "7"}).retry_after_s is None


def after(value: str, date: str | None = None) -> float | None:
    """Read one Retry-After."""
    headers = {"retry-after": value} | ({"date": date} if date else {})
    return retry_after_s(Answer(503, headers, NOW))


@given(st.integers(0, 10**17))
def test_retry_after_in_seconds(stated: int) -> None:
    """Seconds are taken as they are; how long an endpoint is believed is decided elsewhere."""
    assert after(f" {stated} ") == float(stated)


@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6))
def test_retry_after_as_a_date_is_their_time(wait_s: int, ahead_s: int) -> None:
    """A date counts from their clock, to the second, whatever ours says; and is never negative."""
    stated = http_date(NOW + ahead_s + wait_s)
    assert after(stated, http_date(NOW + ahead_s)) == max(wait_s, 0)


@pytest.mark.parametrize("stated", ["", "soon", "-1", "1.5", "1e3", "0x10", "9" * 30, "١٢", "2030-01-01T00:00:00Z"])
def test_a_retry_after_that_says_nothing(stated: str) -> None:
    """What is neither form is as if it were absent."""
    assert after(stated) is None


@given(st.text())
def test_any_retry_after_is_a_time_or_nothing(stated: str) -> None:
    """No value of the field brings anything but a finite time."""
    read = after(stated)
    assert read is None or 0 <= read < math.inf


@given(st.integers(0, 700), st.binary(max_size=60) | st.text(max_size=60).map(lambda text: json.dumps(text).encode()))
def test_any_answer_is_a_token_or_a_typed_failure(status: int, body: bytes) -> None:
    """Nothing but ExchangeFailed comes out of what is no token."""
    failure(status, body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(JSON, JSON, JSON)
def test_any_json_is_a_token_or_a_typed_failure(token: object, expires_at: object, expires_in: object) -> None:
    """Whatever types an endpoint uses, a token that comes out can be sent and has a life."""
    body = json.dumps({"token": token, "expiresAt": expires_at, "expires_in": expires_in}).encode()
    try:
        read_token = read(body=body)
    except ExchangeFailed as exc:
        assert exc.outcome == "bad_response"
    else:
        assert read_token.expires_at > NOW
        assert read_token.secret.reveal() == str(token).encode()


_DATES = st.text(max_size=40) | st.datetimes().map(format_datetime) | st.integers(-(10**12), 10**12).map(str)


@given(_DATES, _DATES)
def test_any_two_dates_are_a_time_or_nothing(stated: str, date: str) -> None:
    """However far apart they are."""
    read = after(stated, date)
    assert read is None or 0 <= read < math.inf
