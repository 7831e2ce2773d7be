"""No mistake and no warning ever holds a secret, wherever the secret was written."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.config import load
from sidecar.errors import ConfigError
from tests.config.loading import LONG, SHORT, load_text, mistakes_in

_KEY = "gct_Canary0123456789"
_SECRET = "sk-canary-0123456789"

_WHOLE: dict[str, object] = {
    "listen": ["127.0.0.1:8080"],
    "gate": {
        "hosts": ["a.local"],
        "socket_mode": "0660",
        "require_header": {"name": "X-A", "value": "b"},
        "require_token": {"env": "API_KEY"},
    },
    "credentials": {
        "vendor": {
            "preset": "giantcontext",
            "api_key": {"env": "API_KEY"},
            "exchange": {
                "url": "https://a/b",
                "headers": {"X-A": "{api_key}"},
                "json": {"a": "{api_key}"},
                "basic": {"username": "u", "password": "p"},
                "response": {"token": "/token"},
                "timeout": "1s",
                "tls": {"ca_file": None},
            },
            "inject": {"header": "Authorization", "value": "Bearer {token}", "drop": ["X-A"]},
            "refresh": {"budget": "1/1s", "backoff": {"first": "1s"}},
            "reject_statuses": [401],
        }
    },
    "routes": [
        {
            "name": "a",
            "match": {"path": "/", "host": "a"},
            "upstream": {"url": "https://a", "pool": {"most": 1}},
            "credential": "vendor",
            "allow": [{"methods": ["GET"], "paths": ["/a"]}],
            "replay_body": "1MiB",
        }
    ],
    "limits": {"fields": 1, "head": "1KiB"},
    "log": {"level": "info"},
}


def _variants(node: object, secret: str) -> Iterator[object]:
    """Yield copies of a tree in each of which the secret stands for one value, or one key."""
    yield secret
    yield [secret]
    yield {secret: None}
    yield {secret: secret}
    if isinstance(node, dict):
        for name, value in node.items():
            rest = {other: kept for other, kept in node.items() if other != name}
            yield {**rest, secret: value}
            yield from ({**rest, name: variant} for variant in _variants(value, secret))
    elif isinstance(node, list):
        yield from ([variant, *node[1:]] for variant in _variants(node[0], secret))


def _said(text: str, environ: dict[str, str] | None = None) -> str:
    """Return everything that loading says: mistakes, or the warnings of what loads."""
    try:
        return "\n".join(load_text(text, environ).warnings)
    except ConfigError as error:
        return str(error) + repr(error.mistakes)


def test_a_key_of_the_vendor_is_shown_nowhere() -> None:
    """In place of any value, and of any key, of a whole configuration."""
    variants = list(_variants(_WHOLE, _KEY))
    assert len(variants) > 200
    said = [_said(json.dumps(variant)) for variant in variants]
    assert not [text for text in said if "Canary" in text]
    assert sum(1 for text in said if text) > 150


@pytest.mark.parametrize(
    "text",
    [
        f"api_key: {_SECRET}",
        f"api_key: [{_SECRET}]",
        f"api_key: {{{_SECRET}}}",
        f"api_key: {{{_SECRET}: x}}",
        "api_key: {secret_word}",
        f"api_key: {{env: {_SECRET}}}",
        "api_key: {env: canarysecret}",
        f"api_key: {{value: {_SECRET}, env: A}}",
        f"api_key: {{value: {{a: {_SECRET}}}}}",
        f"api_key: {{file: '', value: {_SECRET}}}",
        f"api_key: {{env: A}}\n  exchange: {{headers: {{A: '{_SECRET}\\n'}}}}",
        f"api_key: {{env: A}}\n  exchange: {{headers: {{'A:{_SECRET}': b}}}}",
        f"api_key: {{env: A}}\n  exchange: {{headers: {_SECRET}}}",
        f"api_key: {{env: A}}\n  exchange: {{form: {_SECRET}}}",
        f"api_key: {{env: A}}\n  exchange: {{form: {{a: [{_SECRET}]}}}}",
        f"api_key: {{env: A}}\n  exchange: {{form: {{{_SECRET}: 1, {_SECRET}: 2}}}}",
        f"api_key: {{env: A}}\n  exchange: {{json: {{{_SECRET}: 1, {_SECRET}: 2}}}}",
        f"api_key: {{env: A}}\n  exchange: {{json: '${{{_SECRET}}}'}}",
        f"api_key: {{env: A}}\n  exchange: {{basic: {{password: {{a: {_SECRET}}}}}}}",
        "api_key: {env: A}\n  exchange: {basic: {secret_word: 1}}",
        f"api_key: {{env: A}}\n  exchange: {{url: 'https://u:{_SECRET}@a'}}",
        f"api_key: {{env: A}}\n  exchange: {{url: 'https://a?key={_SECRET}'}}",
        f"api_key: {{env: A}}\n  inject: {{value: 'Bearer {_SECRET}'}}",
    ],
)
def test_what_stands_where_a_secret_may_is_not_repeated(text: str) -> None:
    """A key pasted at the wrong place, under a wrong name or with a wrong shape."""
    said = _said(f"upstream: https://a\ncredential:\n  {text}\n")
    assert said
    assert "canary" not in said and "secret_word" not in said


def test_a_password_in_a_url_is_not_repeated() -> None:
    """Nor in that of an upstream, by file, flag or variable."""
    url = f"https://user:{_SECRET}@api.example.com"
    said = _said(f"{SHORT}upstream: {url}")
    for flags, environ in (({"upstream": url}, {}), ({}, {"SIDECAR_UPSTREAM": url})):
        with pytest.raises(ConfigError) as caught:
            load(path=None, flags=flags, environ=environ)
        said += str(caught.value)
    assert "without user and password" in said and "canary" not in said


def test_what_came_from_the_environment_is_not_repeated() -> None:
    """Not even where a literal value would be: it may be the wrong variable."""
    for key in ("log: {level: '${S}'}", "limits: {fields: '${S}'}", "drain: {most: '${S}'}", "admin: {quit: '${S}'}"):
        said = _said(f"{SHORT}{key}", {"S": "canaryword"})
        assert said and "canaryword" not in said
    assert "canaryword" not in _said(SHORT + "log: {level: '${UNSET:-canaryword}'}")
    assert "canaryword" not in _said(LONG.replace("credential: vendor", "credential: ${S}"), {"S": "canaryword"})


def test_broken_yaml_is_not_quoted() -> None:
    """The parser's words are kept, what it read is not."""
    for text in (f"api_key: *{_SECRET}", f"a: !{_SECRET} b", f"a: '{_SECRET}' x", f'a: "{_SECRET}', f"%{_SECRET} x\n"):
        said = str(mistakes_in(text))
        assert said and "canary" not in said


def test_a_path_that_looks_like_a_key_is_masked() -> None:
    """Somebody will pass the key itself as --config or --api-key-file."""
    with pytest.raises(ConfigError) as caught:
        load(path=_KEY, flags={}, environ={})
    assert "Canary" not in str(caught.value)
    config = load(path=None, flags={"preset": "giantcontext", "api_key_file": _KEY}, environ={})
    assert config.warnings and "Canary" not in config.warnings[0]


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="abc:{}[]'\" \n-", max_size=10), st.integers(0, len(LONG)), st.text("[]{}:'", max_size=2))
def test_a_key_spilled_anywhere_is_not_repeated(around: str, place: int, after: str) -> None:
    """At any place of a file, with any punctuation around it."""
    assert "Canary" not in _said(LONG[:place] + around + _KEY + after + LONG[place:])
