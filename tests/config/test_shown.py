"""The configuration as people see it: every key with where it comes from, and no secret."""

from __future__ import annotations

from pathlib import Path

import yaml

from sidecar.config.loader import load
from sidecar.config.shown import NOT_SHOWN, settings

SECRET = "s3cret-4711"
FILE = f"""\
listen: [127.0.0.1:8080, {{address: "127.0.0.1:3128", mode: forward}}]
gate:
  require_header: {{name: X-Own, value: {SECRET}}}
credentials:
  crm.eu:
    preset: oauth2
    api_key: {{value: {SECRET}}}
    exchange:
      url: https://login.example.com/token
      headers: {{X-Key: {SECRET}}}
      basic: {{username: {SECRET}}}
      form: {{scope: {SECRET}}}
    inject: {{header: X-Token, value: "{SECRET} {{token}}"}}
    rejected: {{body: {SECRET}}}
  own:
    api_key: {{command: [/bin/echo, {SECRET}]}}
    exchange: {{url: "https://b.example.com/token", json: {{a: {SECRET}, b: "{{api_key}}"}}}}
routes:
  - {{name: crm, upstream: "https://crm.example.com", credential: crm.eu, allow: [{{methods: [GET, HEAD]}}]}}
  - {{name: own, match: {{path: /own/}}, upstream: {{url: "https://b.example.com", timeouts: {{head: 20s}}}}}}
log: {{level: "${{LEVEL:-info}}"}}
"""


def shown(
    path: Path | None = None, flags: dict[str, str] | None = None, **environ: str
) -> dict[str, tuple[str, str, str]]:
    """Return what is shown of each key: its value, its origin, and the credential whose key it is."""
    config = load(path=str(path) if path else None, flags=flags or {}, environ=environ)
    rows = settings(config)
    assert len({row[0] for row in rows}) == len(rows)
    return {key: (value, origin, credential) for key, value, origin, credential in rows}


def test_the_origin_is_the_place_it_was_written_at(tmp_path: Path) -> None:
    """The file and its line, the preset, the environment, or the default."""
    file = tmp_path / "config.yaml"
    file.write_text(FILE)
    found = shown(file, LEVEL="debug")
    assert found["listen"] == ("127.0.0.1:8080, {address: 127.0.0.1:3128, mode: forward}", "config.yaml:1", "")
    assert found["credentials.crm.eu.preset"] == ("oauth2", "config.yaml:6", "")
    assert found["credentials.crm.eu.exchange.response.token"] == ("/access_token", "preset oauth2", "")
    assert found["credentials.crm.eu.inject.header"] == ("X-Token", "config.yaml:13", "")
    assert found["routes[0].allow[0].methods"] == ("GET, HEAD", "config.yaml:19", "")
    assert found["routes[1].upstream.timeouts.head"] == ("20s", "config.yaml:20", "")
    assert found["routes[1].upstream.timeouts.connect"] == ("5s", "default", "")
    assert found["routes[0].credential"] == ("crm.eu", "config.yaml:19", "")
    assert found["log.level"] == ("debug", "config.yaml:21, environment LEVEL", "")
    assert found["limits.head"] == ("64KiB", "default", "")


def test_no_secret_is_in_it(tmp_path: Path) -> None:
    """Of what may hold one it says that it is set, and of a key where it is read from."""
    file = tmp_path / "config.yaml"
    file.write_text(FILE)
    found = shown(file)
    assert SECRET not in repr(found)
    assert found["credentials.crm.eu.api_key"] == ("the configuration", "config.yaml:7", "crm.eu")
    assert found["credentials.own.api_key"] == ("command echo", "config.yaml:16", "own")
    for key in ("exchange.headers", "exchange.basic.username", "exchange.form", "inject.value", "rejected.body"):
        assert found[f"credentials.crm.eu.{key}"][0] == NOT_SHOWN
    assert found["credentials.own.exchange.json"][0] == found["gate.require_header.value"][0] == NOT_SHOWN
    assert SECRET not in repr(load(path=str(file), flags={}, environ={}).written)


def test_the_short_form_by_flags_and_environment() -> None:
    """What is laid over the file says by what; the preset's upstream is told too."""
    found = shown(
        flags={"preset": "giantcontext", "admin_listen": "127.0.0.1:9"}, SIDECAR_API_KEY="k", SIDECAR_LISTEN="[::1]:8"
    )
    assert found["listen"] == ("[::1]:8", "environment SIDECAR_LISTEN", "")
    assert found["admin.listen"] == ("127.0.0.1:9", "flag --admin-listen", "")
    assert found["credential.preset"] == ("giantcontext", "flag --preset", "")
    key = ("environment variable SIDECAR_API_KEY", "environment SIDECAR_API_KEY", "giantcontext")
    assert found["credential.api_key"] == key
    assert found["upstream.url"] == ("https://api.giantcontext.com", "preset giantcontext", "")
    assert found["credential.inject.value"] == ("Bearer {token}", "default", "")


def test_what_is_shown_is_what_counts(tmp_path: Path) -> None:
    """Written down as they are shown, the values make the same configuration: no default is told wrongly."""
    short = {"upstream": "https://api.example.com", "credential": {"preset": "static", "api_key": {"env": "KEY"}}}
    file, again = tmp_path / "config.yaml", tmp_path / "again.yaml"
    file.write_text(yaml.safe_dump(short))
    table: dict[str, object] = {}
    for key, (value, _, credential) in shown(file, KEY="k").items():
        if credential:
            continue
        inner = table
        *sections, last = key.split(".")
        for section in sections:
            inner = inner.setdefault(section, {})  # type: ignore[assignment]
        listed = last in ("hosts", "origins", "peer_uids", "statuses", "reject_statuses", "drop")
        inner[last] = yaml.safe_load(f"[{'' if value == 'none' else value}]") if listed else value
    table["credential"] |= {"api_key": {"env": "KEY"}}  # type: ignore[operator]
    again.write_text(yaml.safe_dump(table))
    first, second = (load(path=str(path), flags={}, environ={"KEY": "k"}) for path in (file, again))
    assert (first.credentials, first.routes, first.limits) == (second.credentials, second.routes, second.limits)
    assert (first.gate, first.drain, first.log, first.admin) == (second.gate, second.drain, second.log, second.admin)
