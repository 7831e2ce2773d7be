"""The rules of a credential, as values: how a key becomes a token, how a token is put on, when it is renewed.

What is sent to a token endpoint may hold a secret that somebody has typed in beside
`{api_key}`, such as a client secret. So every text of it becomes a `Secret` on its way in,
and no dump of a configuration shows one; `opened` is for whoever sends it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sidecar.secret import Secret
from sidecar.tls import TLSRules

# What an assertion can be signed by (RFC 7518 3.1, RFC 8037 3.1). No HS256: a shared secret is no private key.
SIGN_ALGS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


def sealed(value: object) -> Any:
    """Return a JSON value with each string of it as a `Secret`; names stay as they are."""
    match value:
        case str():
            return Secret(value.encode("utf-8", "surrogatepass"))  # the environment may hold any bytes
        case dict():
            return {name: sealed(member) for name, member in value.items()}
        case list():
            return [sealed(item) for item in value]
        case _:
            return value


def opened(text: str | Secret) -> str:
    """Return what `sealed` has made a `Secret` of."""
    return text.reveal().decode("utf-8", "surrogatepass") if isinstance(text, Secret) else text


def texts(value: object) -> Iterator[str]:
    """Yield every text of what is sent, opened."""
    match value:
        case str() | Secret():
            yield opened(value)
        case dict():
            for member in value.values():
                yield from texts(member)
        case list() | tuple():
            for item in value:
                yield from texts(item)


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """HTTP Basic authentication at the token endpoint; both may hold `{api_key}`.

    `form_encoded`: both are form-urlencoded first, as OAuth has it (RFC 6749 2.3.1) and HTTP has not (RFC 7617).
    """

    username: str
    password: str | Secret
    form_encoded: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "password", sealed(self.password))


@dataclass(frozen=True, slots=True)
class SignRules:
    """An assertion: a JWT that is signed with the API key, which is then a private key and never sent itself.

    `claims` lie over what is added to each: `aud` (the token endpoint's URL), `iat`, `exp` and `jti`; one that is
    None is left out. `life_s` is how long an assertion is valid from now, `backdate_s` how far `iat` lies back.
    """

    alg: str = "RS256"
    claims: Mapping[str, object] = field(default_factory=dict)
    headers: tuple[tuple[str, str], ...] = ()
    life_s: float = 300.0
    backdate_s: float = 10.0


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
    and in `basic` may hold `{api_key}`, or with `sign` `{assertion}`. At most one of json and form is set.
    What is given as a string there is kept as a `Secret`.
    """

    url: str
    method: str = "POST"
    headers: tuple[tuple[str, str | Secret], ...] = ()
    json: object | None = None
    form: tuple[tuple[str, str | Secret], ...] | None = None
    basic: BasicAuth | None = None
    sign: SignRules | None = None
    response: AnswerPointers = AnswerPointers(token="/token")  # noqa: S106  # a JSON pointer
    timeout_s: float = 10.0
    tls: TLSRules = TLSRules()
    insecure: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "headers", _sealed_pairs(self.headers))
        object.__setattr__(self, "json", sealed(self.json))
        if self.form is not None:
            object.__setattr__(self, "form", _sealed_pairs(self.form))

    def sends(self, placeholder: str) -> bool:
        """Whether some text of the request holds this placeholder."""
        basic = (self.basic.username, self.basic.password) if self.basic is not None else ()
        sent = ([value for _, value in (*self.headers, *(self.form or ()))], self.json, basic)
        return any(placeholder in text for text in texts(sent))


def _sealed_pairs(pairs: tuple[tuple[str, str | Secret], ...]) -> tuple[tuple[str, Secret], ...]:
    return tuple((name, sealed(value)) for name, value in pairs)


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
