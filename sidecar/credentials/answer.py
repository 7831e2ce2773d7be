"""What a token endpoint's answer means: a token, or the reason why there is none.

Pure: an answer goes in, a token comes out or `ExchangeFailed` is raised. No byte
of the answer ever stands in an error's text, but for the codes listed here. The first
row that fits decides:

| answer | outcome | cause |
|---|---|---|
| 4xx but 408 and 429, or 2xx without a token, with one of the codes below in `error` | by the code | by the code |
| 403 with a Retry-After: a limit, as GitHub says it | rate_limited | rate |
| a status of `rejected.statuses`, and in the body `rejected.body` where that is set | key_rejected | key |
| 429, with its Retry-After | rate_limited | rate |
| 408, 5xx, with their Retry-After | server_error | server |
| 3xx: a redirect, never followed | bad_response | redirect |
| 404, 405, 410 | bad_response | url |
| 402; 406, 411, 413, 414, 415, 422, 431 | bad_response | account; settings |
| any other status but 2xx | bad_response | unfit |
| 2xx with a Content-Encoding, which was not asked for, or with too many values | bad_response | unfit |
| 2xx that is not JSON (HTML, cut short, NaN, nested too deep) | bad_response | page |
| 2xx without a token, but with an `error` or `errors` | bad_response | error_answer |
| 2xx without a token at its pointer / with one that cannot be sent | bad_response | no_token / unfit |
| 2xx with an expiry that cannot be understood / is past | bad_response | expiry / clock |
| any other 2xx | the token | |

| code in `error` (RFC 6749 5.2 and its relatives) | outcome | cause |
|---|---|---|
| `invalid_client`, `unauthorized_client`, `invalid_token`, `access_denied` | key_rejected | key |
| `invalid_grant`: the key, or the clock of whoever signed | key_rejected | grant |
| `invalid_request`, `unsupported_grant_type`, `invalid_scope`, `invalid_target` | key_rejected | settings |
| `temporarily_unavailable`, `server_error`, `slow_down`: it passes | server_error | server |

A code about the request is key_rejected too: the same request gets the same answer until
somebody acts, so the endpoint is asked rarely. 404 and its like may be a vendor's roll-out:
they are tried on as what passes. Where `rejected.body` is set its text alone says what is
wrong, and codes are not looked at. What happens without an answer is in `exchange.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NoReturn

from sidecar.credentials.expiry import clock_difference, expiry, http_date, their_now
from sidecar.credentials.pointer import lookup
from sidecar.credentials.rules import AnswerPointers, Injection, RejectedRules
from sidecar.credentials.token import Token, make_token
from sidecar.errors import Cause, ExchangeFailed, ExchangeOutcome
from sidecar.secret import Secret

# A megabyte of brackets would become 20 MB of lists; a real answer has a few dozen values.
MOST_VALUES = 20_000
# A Date says whole seconds: their clock is up to one further ahead, and a token ends that much sooner for us.
DATE_GRAIN_S = 1.0
_SECONDS = re.compile(r"[0-9]{1,18}")
_CODES: Mapping[str, Cause] = MappingProxyType(
    {
        "invalid_client": "key",
        "unauthorized_client": "key",
        "invalid_token": "key",
        "access_denied": "key",
        "invalid_grant": "grant",
        "invalid_request": "settings",
        "unsupported_grant_type": "settings",
        "invalid_scope": "settings",
        "invalid_target": "settings",
        "temporarily_unavailable": "server",
        "server_error": "server",
        "slow_down": "server",
    }
)
_SAY_IT_ALL = (408, 429)


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


def may_explain(status: int, rejected: RejectedRules) -> bool:
    """Return whether an answer's body may say more than its status does, so that it is worth a look."""
    return rejected.body is None and 400 <= status < 500 and status not in _SAY_IT_ALL


def read_answer(answer: Answer, rules: AnswerRules) -> Token:
    """Return the token that an answer holds.

    Raises:
        ExchangeFailed: there is none; the outcome is that of the table above.
    """
    is_success = 200 <= answer.status < 300
    code = _code(answer.body) if may_explain(answer.status, rules.rejected) else ""
    if not is_success or answer.status in rules.rejected.statuses:
        _refuse(answer, rules.rejected, code)
    if answer.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise ExchangeFailed("bad_response", "the answer is compressed, which was not asked for")
    return _read_token(_read_json(answer.body), answer, rules)


def retry_after_s(answer: Answer) -> float | None:
    """Return for how many seconds an answer asks to be left alone; None where it does not say.

    A date is by their clock, so it is compared with the answer's own `Date`, whatever ours says.

    Source: RFC 9110 section 10.2.3.
    """
    stated = answer.headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(stated):
        return float(stated)
    moment = http_date(stated)
    if moment is None:
        return None
    now = their_now(answer.headers.get("date"), answer.headers.get("age"))
    return max(moment - (answer.received_at if now is None else now), 0.0)


def _refuse(answer: Answer, rejected: RejectedRules, code: str) -> None:
    """Raise what an answer means whose status says that there is no token; return where it may hold one after all."""
    status = answer.status
    if code:
        _refuse_code(status, code, retry_after_s(answer))
    if status in rejected.statuses and (rejected.body is None or rejected.body.encode() in answer.body):
        after_s = retry_after_s(answer) if status == 403 else None
        if after_s is not None and rejected.body is None:
            raise ExchangeFailed(
                "rate_limited", "the token endpoint asks to be left alone (status 403)", retry_after_s=after_s
            )
        raise ExchangeFailed("key_rejected", f"the token endpoint refuses the API key (status {status})")
    if not 200 <= status < 300:
        _refuse_status(answer)


def _code(body: bytes) -> str:
    """Return the error code that a body holds, where it is one of those above; else ""."""
    try:
        return _code_in(_read_json(body))
    except ExchangeFailed:
        return ""


def _code_in(document: object) -> str:
    code = document.get("error") if isinstance(document, dict) else None
    return code if isinstance(code, str) and code in _CODES else ""


def _refuse_code(status: int, code: str, after_s: float | None) -> NoReturn:
    """Raise what an error code means."""
    cause = _CODES[code]
    said = f"(status {status}, {code})"
    if cause == "server":
        raise ExchangeFailed("server_error", f"the token endpoint is not available {said}", retry_after_s=after_s)
    what = "what is sent beside the API key" if cause == "settings" else "the API key"
    raise ExchangeFailed("key_rejected", f"the token endpoint refuses {what} {said}", cause=cause)


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
    if outcome == "bad_response":
        raise ExchangeFailed(outcome, text, cause=_cause_of(status))
    raise ExchangeFailed(outcome, text, retry_after_s=retry_after_s(answer))


def _cause_of(status: int) -> Cause:
    match status:
        case 402:
            return "account"
        case 404 | 405 | 410:
            return "url"
        case 406 | 411 | 413 | 414 | 415 | 422 | 431:
            return "settings"
        case _:
            return "redirect" if 300 <= status < 400 else "unfit"


def _read_json(body: bytes) -> object:
    if body.count(b",") + body.count(b"[") + body.count(b"{") > MOST_VALUES:
        raise ExchangeFailed("bad_response", f"the answer holds more than {MOST_VALUES} values")
    try:
        document: object = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        # What json says of it quotes the body.
        raise ExchangeFailed("bad_response", "the answer is not JSON", cause="page") from None
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _read_token(document: object, answer: Answer, rules: AnswerRules) -> Token:
    pointers = rules.pointers
    value = lookup(document, pointers.token)
    if not isinstance(value, str) or not value:
        _refuse_document(document, answer, rules)
    secret = Secret(value.encode(errors="surrogatepass"))
    expires_at = expiry(
        secret,
        expires_at=lookup(document, pointers.expires_at) if pointers.expires_at is not None else None,
        expires_in=lookup(document, pointers.expires_in) if pointers.expires_in is not None else None,
        default_ttl_s=rules.default_ttl_s,
        now=answer.received_at,
        ahead_s=_ahead_s(answer),
    )
    return make_token(secret, rules.injection, obtained_at=answer.received_at, expires_at=expires_at)


def _ahead_s(answer: Answer) -> float | None:
    """Return how far their clock is ahead of ours; None where the answer does not say."""
    date, age = answer.headers.get("date"), answer.headers.get("age")
    if http_date(date) is None:
        return None
    ahead_s = clock_difference(date, answer.received_at, age)
    return ahead_s + DATE_GRAIN_S if ahead_s else 0.0


def _refuse_document(document: object, answer: Answer, rules: AnswerRules) -> NoReturn:
    """Raise why a 2xx holds no token: some vendors send their errors so."""
    if rules.rejected.body is None and (code := _code_in(document)):
        _refuse_code(answer.status, code, retry_after_s(answer))
    if isinstance(document, dict) and (document.get("error") or document.get("errors")):
        raise ExchangeFailed("bad_response", "the answer is an error in place of a token", cause="error_answer")
    raise ExchangeFailed("bad_response", f"the answer has no token at {rules.pointers.token!r}", cause="no_token")
