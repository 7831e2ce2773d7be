"""The keys of a credential. The reader and the JSON Schema both follow this table."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from sidecar.config import section_checks as checks
from sidecar.config.common_keys import (
    BOOLEAN,
    DURATION,
    FIELD_NAME,
    POINTER,
    POSITIVE,
    STATUS,
    TEXT,
    TLS,
)
from sidecar.config.key_source_keys import KEY_SOURCE
from sidecar.config.kinds import Choice, Json, Key, ListOf, Members, Pairs, Section, Word
from sidecar.config.parsers import (
    parse_field_name,
    parse_field_value,
    parse_injected_value,
    parse_prefix,
    parse_text,
    parse_url,
)
from sidecar.config.presets import PRESETS, WithPreset
from sidecar.config.units import parse_rate
from sidecar.config.values import CredentialConfig, ShieldConfig
from sidecar.credentials.rules import (
    SIGN_ALGS,
    AnswerPointers,
    BasicAuth,
    ExchangeRules,
    Injection,
    RefreshRules,
    RejectedRules,
    SignRules,
)


def _budget(text: str) -> dict[str, object]:
    count, per_s = parse_rate(text)
    return {"budget_count": count, "budget_per_s": per_s}


def _sign_rules(claims: Mapping[str, object], **fields: Any) -> SignRules:
    """Return the rules, with ids that were written as numbers as the texts that a JWT has there (RFC 7519 4.1)."""
    texts = ("iss", "sub", "aud")
    said = {name: str(value) if name in texts and type(value) is int else value for name, value in claims.items()}
    return SignRules(claims=said, **fields)


SIGN = Section(
    _sign_rules,
    (
        Key("alg", Choice(SIGN_ALGS), "RS256", "The algorithm, which has to suit the key."),
        Key(
            "claims",
            Members(),
            None,
            "What the assertion says: iss, who signs, such as a client's id, and what the vendor asks for; aud, without"
            " it, is the token endpoint's URL; iat, exp and jti are added.",
            required=True,
        ),
        Key("headers", Pairs(parse_text, parse_text), {}, "More fields of the JWT's header, such as kid."),
        Key("life", POSITIVE, "5m", "How long an assertion is valid, from when it is sent."),
        Key("backdate", DURATION, "10s", "How far back iat lies, for endpoints whose clock is behind."),
    ),
    check=checks.check_sign,
)

BASIC = Section(
    BasicAuth,
    (
        Key("username", TEXT, None, "The user name, for OAuth the client id.", required=True),
        Key("password", TEXT, None, "The password; {api_key} is the key.", required=True),
        Key(
            "form_encoded",
            BOOLEAN,
            False,
            "Form-urlencode both first, as OAuth has it (RFC 6749 2.3.1); its presets do.",
        ),
    ),
    check=checks.check_basic,
    secret=True,
)

EXCHANGE = Section(
    ExchangeRules,
    (
        Key("url", Word(parse_url), None, "The token endpoint's URL.", required=True),
        Key("method", Choice(("POST", "GET", "PUT", "PATCH")), "POST", "The method of the request."),
        Key(
            "headers",
            Pairs(parse_field_name, parse_field_value),
            None,
            "More header fields of the request; {api_key} in a value is the key.",
        ),
        Key("json", Json(), None, "A JSON body; {api_key} in any string is the key. Replaces a preset's whole."),
        Key("form", Pairs(parse_text, parse_text), None, "A form body instead; {api_key} in a value is the key."),
        Key(
            "basic",
            BASIC,
            None,
            "HTTP Basic authentication at the token endpoint, beside any body.",
        ),
        Key(
            "sign",
            SIGN,
            None,
            "Makes the API key a private key (PEM) that signs a JWT, which is sent in its place: as {assertion}.",
        ),
        Key(
            "response",
            Section(
                AnswerPointers,
                (
                    Key("token", POINTER, None, "JSON pointer (RFC 6901) to the token.", required=True),
                    Key("expires_at", POINTER, None, "JSON pointer to the moment of expiry."),
                    Key("expires_in", POINTER, None, "JSON pointer to the seconds until expiry."),
                ),
            ),
            None,
            "Where the answer holds the token and its expiry; without it, the token is at /token.",
        ),
        Key("timeout", POSITIVE, "10s", "The longest one exchange may take."),
        Key("tls", TLS, None, "How the token endpoint is verified, and what is shown."),
        Key(
            "insecure",
            BOOLEAN,
            False,
            "Allow plain http to another machine. Danger: the API key can be read on the way; warned about.",
        ),
    ),
    check=checks.check_exchange,
)

REFRESH = Section(
    RefreshRules,
    (
        Key("window", DURATION, "60s", "How long before expiry it is renewed; at most a third of its life."),
        Key("default_ttl", POSITIVE, "5m", "How long a token lasts that says nothing about it."),
        Key("hold_down", DURATION, "30s", "After a rejected replay: how long no exchange follows a rejection."),
        Key(
            "budget",
            Word(_budget, {"type": "string", "pattern": r"^[0-9]+/[0-9]+(\.[0-9]+)?(ms|s|m|h)$"}, shown=True),
            "12/1m",
            "The most exchanges in a time. Danger: too low, and a rotation waits for it.",
            field="",
        ),
        Key(
            "backoff",
            Section(
                dict[str, object],
                (
                    Key("first", POSITIVE, "1s", "The wait after a first failure.", field="backoff_first_s"),
                    Key("most", POSITIVE, "30s", "The longest wait between two tries.", field="backoff_most_s"),
                ),
            ),
            None,
            "How tries spread out while the token endpoint fails.",
            field="",
        ),
    ),
    check=checks.check_refresh,
)

CREDENTIAL = WithPreset(
    Section(
        partial(CredentialConfig, name=""),
        (
            Key("preset", Choice(tuple(PRESETS)), None, "A vendor's rules; keys beside it override them."),
            Key(
                "api_key",
                KEY_SOURCE,
                None,
                "Where the API key comes from, such as {env: NAME} or {file: PATH}.",
                required=True,
            ),
            Key("exchange", EXCHANGE, None, "The request that turns the key into a token."),
            Key(
                "inject",
                Section(
                    Injection,
                    (
                        Key("header", FIELD_NAME, "Authorization", "The field that carries the token."),
                        Key("value", Word(parse_injected_value), "Bearer {token}", "Its value; {token} is the token."),
                        Key("drop", ListOf(FIELD_NAME), [], "More fields of apps that must not pass."),
                    ),
                ),
                None,
                "How the token is put on a request.",
            ),
            Key(
                "shield",
                Section(
                    ShieldConfig,
                    (Key("path", Word(parse_prefix), None, "The path at which SDKs exchange keys.", required=True),),
                ),
                None,
                "Answer the vendor's SDKs locally where they exchange keys, with a placeholder.",
            ),
            Key(
                "rejected",
                Section(
                    RejectedRules,
                    (
                        Key("statuses", ListOf(STATUS), [400, 401, 403], "Statuses that say so."),
                        Key("body", TEXT, None, "Text that the answer must hold too."),
                    ),
                ),
                None,
                "How the token endpoint says that the key itself is bad.",
            ),
            Key("refresh", REFRESH, None, "When the token is renewed, and how often at most."),
            Key(
                "reject_statuses",
                ListOf(STATUS),
                [401],
                "Statuses by which the upstream rejects a token. Danger: with 403, lack of rights costs exchanges.",
            ),
        ),
        expected="a mapping with preset and api_key",
        check=checks.check_credential,
    )
)
