"""What a token endpoint's answer means: a token, or the reason why there is none.

Pure: an answer goes in, a token comes out or `ExchangeFailed` is raised. No byte
of the answer ever stands in an error's text. The first row that fits decides:

| answer | outcome |
|---|---|
| a status of `rejected.statuses`, and in the body `rejected.body` where that is set | key_rejected |
| 429 | rate_limited, with its Retry-After |
| 408, 5xx | server_error, with its Retry-After |
| any other status but 2xx; a redirect is never followed | bad_response |
| 2xx with a Content-Encoding, which was not asked for | bad_response |
| 2xx that is not JSON (HTML, NaN, nested too deep, with too many values) | bad_response |
| 2xx without a token at its pointer, or with one that cannot be sent or has expired | bad_response |
| 2xx with an expiry that cannot be understood | bad_response |
| any other 2xx | the token |
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from sidecar.credentials.expiry import clock_difference, expiry, http_date
from sidecar.credentials.pointer import lookup
from sidecar.credentials.rules import AnswerPointers, Injection, RejectedRules
from sidecar.credentials.token import Token, make_token
from sidecar.errors import ExchangeFailed, ExchangeOutcome
from sidecar.secret import Secret

# A megabyte of brackets would become 20 MB of lists; a real answer has a few dozen values.
MOST_VALUES = 20_000
# A Date says whole seconds: their clock is up to one further ahead, and a token ends that much sooner for us.
DATE_GRAIN_S = 1.0
_SECONDS = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class AnswerRules:
    """How to read an answer: where the token stands, what a bad key looks like, and what becomes of the token."""

    pointers: AnswerPointers
    rejected: RejectedRules
    injection: Injection
    default_ttl_s: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Args:
        status: the HTTP status.
        headers: the fields; their names are looked up in lower case.
        received_at: when the head came, wall-clock seconds.
        body: all of it; empty where `needs_body` says that nobody reads it.
    """

    status: int
    headers: Mapping[str, str]
    received_at: float
    body: bytes = field(default=b"", repr=False)


def needs_body(status: int, rejected: RejectedRules) -> bool:
    """Return whether the meaning of an answer depends on its body, so that it must be read."""
    return 200 <= status < 300 or (rejected.body is not None and status in rejected.statuses)


def read_answer(answer: Answer, rules: AnswerRules) -> Token:
    """Return the token that an answer holds.

    Raises:
        ExchangeFailed: there is none; the outcome is that of the table above.
    """
    if _rejects_key(answer, rules.rejected):
        raise ExchangeFailed("key_rejected", f"the token endpoint refused the API key (status {answer.status})")
    if not 200 <= answer.status < 300:
        _refuse_status(answer)
    if answer.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise ExchangeFailed("bad_response", "the answer is compressed, which was not asked for")
    return _read_token(_read_json(answer.body), answer, rules)


def retry_after_s(answer: Answer) -> float | None:
    """Return for how many seconds an answer asks to be left alone; None where it does not say.

    A date is compared with the answer's own `Date` where the clocks differ.

    Source: RFC 9110 section 10.2.3.
    """
    stated = answer.headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(stated):
        return float(stated)
    moment = http_date(stated)
    if moment is None:
        return None
    now = answer.received_at + clock_difference(answer.headers.get("date"), answer.received_at)
    return max(moment - now, 0.0)


def _rejects_key(answer: Answer, rejected: RejectedRules) -> bool:
    if answer.status not in rejected.statuses:
        return False
    return rejected.body is None or rejected.body.encode() in answer.body


def _refuse_status(answer: Answer) -> NoReturn:
    """Raise what a status other than 2xx means."""
    status = answer.status
    outcome: ExchangeOutcome = "bad_response"
    if status == 429:
        outcome = "rate_limited"
    elif status == 408 or 500 <= status < 600:
        outcome = "server_error"
    text = f"the token endpoint answered with status {status}"
    if 300 <= status < 400:
        text += ", a redirect, which is never followed"
    after_s = retry_after_s(answer) if outcome != "bad_response" else None
    raise ExchangeFailed(outcome, text, retry_after_s=after_s)


def _read_json(body: bytes) -> object:
    if body.count(b",") + body.count(b"[") + body.count(b"{") > MOST_VALUES:
        raise ExchangeFailed("bad_response", f"the answer holds more than {MOST_VALUES} values")
    try:
        document: object = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        # What json says of it quotes the body.
        raise ExchangeFailed("bad_response", "the answer is not JSON (is the URL that of a token endpoint?)") from None
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _read_token(document: object, answer: Answer, rules: AnswerRules) -> Token:
    pointers = rules.pointers
    value = lookup(document, pointers.token)
    if not isinstance(value, str) or not value:
        raise ExchangeFailed("bad_response", f"the answer has no token at {pointers.token!r}")
    secret = Secret(value.encode(errors="surrogatepass"))
    ahead_s = clock_difference(answer.headers.get("date"), answer.received_at)
    if ahead_s:
        ahead_s += DATE_GRAIN_S
    expires_at = expiry(
        secret,
        expires_at=lookup(document, pointers.expires_at) if pointers.expires_at is not None else None,
        expires_in=lookup(document, pointers.expires_in) if pointers.expires_in is not None else None,
        default_ttl_s=rules.default_ttl_s,
        now=answer.received_at,
        ahead_s=ahead_s,
    )
    return make_token(secret, rules.injection, obtained_at=answer.received_at, expires_at=expires_at)
