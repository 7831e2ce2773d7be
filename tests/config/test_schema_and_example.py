"""The reader, the JSON Schema, the example and the defaults of the values are one thing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from sidecar.config import load
from sidecar.config.keys import ROOT
from sidecar.config.kinds import Key, Section, Short
from sidecar.config.presets import WithPreset
from sidecar.config.schema import schema
from sidecar.config.values import Config
from tests.config.loading import LONG, SHORT, load_text, mistakes_in

_EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"
_ENVIRON = {"GIANTCONTEXT_API_KEY": "key-for-tests"}


def _properties(form: Any, at: str = "") -> Iterator[tuple[str, str, Any]]:
    """Yield dotted path, name and schema of every key."""
    if isinstance(form, dict):
        for name, inner in form.get("properties", {}).items():
            yield f"{at}.{name}", name, inner
            yield from _properties(inner, f"{at}.{name}")
        for word in ("anyOf", "items", "additionalProperties"):
            yield from _properties(form.get(word), at)
    elif isinstance(form, list):
        for part in form:
            yield from _properties(part, at)


def _section(key: Key) -> Section[Any] | None:
    kind: object = key.kind
    while isinstance(kind, Short | WithPreset):
        kind = kind.section
    return kind if isinstance(kind, Section) else None


def _defaults(section: Section[Any]) -> dict[str, object]:
    """Return every default that the table writes down, as a file would say it."""
    found = {key.name: key.default for key in section.keys if key.default is not None}
    for key in section.keys:
        inner = _section(key)
        if inner is not None and not any(part.required for part in inner.keys) and key.name != "require_token":
            found[key.name] = _defaults(inner)
    return found


def _over(base: Any, more: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(more, dict)):
        return base
    return {name: _over(base[name], more.get(name)) if name in base else more[name] for name in {**more, **base}}


def test_the_schema_is_a_schema() -> None:
    """JSON, and right by its own rules."""
    jsonschema.Draft7Validator.check_schema(json.loads(json.dumps(schema())))


def test_every_key_says_what_it_does() -> None:
    """A description for each, and a default wherever there is one."""
    keys = list(_properties(schema()))
    assert len(keys) > 150
    assert all(re.fullmatch(r"[A-Z0-9a-z{].*\.", form["description"]) for _, _, form in keys)
    assert dict((path, form.get("default")) for path, _, form in keys)[".limits.head"] == "64KiB"


def test_what_loads_validates() -> None:
    """An editor does not mark what the reader takes."""
    for text in (SHORT, LONG, _EXAMPLE.read_text(), LONG + "limits: {fields: '${N:-5}'}\ngate:\n"):
        load_text(text, _ENVIRON)
        jsonschema.validate(yaml.safe_load(text), schema())


@pytest.mark.parametrize(
    "text",
    [
        "listn: a",
        "limits: {fields: many}",
        "limits: {fields: 0}",
        "drain: {most: 25}",
        "drain: {most: 25 s}",
        "log: {level: warn}",
        "gate: {expose: 'yes'}",
        "gate: {hosts: a}",
        "admin: []",
        "limits: {head: 1MB}",
    ],
)
def test_what_the_schema_refuses_does_not_load(text: str) -> None:
    """And an editor marks what the reader refuses."""
    assert len(mistakes_in(SHORT + text)) == 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(SHORT + text), schema())


def test_writing_every_default_changes_nothing() -> None:
    """The defaults of the table, of the schema and of the values are the same."""
    plain = {
        "credentials": {
            "vendor": {
                "api_key": {"env": "API_KEY"},
                "exchange": {"url": "https://a/b", "json": "{api_key}", "response": {"token": "/token"}},
            }
        },
        "routes": [{"name": "a", "upstream": {"url": "https://a"}, "credential": "vendor"}],
    }
    tables = {key.name: key.kind for key in ROOT.keys}
    credential: Any = tables["credentials"]
    route: Any = tables["routes"]
    upstream = next(_section(key) for key in route.kind.keys if key.name == "upstream")
    exchange = next(_section(key) for key in credential.kind.section.keys if key.name == "exchange")
    assert upstream is not None and exchange is not None
    written: Any = {
        "credentials": {"vendor": {**_defaults(credential.kind.section), "exchange": _defaults(exchange)}},
        "routes": [{**_defaults(route.kind), "upstream": _defaults(upstream)}],
        **{name: value for name, value in _defaults(ROOT).items() if name not in ("credential", "upstream")},
    }
    written["routes"] = [_over(plain["routes"][0], written["routes"][0])]  # type: ignore[index]
    text = json.dumps(_over({"credentials": plain["credentials"]}, written))
    assert text.count(":") > 60
    assert _comparable(load_text(text)) == _comparable(load_text(json.dumps(plain)))


def _comparable(config: Config) -> Config:
    return replace(config, source="", warnings=())


def test_the_example_loads_and_is_the_defaults() -> None:
    """Copying all of it is the same as writing the short form."""
    config = load(path=str(_EXAMPLE), flags={}, environ=_ENVIRON)
    short = load(path=None, flags={"preset": "giantcontext", "api_key_env": "GIANTCONTEXT_API_KEY"}, environ=_ENVIRON)
    assert config.warnings == ()
    assert _comparable(config) == _comparable(short)


def test_the_example_shows_every_key() -> None:
    """Under its name, in the text or in a comment, and names the schema in its first line."""
    text = _EXAMPLE.read_text()
    assert text.startswith("# yaml-language-server: $schema=")
    missing = [path for path, name, _ in _properties(schema()) if not re.search(rf"(?<![\w-]){name}:", text)]
    assert missing == []
