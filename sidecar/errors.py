"""What can go wrong, flat: the class says whose problem it is, the attributes what the app is told.

A 401 or 403 of the upstream is a response, not an error, and the sidecar never
answers 401 itself: an app would blame its own user. No text here ever holds a
key, a token, a field value or a body.

| error | status | Proxy-Status error (RFC 9209) | who acts |
|---|---|---|---|
| ConfigError | exit 2 | - | whoever wrote the configuration |
| StartError | exit 1 | - | whoever starts it: an address is in use |
| NothingToReload | 409, admin listener | - | nobody: it runs without a configuration that could be read again |
| BadRequest | 400, 405, 431 | http_request_error | the app: what it sent is not HTTP, ambiguous, or not for a proxy |
| Refused | 403 | http_request_denied | the app: the gate or a rule said no |
| ProxyTokenMissing | 407 | http_request_denied | the app: a forward proxy wants its token |
| NoRoute | 404 | destination_not_found | the configuration |
| Overloaded | 503 | connection_limit_reached | our own limit; try again |
| NoToken | 503 | proxy_internal_response | the token endpoint is down, slow or malformed, and no token is left |
| KeyRejected | 503 | proxy_configuration_error | the API key is bad: an operator acts |
| UpstreamUnreachable | 502 | destination_unavailable, tls_... | nothing answered |
| UpstreamTimeout | 504 | connection_timeout, http_response_timeout | the upstream is too slow; `phase` says in what |
| UpstreamProtocol | 502 | http_protocol_error | its answer is not HTTP |
| ClientGone | none | - | nobody: never counted against upstream or credential |
| ExchangeFailed | none of its own | - | inside `credentials/`: one exchange that brought no token |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal, get_args

ExchangeOutcome = Literal["ok", "key_rejected", "rate_limited", "server_error", "timeout", "network", "bad_response"]
EXCHANGE_OUTCOMES: tuple[ExchangeOutcome, ...] = get_args(ExchangeOutcome)
# Why an exchange failed, as far as it makes a difference to who can mend it: `credentials/remedies.py` says how.
Cause = Literal[
    "key",
    "grant",
    "settings",
    "account",
    "rate",
    "server",
    "slow",
    "dns",
    "refused",
    "unreachable",
    "cut",
    "tls_authority",
    "tls_name",
    "tls_dates",
    "tls",
    "protocol",
    "redirect",
    "url",
    "page",
    "error_answer",
    "no_token",
    "unfit",
    "expiry",
    "clock",
    "slept",
    "defect",
    "no_key",
]
CAUSES: tuple[Cause, ...] = get_args(Cause)
Phase = Literal["connect", "tls", "send", "head", "body"]


_USUAL_CAUSES: Mapping[ExchangeOutcome, Cause] = MappingProxyType(
    {
        "key_rejected": "key",
        "rate_limited": "rate",
        "server_error": "server",
        "timeout": "slow",
        "network": "unreachable",
        "bad_response": "unfit",
    }
)


class SidecarError(Exception):
    """Base of all errors of ours."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in the configuration.

    Args:
        where: the file, flag or environment variable it stands in.
        line, column: 1-based place in that file; 0 where there is none.
        key: dotted path of the key, or "".
        text: what was expected and what to do, in one sentence.
    """

    where: str
    line: int
    column: int
    key: str
    text: str

    def __str__(self) -> str:
        place = f"{self.where}:{self.line}:{self.column}" if self.line else self.where
        return f"{place}: {self.key}: {self.text}" if self.key else f"{place}: {self.text}"


class ConfigError(SidecarError):
    """The configuration is wrong; carries every mistake that was found."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = tuple(mistakes)


class StartError(SidecarError):
    """The sidecar cannot start; the text names the configuration's key and says what to do."""


class NothingToReload(SidecarError):
    """There is no configuration that could be read again, as in the demo."""


class Answerable(SidecarError):
    """An error that becomes an answer of our own.

    Args:
        detail: one sentence for the person who reads the answer; never holds a secret or request bytes.
        reason: a word from a small fixed set, the label of `sidecar_refused_total` and of the log line.
        retry_after_s: seconds after which trying again makes sense; None where it does not.
        remedy: what a person can do about it; None where that is not for us to say.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    code: ClassVar[str] = "proxy_internal_error"
    closes: ClassVar[bool] = False
    # What the upstream answered, where the app is not shown that: its status (RFC 9209 2.1.4) and its own words. Those
    # are for the app alone, never for the log.
    received_status: int | None = None
    theirs: str = ""

    def __init__(
        self, detail: str, *, reason: str = "", retry_after_s: float | None = None, remedy: str | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.reason = reason or type(self).__name__
        self.retry_after_s = retry_after_s
        self.remedy = remedy


class BadRequest(Answerable):
    """What came is not one clear HTTP request for this proxy; the connection closes."""

    status: int = 400  # type: ignore[misc]  # narrowed per instance: 400, 405, 408, 414, 417, 431, 501
    title = "Bad request"
    code = "http_request_error"
    closes = True

    def __init__(self, detail: str, *, reason: str = "malformed", status: int = 400, remedy: str | None = None) -> None:
        super().__init__(detail, reason=reason, remedy=remedy)
        self.status = status


class Refused(Answerable):
    """The gate or a rule said no."""

    status = 403
    title = "Refused"
    code = "http_request_denied"


class ProxyTokenMissing(Refused):
    """A forward proxy's caller has not sent the token; some clients send it only when they are told to.

    Source: RFC 9110 15.5.8. It is about this hop alone: no app takes it for the API's word on its own user.
    """

    status = 407
    title = "Proxy token required"

    def __init__(self) -> None:
        super().__init__(
            "the token of this proxy is missing or wrong",
            reason="require_token",
            remedy="put it into the proxy's URL, as http_proxy=http://any:TOKEN@127.0.0.1:3128, or send it in"
            " Sidecar-Token",
        )


class NoRoute(Answerable):
    """No route matches."""

    status = 404
    title = "No route"
    code = "destination_not_found"


class Overloaded(Answerable):
    """A limit of ours is reached."""

    status = 503
    title = "Too busy"
    code = "connection_limit_reached"


class CredentialError(Answerable):
    """No usable token: nothing was sent upstream."""

    status = 503


class NoToken(CredentialError):
    """The token endpoint is down, slow or malformed, and no unexpired token is left."""

    title = "No token"
    code = "proxy_internal_response"


class KeyRejected(CredentialError):
    """The token endpoint refused the API key; trying again will not help until the key changes."""

    title = "API key rejected"
    code = "proxy_configuration_error"


class UpstreamError(Answerable):
    """The upstream could not be reached or did not answer properly.

    Args:
        phase: what was being done, a label of `sidecar_upstream_failures_total`.
    """

    status = 502
    phase: Phase

    def __init__(self, detail: str, *, phase: Phase, code: str | None = None) -> None:
        super().__init__(detail, reason=phase)
        self.phase = phase
        if code is not None:
            self.code = code  # type: ignore[misc]  # RFC 9209 has several codes for one class


class UpstreamUnreachable(UpstreamError):
    """No connection, or none that TLS would vouch for."""

    title = "Upstream unreachable"
    code = "destination_unavailable"


class UpstreamTimeout(UpstreamError):
    """The upstream took too long."""

    status = 504
    title = "Upstream too slow"
    code = "http_response_timeout"


class UpstreamProtocol(UpstreamError):
    """What the upstream sent is not an HTTP response, or was cut short."""

    title = "Upstream answer is not HTTP"
    code = "http_protocol_error"


class ClientGone(SidecarError):
    """The app left before its answer was complete."""


class ExchangeFailed(SidecarError):
    """One exchange that brought no token.

    Args:
        outcome: label of `sidecar_exchanges_total`; `key_rejected` is permanent, all others transient.
        detail: what happened, without a byte of what was sent or received.
        cause: what a person would have to mend; None: what is usual for this outcome.
        retry_after_s: what the endpoint's Retry-After asked for, in seconds.
    """

    def __init__(
        self, outcome: ExchangeOutcome, detail: str, *, cause: Cause | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.detail = detail
        self.cause: Cause = cause or _USUAL_CAUSES[outcome]
        self.retry_after_s = retry_after_s


class KeyUnavailable(SidecarError):
    """The key's source could not be read, or what it holds cannot be a key. The text names the source only."""
