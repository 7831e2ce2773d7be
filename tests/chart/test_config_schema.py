"""The program's schema within the gateway's values: the same values pass, and what does not is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from helm.tools import config_schema
from sidecar.config.schema import schema

REPOSITORY = Path(__file__).parents[2]
CONFIGURATIONS = [
    REPOSITORY / "config.example.yaml",
    *sorted((REPOSITORY / "examples").glob("*.yaml")),
]
# One value for each kind of mistake, and whether the program's own schema takes it.
VALUES: list[tuple[dict[str, Any], bool]] = [
    ({"listen": "127.0.0.1:8080"}, True),
    ({"listen": ["127.0.0.1:8080"]}, True),
    ({"listen": None}, True),
    ({"listen": 8080}, False),
    ({"listen": [8080]}, False),
    ({"log": {"level": "info"}}, True),
    ({"log": {"level": "${LEVEL}"}}, True),
    ({"log": {"level": "loud"}}, False),
    ({"log": {"access": True}}, True),
    ({"log": {"access": "yes"}}, False),
    ({"log": {"acces": True}}, False),
    ({"log": None}, True),
    ({"limits": {"connections": "auto"}}, True),
    ({"limits": {"connections": 5}}, True),
    ({"limits": {"connections": "many"}}, False),
    ({"limits": {"connections": 0}}, False),
    ({"limits": {"head_timeout": "10s"}}, True),
    ({"limits": {"head_timeout": "10"}}, False),
    ({"gate": {"peer_uids": [1000, "${UID}"]}}, True),
    ({"gate": {"peer_uids": [-1]}}, False),
    ({"credential": {"exchange": {"json": [1, {"a": "{api_key}"}]}}}, True),
    ({"routes": [{"upstream": {"url": "https://a.example"}}]}, True),
    ({"credential": {"api_key": {"command": []}}}, False),
]


@pytest.fixture(scope="module")
def ours() -> jsonschema.Draft7Validator:
    """What the chart checks `config` with."""
    return jsonschema.Draft7Validator(json.loads(config_schema.SCHEMA.read_text())["properties"]["config"])


@pytest.fixture(scope="module")
def programs() -> jsonschema.Draft7Validator:
    """What `sidecar schema` prints."""
    return jsonschema.Draft7Validator(schema())


def test_the_charts_schema_is_the_programs() -> None:
    """As `make check` would have it: the tool has nothing to write."""
    assert config_schema.main(["--check"]) == 0


@pytest.mark.parametrize("file", CONFIGURATIONS, ids=lambda path: path.name)
def test_it_takes_what_the_program_takes(
    ours: jsonschema.Draft7Validator, programs: jsonschema.Draft7Validator, file: Path
) -> None:
    """Every configuration of the project."""
    configuration = yaml.safe_load(file.read_text())
    assert [error.message for error in programs.iter_errors(configuration)] == []
    assert [error.message for error in ours.iter_errors(configuration)] == []


@pytest.mark.parametrize(("value", "right"), VALUES, ids=lambda value: json.dumps(value))
def test_it_refuses_what_the_program_refuses(
    ours: jsonschema.Draft7Validator, programs: jsonschema.Draft7Validator, value: dict[str, Any], right: bool
) -> None:
    """One value for each kind of mistake."""
    assert programs.is_valid(value) is right
    assert ours.is_valid(value) is right


def test_a_mistake_is_named_where_it_is(ours: jsonschema.Draft7Validator) -> None:
    """And not as "none of these schemas" at some key above it: that is what the choices were taken away for."""
    (error,) = ours.iter_errors({"credential": {"exchange": {"tls": {"ca": "x"}}}})
    assert list(error.absolute_path) == ["credential", "exchange", "tls"]
    assert "'ca' was unexpected" in error.message
    assert "anyOf" not in config_schema.SCHEMA.read_text()


def test_a_choice_that_cannot_be_told_apart_is_an_error() -> None:
    """Two kinds of objects, say: the tool then has to be told what to do, and does not guess."""
    objects = [{"type": "object", "properties": {"a": {}}}, {"type": "object", "properties": {"b": {}}}]
    with pytest.raises(config_schema.SchemaError, match="a choice has two options with"):
        config_schema.flat({"anyOf": objects})


def test_an_old_schema_is_found_and_renewed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--check` says what to run; without it the file is written, and what is written by hand in it stays."""
    file = tmp_path / "values.schema.json"
    whole = json.loads(config_schema.SCHEMA.read_text())
    whole["properties"]["config"] = {"type": "object"}
    file.write_text(json.dumps(whole))
    assert config_schema.main(["--check"], file) == 1
    assert "run python -m helm.tools.config_schema" in capsys.readouterr().err
    assert json.loads(file.read_text()) == whole
    assert config_schema.main([], file) == 0
    assert file.read_text() == config_schema.SCHEMA.read_text()
