"""What a preset fills in, and what overrides it."""

from __future__ import annotations

import pytest

from sidecar.config.presets import PRESETS
from sidecar.config.values import CredentialConfig
from sidecar.credentials.rules import AnswerPointers, BasicAuth, ExchangeRules, Injection, sealed
from tests.config.loading import load_text, mistake_in, mistakes_in


def _text(credential: str) -> str:
    return f"upstream: https://a.example.com\ncredential:\n  api_key: {{env: API_KEY}}\n  {credential}\n"


def _credential(credential: str) -> CredentialConfig:
    return load_text(_text(credential)).credentials[0]


def _exchange(credential: str) -> ExchangeRules:
    exchange = _credential(credential).exchange
    assert exchange is not None
    return exchange


def test_giantcontext_is_the_vendors_contract() -> None:
    """The exchange, the injection and the shield, without a word of the user's."""
    credential = _credential("preset: giantcontext")
    assert credential.exchange == ExchangeRules(
        url="https://api.giantcontext.com/auth/token",
        json={"apiKey": "{api_key}"},
        response=AnswerPointers("/token", expires_at="/expiresAt"),
    )
    assert credential.inject == Injection("Authorization", "Bearer {token}", ("X-Api-Key",))
    assert credential.shield is not None and credential.shield.path == "/auth/token"


def test_oauth2_is_client_credentials_with_basic() -> None:
    """RFC 6749 4.4, with the client authenticated as in 2.3.1."""
    exchange = _exchange("preset: oauth2\n  exchange: {url: 'https://id.example.com/token', basic: {username: me}}")
    assert exchange == ExchangeRules(
        url="https://id.example.com/token",
        form=(("grant_type", "client_credentials"),),
        basic=BasicAuth("me", "{api_key}"),
        response=AnswerPointers("/access_token", expires_in="/expires_in"),
    )


def test_oauth2_can_post_the_client_instead() -> None:
    """Basic is taken away, and the form gets what the server wants beside the grant."""
    exchange = _exchange(
        "preset: oauth2\n  exchange: {url: 'https://id.example.com/token', basic: null,"
        " form: {client_id: me, client_secret: '{api_key}', scope: read}}"
    )
    assert exchange.basic is None
    assert dict(exchange.form or ()) == sealed(
        {"client_id": "me", "client_secret": "{api_key}", "grant_type": "client_credentials", "scope": "read"}
    )


def test_oauth2_says_what_it_still_needs() -> None:
    """The token endpoint and the client id are nobody's to guess."""
    keys = {mistake.key for mistake in mistakes_in(_text("preset: oauth2"))}
    assert keys == {"credential.exchange.url", "credential.exchange.basic.username"}


def test_static_makes_no_exchange() -> None:
    """The key is the token; an exchange beside it is a contradiction."""
    assert _credential("preset: static").exchange is None
    mistake = mistake_in(_text("preset: static\n  exchange: {url: 'https://a', json: '{api_key}'}"))
    assert (mistake.key, "no exchange" in mistake.text) == ("credential.exchange", True)


def test_a_key_is_never_sent_upstream_by_accident() -> None:
    """Taking a preset's exchange away does not make the key itself the token."""
    mistake = mistake_in(_text("preset: giantcontext\n  exchange: null"))
    assert (mistake.key, "preset: static" in mistake.text) == ("credential.exchange", True)


def test_one_key_overrides_one_key() -> None:
    """What is not written stays the preset's, at every depth."""
    credential = _credential(
        "preset: giantcontext\n  exchange: {timeout: 3s, response: {expires_in: /in}}\n  inject: {header: X-Token}"
    )
    exchange = credential.exchange
    assert exchange is not None
    assert (exchange.url, exchange.timeout_s) == ("https://api.giantcontext.com/auth/token", 3.0)
    assert exchange.response == AnswerPointers("/token", "/expiresAt", "/in")
    assert credential.inject == Injection("X-Token", "Bearer {token}", ("X-Api-Key",))


def test_null_takes_a_presets_key_away() -> None:
    """A shield that is not wanted, fields that may pass."""
    credential = _credential("preset: giantcontext\n  shield: null\n  inject: {drop: []}")
    assert credential.shield is None
    assert credential.inject.drop == ()


def test_a_body_replaces_the_presets_body() -> None:
    """A JSON body is one value; a form instead of it puts it aside."""
    assert _exchange("preset: giantcontext\n  exchange: {json: {key: '{api_key}'}}").json == sealed(
        {"key": "{api_key}"}
    )
    exchange = _exchange("preset: giantcontext\n  exchange: {form: {key: '{api_key}'}}")
    assert (exchange.json, dict(exchange.form or ())) == (None, sealed({"key": "{api_key}"}))
    assert _exchange("preset: giantcontext\n  exchange: {form: null}").json == sealed({"apiKey": "{api_key}"})


@pytest.mark.parametrize(
    ("exchange", "key"),
    [
        ("url: 'https://a', json: {}, form: {a: '{api_key}'}", "credential.exchange.form"),
        ("url: 'https://a', json: {a: b}", "credential.exchange"),
        ("url: 'https://a'", "credential.exchange"),
        ("url: 'https://a/{api_key}', json: '{api_key}'", "credential.exchange.url"),
        ("url: 'http://a', json: '{api_key}'", "credential.exchange.url"),
        ("url: 'https://a', method: GET, json: '{api_key}'", "credential.exchange.method"),
        ("url: 'https://a', method: get, headers: {A: '{api_key}'}", "credential.exchange.method"),
        ("url: 'https://a', headers: {'A B': '{api_key}'}", "credential.exchange.headers"),
        ("url: 'https://a', headers: {Host: '{api_key}'}", "credential.exchange.headers"),
        ("url: 'https://a', json: '{api_key}', response: {token: token}", "credential.exchange.response.token"),
        ("url: 'https://a', json: '{api_key}', response: {expires_at: /a}", "credential.exchange.response.token"),
        ("json: '{api_key}'", "credential.exchange.url"),
    ],
)
def test_an_exchange_that_cannot_work_is_a_mistake(exchange: str, key: str) -> None:
    """Two bodies, no key in it, a key in the URL, plain http, a broken field."""
    assert mistake_in(_text(f"exchange: {{{exchange}}}")).key == key


def test_a_preset_can_come_from_the_environment() -> None:
    """Its name is expanded before it is looked up."""
    assert load_text(_text("preset: ${P}"), {"P": "giantcontext"}).credentials[0].shield is not None


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_loads(name: str) -> None:
    """With what only the user can know, each preset is a whole credential."""
    known = {"oauth2": "\n  exchange: {url: 'https://a', basic: {username: me}}"}
    assert _credential(f"preset: {name}{known.get(name, '')}").preset == name
