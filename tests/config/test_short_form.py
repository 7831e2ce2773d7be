"""The short form: one upstream and one credential, by file, flags or environment alone."""

from __future__ import annotations

import pytest

from sidecar.config import load
from sidecar.errors import ConfigError
from tests.config.loading import SHORT, load_text, mistake_in, mistakes_in


def test_it_is_sugar_for_the_long_form() -> None:
    """The same configuration in both forms is the same value, but for the names."""
    short = load_text(
        "upstream: {url: https://a.example.com, pool: {most: 3}}\n"
        "credential: {preset: oauth2, api_key: {env: API_KEY},"
        " exchange: {url: 'https://b.example.com/token', basic: {username: me}}}\n"
    )
    long = load_text(
        "credentials:\n  oauth2: {preset: oauth2, api_key: {env: API_KEY},"
        " exchange: {url: 'https://b.example.com/token', basic: {username: me}}}\n"
        "routes:\n  - {name: default, match: {path: /}, credential: oauth2,"
        " upstream: {url: https://a.example.com, pool: {most: 3}}}\n"
    )
    assert short.credentials == long.credentials
    assert short.routes == long.routes


def test_flags_alone_are_enough() -> None:
    """No file: the preset has an API, and everything else a default."""
    config = load(path=None, flags={"preset": "giantcontext", "api_key_env": "KEY"}, environ={"KEY": "k"})
    (route,) = config.routes
    (credential,) = config.credentials
    assert (route.name, route.path, route.credential) == ("default", "/", "giantcontext")
    assert route.upstream.url == "https://api.giantcontext.com"
    assert (credential.name, credential.api_key.kind, credential.api_key.name) == ("giantcontext", "env", "KEY")
    assert [str(address) for address in (*config.listen, config.admin.listen)] == ["127.0.0.1:8080", "127.0.0.1:8081"]
    assert (config.source, config.warnings) == ("", ())


def test_the_environment_alone_is_enough() -> None:
    """Every variable of the short form is taken, and the key itself stays where it is."""
    environ = {
        "SIDECAR_LISTEN": "127.0.0.1:1",
        "SIDECAR_UPSTREAM": "https://api.example.com",
        "SIDECAR_PRESET": "static",
        "SIDECAR_API_KEY": "the-key-itself",
        "SIDECAR_ADMIN_LISTEN": "127.0.0.1:2",
    }
    config = load(path=None, flags={}, environ=environ)
    assert [str(address) for address in (*config.listen, config.admin.listen)] == ["127.0.0.1:1", "127.0.0.1:2"]
    assert config.routes[0].upstream.url == "https://api.example.com"
    assert (config.credentials[0].name, config.credentials[0].api_key.name) == ("static", "SIDECAR_API_KEY")
    assert "the-key-itself" not in repr(config)


def test_a_key_file_can_come_from_the_environment() -> None:
    """SIDECAR_API_KEY_FILE names it; one that is not there yet is a warning, since it may still be mounted."""
    config = load(path=None, flags={"preset": "giantcontext"}, environ={"SIDECAR_API_KEY_FILE": "/nowhere/key"})
    assert (config.credentials[0].api_key.kind, config.credentials[0].api_key.name) == ("file", "/nowhere/key")
    assert config.warnings == ("SIDECAR_API_KEY_FILE: credential.api_key.file: there is no such file yet",)
    config = load(path=None, flags={"preset": "giantcontext"}, environ={"SIDECAR_API_KEY_FILE": "/"})
    assert config.warnings == ("SIDECAR_API_KEY_FILE: credential.api_key.file: is a directory: name the file in it",)


def test_without_a_preset_the_credential_is_called_default() -> None:
    """An exchange that is written out needs no preset."""
    exchange = "{url: 'https://b/t', json: '{api_key}'}"
    config = load_text(f"upstream: https://a\ncredential: {{api_key: {{env: API_KEY}}, exchange: {exchange}}}")
    assert (config.credentials[0].name, config.routes[0].credential) == ("default", "default")


def test_nothing_at_all_says_what_is_missing() -> None:
    """Without anything, both things that are needed are named, with their flags and where a file was looked for."""
    with pytest.raises(ConfigError) as caught:
        load(path=None, flags={}, environ={"HOME": "/nowhere"})
    key, upstream = caught.value.mistakes
    assert (key.key, upstream.key) == ("credential.api_key", "upstream")
    assert "--api-key-file" in key.text and "SIDECAR_API_KEY" in key.text and "--upstream" in upstream.text
    assert "/nowhere/.config/sidecar/config.yaml" in key.where and "/etc/sidecar/config.yaml" in key.where


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("credential: {preset: static, api_key: {env: API_KEY}}", "upstream"),
        ("upstream: https://a.example.com", "credential.api_key"),
        ("credential: {preset: giantcontext}", "credential.api_key"),
        ("upstream: https://a.example.com\ncredential: {api_key: {env: API_KEY}}", "credential.exchange"),
    ],
)
def test_each_missing_thing_is_named(text: str, key: str) -> None:
    """No upstream, no credential, no key, or no way from the key to a token: one mistake each."""
    assert mistake_in(text).key == key
    assert "missing" in mistake_in(text).text


def test_mixing_the_forms_is_a_mistake_that_names_both() -> None:
    """Each key of the short form is pointed at, and the long one's keys are named."""
    first, second = mistakes_in(SHORT + "upstream: https://a\nroutes: [{upstream: 'https://a'}]")
    assert {first.key, second.key} == {"credential", "upstream"}
    assert "routes" in first.text


def test_a_variable_mixed_into_the_long_form_is_named() -> None:
    """A stray SIDECAR_API_KEY does not silently change a long configuration."""
    mistakes = mistakes_in("routes: [{upstream: 'https://a'}]", {"SIDECAR_API_KEY": "k"})
    assert any("short form" in mistake.text for mistake in mistakes)
    assert any(mistake.where == "SIDECAR_API_KEY" for mistake in mistakes)
