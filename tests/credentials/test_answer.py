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
from tests.credentials.test_expiry import make_jwt

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


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (301, "redirect"),
        (308, "redirect"),
        (402, "account"),
        (404, "url"),
        (405, "url"),
        (410, "url"),
        (415, "settings"),
        (422, "settings"),
        (418, "unfit"),
        (600, "unfit"),
        (429, "rate"),
        (500, "server"),
        (403, "key"),
    ],
)
def test_a_status_has_its_cause(status: int, cause: str) -> None:
    """What a person would have to mend."""
    assert failure(status, b"").cause == cause


CODES = [
    ("invalid_client", "key_rejected", "key"),
    ("unauthorized_client", "key_rejected", "key"),
    ("access_denied", "key_rejected", "key"),
    ("invalid_token", "key_rejected", "key"),
    ("invalid_grant", "key_rejected", "grant"),
    ("invalid_request", "key_rejected", "settings"),
    ("unsupported_grant_type", "key_rejected", "settings"),
    ("invalid_scope", "key_rejected", "settings"),
    ("invalid_target", "key_rejected", "settings"),
    ("temporarily_unavailable", "server_error", "server"),
    ("server_error", "server_error", "server"),
    ("slow_down", "server_error", "server"),
]


@pytest.mark.parametrize(("code", "outcome", "cause"), CODES)
@pytest.mark.parametrize("status", [200, 201, 400, 401, 403, 404, 422])
def test_an_error_code_says_more_than_the_status(status: int, code: str, outcome: str, cause: str) -> None:
    """Whose fault it is, also where a vendor sends its errors with 200; the code is told, its description is not."""
    body = json.dumps({"error": code, "error_description": "canary", "token": None}).encode()
    failed = failure(status, body)
    assert (failed.outcome, failed.cause) == (outcome, cause)
    assert f"(status {status}, {code})" in failed.detail
    assert "canary" not in failed.detail


@pytest.mark.parametrize("status", [408, 429, 500, 503, 302])
def test_an_error_code_is_not_looked_at_where_the_status_says_it_all(status: int) -> None:
    """A gateway in trouble does not know whether a key is bad."""
    assert failure(status, b'{"error": "invalid_client"}').outcome == failure(status, b"").outcome


def test_a_token_beside_an_error_is_a_token() -> None:
    """With a 2xx."""
    for error in ("null", '""', '"invalid_client"'):
        assert read(body=f'{{"token": "abc", "error": {error}}}'.encode()).secret.reveal() == b"abc"


@pytest.mark.parametrize("error", ['"canary"', '{"code": "canary"}', "[1]", "7"])
def test_an_error_that_nobody_knows(error: str) -> None:
    """In place of a token it is named as one; the remedy says how to have it refuse the key."""
    for name in ("error", "errors"):
        failed = failure(200, f'{{"{name}": {error}}}'.encode())
        assert (failed.outcome, failed.cause) == ("bad_response", "error_answer")
    assert failure(401, f'{{"error": {error}}}'.encode()).cause == "key"


def test_where_a_text_is_configured_codes_do_not_count() -> None:
    """Whoever says what a refusal looks like is believed."""
    rejected = RejectedRules(statuses=(200, 401), body="dead key")
    for status in (200, 401):
        assert failure(status, b'{"error": "invalid_client"}', rejected=rejected).outcome == "bad_response"
        assert failure(status, b'{"error": "dead key"}', rejected=rejected).outcome == "key_rejected"


def test_a_403_with_a_retry_after_is_a_limit() -> None:
    """The key is not condemned for it."""
    failed = failure(403, b"", headers={"retry-after": "61"})
    assert (failed.outcome, failed.retry_after_s) == ("rate_limited", 61)
    assert failure(401, b"", headers={"retry-after": "61"}).outcome == "key_rejected"
    assert failure(403, b'{"error": "invalid_client"}', headers={"retry-after": "61"}).outcome == "key_rejected"


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"<html>", "page"),
        (b'{"token": "abc"', "page"),
        (b"{}", "no_token"),
        (b'{"token": "a b"}', "unfit"),
        (b'{"token": "abc", "expiresAt": "soon"}', "expiry"),
        (b'{"token": "abc", "expires_in": "soon"}', "expiry"),
        (b'{"token": "abc", "expires_in": 0}', "clock"),
        (b'{"token": "abc", "expiresAt": 1}', "clock"),
    ],
)
def test_a_malformed_2xx_has_its_cause(body: bytes, cause: str) -> None:
    """What a person would have to mend."""
    assert failure(body=body).cause == cause


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


@pytest.mark.parametrize("day_s", [-86_400, 86_400])
def test_a_clock_that_is_a_day_off_at_the_start(day_s: int) -> None:
    """Right by the answer's Date, or by its length of time. Without either, a clock that is ahead is refused."""
    theirs = NOW - day_s  # our clock is day_s ahead of the right time
    at = json.dumps({"token": "abc", "expiresAt": theirs + 3600}).encode()
    within = b'{"token": "abc", "expires_in": 3600}'
    assert read(body=at, headers={"date": http_date(theirs)}).expires_at == NOW + 3600 - DATE_GRAIN_S
    assert read(body=within).expires_at == NOW + 3600
    if day_s > 0:
        assert failure(body=at).cause == "clock"
    else:
        assert read(body=at).expires_at == NOW + 86_400 + 3600  # nothing says otherwise


def test_a_token_s_own_time_shows_a_clock_that_is_behind() -> None:
    """No token is issued in the future; an `iat` in the past may be a token that is handed out again."""

    def life_s(iat_s: float, exp_s: float, **headers: str) -> float:
        token = make_jwt({"iat": NOW + iat_s, "exp": NOW + exp_s}).reveal().decode()
        return read(body=json.dumps({"token": token}).encode(), headers=headers).expires_at - NOW

    assert life_s(86_400, 90_000) == 3600
    assert life_s(4, 3604) == 3604
    assert life_s(-1800, 1800) == 1800
    assert life_s(-86_400, 1800) == 1800
    assert life_s(86_400, 90_000, date=http_date(NOW)) == 90_000
    token = make_jwt({"iat": NOW - 90_000, "exp": NOW - 86_400}).reveal().decode()
    assert failure(body=json.dumps({"token": token}).encode()).cause == "clock"


@pytest.mark.parametrize("iat", [None, "soon", -5, True, {}, 1e300])
def test_an_iat_that_says_nothing(iat: object) -> None:
    """It is not what anything hangs on."""
    token = make_jwt({"iat": iat, "exp": NOW + 60}).reveal().decode()
    assert read(body=json.dumps({"token": token}).encode()).expires_at == NOW + 60


def test_an_answer_that_a_cache_has_kept() -> None:
    """Its Date is when it was made; its Age says how long ago that is. What is left of the token is left."""
    headers = {"date": http_date(NOW - 1800), "age": "1800"}
    body = json.dumps({"token": "abc", "expiresAt": NOW + 1800}).encode()
    assert read(body=body, headers=headers).expires_at == NOW + 1800
    assert retry_after_s(Answer(503, {**headers, "retry-after": http_date(NOW + 60)}, NOW)) == 60


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
