"""What a preset fills in, and what overrides it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from sidecar.config.presets import PRESETS
from sidecar.config.values import CredentialConfig
from sidecar.credentials.rules import AnswerPointers, BasicAuth, ExchangeRules, Injection, SignRules, sealed
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
        basic=BasicAuth("me", "{api_key}", form_encoded=True),
        response=AnswerPointers("/access_token", expires_in="/expires_in"),
    )


def test_oauth2_can_leave_basic_plain() -> None:
    """For a server that does not undo what RFC 6749 2.3.1 has clients do."""
    exchange = _exchange(
        "preset: oauth2\n  exchange: {url: 'https://a', basic: {username: me, form_encoded: false}}",
    )
    assert exchange.basic == BasicAuth("me", "{api_key}")


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


def test_token_exchange_is_rfc_8693() -> None:
    """The key is the subject token; audience, scope and another type of token are laid beside it or over it."""
    text = "preset: token-exchange\n  exchange: {url: 'https://sts', form: {audience: them, scope: a b%s}}"
    exchange = _exchange(text % "")
    assert exchange.form is not None and dict(exchange.form) == sealed(
        {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": "{api_key}",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "audience": "them",
            "scope": "a b",
        }
    )
    assert (exchange.basic, exchange.sign) == (None, None)
    assert exchange.response == AnswerPointers("/access_token", expires_in="/expires_in")
    other = _exchange(text % ", subject_token_type: 'urn:ietf:params:oauth:token-type:access_token'")
    assert dict(other.form or ())["subject_token_type"] == sealed("urn:ietf:params:oauth:token-type:access_token")


@pytest.mark.parametrize("preset", ["token-exchange", "jwt-bearer\n  exchange: {sign: {claims: {iss: me}}, "])
def test_a_client_that_authenticates_beside_its_grant_does_it_as_oauth_has_it(preset: str) -> None:
    """Basic is the user's to give, and then form-urlencoded, unless they say otherwise."""
    start = preset if "{" in preset else preset + "\n  exchange: {"
    basic = f"preset: {start}url: 'https://sts', basic: {{username: me, password: '${{SECRET}}'%s}}}}"
    environ = {"SECRET": "of-the-client"}
    for more, encoded in (("", True), (", form_encoded: false", False)):
        exchange = load_text(_text(basic % more), environ).credentials[0].exchange
        assert exchange is not None and exchange.basic == BasicAuth("me", "of-the-client", form_encoded=encoded)
        assert "of-the-client" not in repr(exchange)


def test_jwt_bearer_is_rfc_7523() -> None:
    """What the key signs is the grant; the claims are the user's."""
    credential = _credential(
        "preset: jwt-bearer\n  exchange: {url: 'https://a/t', sign: {claims: {iss: me, scope: x}, headers: {kid: 1}}}"
    )
    exchange = credential.exchange
    assert credential.signs and exchange is not None
    assert exchange.sign == SignRules("RS256", {"iss": "me", "scope": "x"}, (("kid", "1"),))
    assert exchange.form is not None and dict(exchange.form) == sealed(
        {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "{assertion}"}
    )


def test_github_app_is_an_installation_s_token() -> None:
    """The user gives the app's id, as the number that it is, and the installation's; the rest is GitHub's."""
    config = load_text(
        "credential:\n  preset: github-app\n  api_key: {env: API_KEY}\n  exchange:\n"
        "    url: https://api.github.com/app/installations/7/access_tokens\n    sign: {claims: {iss: 12345}}\n"
    )
    (credential,) = config.credentials
    assert config.routes[0].upstream.url == "https://api.github.com"
    assert credential.exchange == ExchangeRules(
        url="https://api.github.com/app/installations/7/access_tokens",
        headers=(
            ("Authorization", "Bearer {assertion}"),
            ("Accept", "application/vnd.github+json"),
            ("X-GitHub-Api-Version", "2022-11-28"),
        ),
        sign=SignRules("RS256", {"iss": "12345", "aud": None, "jti": None}, life_s=540.0, backdate_s=60.0),
        response=AnswerPointers("/token", expires_at="/expires_at"),
    )
    assert credential.rejected.statuses == (401,)


def test_a_presets_header_is_replaced_in_its_own_spelling() -> None:
    """In another one there would be two of it, of which the preset's would win in silence."""
    text = "preset: github-app\n  exchange: {url: 'https://a', sign: {claims: {iss: a}}, headers: {%s: b}}"
    assert dict(_exchange(text % "Accept").headers)["Accept"] == sealed("b")
    assert "Accept" not in dict(_exchange((text % "Accept").replace(": b}", ": null}")).headers)
    assert mistake_in(_text(text % "accept")).key == "credential.exchange.headers"


def test_github_app_says_what_it_still_needs() -> None:
    """The app and its installation, both at once, by the keys that take them."""
    app, installation = mistakes_in(_text("preset: github-app"))
    assert (app.key, "missing" in app.text) == ("credential.exchange.sign.claims.iss", True)
    assert installation.key == "credential.exchange.url"
    assert "/app/installations/{installation}/access_tokens" in installation.text


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
        ("url: 'https://a', headers: {X-Key: '{api_key}', x-key: b}", "credential.exchange.headers"),
        ("url: 'https://a/{tenant}/token', json: '{api_key}'", "credential.exchange.url"),
        ("url: 'https://a', basic: {username: 'a:b', password: '{api_key}'}", "credential.exchange.basic.username"),
        ("url: 'https://a', json: '{assertion}'", "credential.exchange.sign"),
        ("url: 'https://a', json: ['{api_key}', '{assertion}'], sign: {claims: {iss: a}}", "credential.exchange.sign"),
        ("url: 'https://a', json: 1, sign: {claims: {iss: a}}", "credential.exchange"),
        ("url: 'https://a/{assertion}', json: '{assertion}', sign: {claims: {iss: a}}", "credential.exchange.url"),
    ],
)
def test_an_exchange_that_cannot_work_is_a_mistake(exchange: str, key: str) -> None:
    """Two bodies, no key in it, a key in the URL, plain http, a broken field, a private key that would be sent."""
    assert mistake_in(_text(f"exchange: {{{exchange}}}")).key == key


def test_a_preset_can_come_from_the_environment() -> None:
    """Its name is expanded before it is looked up."""
    assert load_text(_text("preset: ${P}"), {"P": "giantcontext"}).credentials[0].shield is not None


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_loads(name: str) -> None:
    """With what only the user can know, each preset is a whole credential."""
    known = {
        "oauth2": "\n  exchange: {url: 'https://a', basic: {username: me}}",
        "token-exchange": "\n  exchange: {url: 'https://a'}",
        "jwt-bearer": "\n  exchange: {url: 'https://a', sign: {claims: {iss: me}}}",
        "github-app": "\n  exchange: {url: 'https://a', sign: {claims: {iss: me}}}",
    }
    assert _credential(f"preset: {name}{known.get(name, '')}").preset == name


_SIGN = "exchange: {url: 'https://a', json: '{assertion}', sign: {%s}}"


@pytest.mark.parametrize(
    ("sign", "key", "word"),
    [
        ("alg: RS256", "claims", "missing"),
        ("claims: {sub: a}", "claims.iss", "missing"),
        ("claims: {iss: null}", "claims.iss", "missing"),
        ("claims: [a]", "claims", "names"),
        ("claims: {iss: a, sub: [b]}", "claims.sub", "text"),
        ("claims: {iss: a, aud: [b, {c: d}]}", "claims.aud", "text"),
        ("claims: {iss: a, exp: 1}", "claims", "life"),
        ("claims: {iss: a, nbf: 1}", "claims", "life"),
        ("claims: {iss: a, jti: b}", "claims", "jti"),
        ("claims: {iss: a}, alg: HS256", "alg", "RS256"),
        ("claims: {iss: a}, alg: none", "alg", "RS256"),
        ("claims: {iss: a}, headers: {alg: none}", "headers", "alg"),
        ("claims: {iss: a}, headers: {kid: [b]}", "headers", "text"),
        ("claims: {iss: a}, life: 0s", "life", "longer than 0"),
    ],
)
def test_what_cannot_be_signed_is_a_mistake(sign: str, key: str, word: str) -> None:
    """No issuer, claims that are made anew each time, an algorithm without a private key."""
    mistake = mistake_in(_text(_SIGN % sign))
    assert (mistake.key, word in mistake.text) == (f"credential.exchange.sign.{key}", True), mistake


def test_claims_take_whatever_json_takes() -> None:
    """Several audiences, numbers, what a vendor nests in its own; a null leaves aud or jti out."""
    exchange = _exchange(_SIGN % "claims: {iss: a, aud: [b, c], n: 1, x: {y: [true, 'z']}, jti: null}")
    assert exchange.sign is not None
    assert exchange.sign.claims == {"iss": "a", "aud": ["b", "c"], "n": 1, "x": {"y": [True, "z"]}, "jti": None}


def test_signing_without_its_extra_is_a_mistake_that_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found when the configuration is read, not at the first exchange; and only where something is to be signed."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    mistake = mistake_in(_text(_SIGN % "claims: {iss: a}"))
    assert mistake.key == "credential.exchange.sign"
    assert "pip install 'credential-sidecar[sign]'" in mistake.text
    assert mistakes_in(_text("exchange: {url: 'https://a', json: '{api_key}'}")) == ()
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert f"{project['name']}[sign]" in mistake.text and "sign" in project["optional-dependencies"]
