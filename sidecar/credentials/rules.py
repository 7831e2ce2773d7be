"""The rules of a credential, as values: how a key becomes a token, how a token is put on, when it is renewed."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.tls import TLSRules


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """HTTP Basic authentication at the token endpoint; both may hold `{api_key}`."""

    username: str
    password: str


@dataclass(frozen=True, slots=True)
class AnswerPointers:
    """JSON pointers (RFC 6901) into the token endpoint's answer; None: not looked for."""

    token: str
    expires_at: str | None = None
    expires_in: str | None = None


@dataclass(frozen=True, slots=True)
class ExchangeRules:
    """The request that turns an API key into a token.

    `json` is any JSON value, `form` name/value pairs; strings anywhere in them, in `headers`
    and in `basic` may hold `{api_key}`. At most one of json and form is set.
    """

    url: str
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    json: object | None = None
    form: tuple[tuple[str, str], ...] | None = None
    basic: BasicAuth | None = None
    response: AnswerPointers = AnswerPointers(token="/token")  # noqa: S106  # a JSON pointer
    timeout_s: float = 10.0
    tls: TLSRules = TLSRules()
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class Injection:
    """The field that carries the token upstream, and the other client fields that must not pass."""

    header: str = "Authorization"
    value: str = "Bearer {token}"
    drop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RejectedRules:
    """What the token endpoint says when the key itself is bad: a status, and where given a text in the body."""

    statuses: tuple[int, ...] = (400, 401, 403)
    body: str | None = None


@dataclass(frozen=True, slots=True)
class RefreshRules:
    """When tokens are renewed, and how often at most."""

    window_s: float = 60.0
    default_ttl_s: float = 300.0
    hold_down_s: float = 30.0
    budget_count: int = 12
    budget_per_s: float = 60.0
    backoff_first_s: float = 1.0
    backoff_most_s: float = 30.0
