"""What the library's files say of each other: values, schema, table, README and the program have to agree."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import sidecar
from helm.tools import values_table
from sidecar.config.presets import PRESETS
from tests.chart.documents import Document, documents
from tests.chart.helm import APP_ENV_LINE, CONTAINER_LINE, DEPENDENCY, LIBRARY, VOLUMES_LINE, scenarios

VALUES: Document = documents((LIBRARY / "values.yaml").read_text())[0]
SCHEMA: Document = json.loads((LIBRARY / "values.schema.json").read_text())
# What a cluster defines, not the chart.
FREE = {"resources", "appEnv"}


def keys_of_values(values: Document, prefix: str = "") -> Iterator[str]:
    """Return every key of the values, dotted."""
    for key, value in values.items():
        yield prefix + key
        if isinstance(value, dict) and key not in FREE:
            yield from keys_of_values(value, f"{prefix}{key}.")


def keys_of_schema(schema: Document, prefix: str = "") -> Iterator[str]:
    """Return every key that the schema knows, dotted."""
    for key, inner in schema.get("properties", {}).items():
        yield prefix + key
        if key not in FREE:
            yield from keys_of_schema(inner, f"{prefix}{key}.")


def test_the_schema_knows_every_value_and_no_other() -> None:
    """But `global`, which Helm adds."""
    assert sorted([*keys_of_values(VALUES), "global"]) == sorted(keys_of_schema(SCHEMA))


def test_the_schema_knows_the_programs_presets() -> None:
    """One that the program learns is added here."""
    assert set(SCHEMA["properties"]["preset"]["enum"]) == {"", *PRESETS}


def test_every_value_is_set_in_a_scenario() -> None:
    """To something else than its default, so that what it does is rendered."""
    files = [documents(path.read_text())[0]["sidecar-lib"] for path in scenarios(LIBRARY)]
    leaves = [
        key for key in keys_of_values(VALUES) if not any(one.startswith(f"{key}.") for one in keys_of_values(VALUES))
    ]

    def at(values: Document, key: str) -> object:
        first, _, rest = key.partition(".")
        return at(values.get(first, {}), rest) if rest else values.get(first)

    # Each has a test of its own beside the refusals.
    elsewhere = {"preStopSleepSeconds", "startup.timeoutSeconds", "config.key"}
    assert [key for key in leaves if all(at(one, key) in (None, at(VALUES, key)) for one in files)] == sorted(elsewhere)


def test_the_versions_are_the_programs() -> None:
    """The chart's, the image's by default, and the one in the lines that a user copies."""
    chart = yaml.safe_load((LIBRARY / "Chart.yaml").read_text())
    assert chart["appVersion"] == VALUES["image"]["tag"] == sidecar.__version__
    assert f"version: {chart['version']}" in DEPENDENCY


def test_the_lines_that_are_tested_are_those_of_the_readme() -> None:
    """As they stand there, but for where the library lies."""
    readme = (LIBRARY / "README.md").read_text()
    for line in (CONTAINER_LINE, VOLUMES_LINE, APP_ENV_LINE):
        assert line in readme
    name, version = re.findall(r"- name: (\S+)\n\s+version: (\S+)", readme)[0]
    assert f"- name: {name}\n    version: {version}\n" in DEPENDENCY


def test_the_readmes_table_is_that_of_the_values(capsys: pytest.CaptureFixture[str]) -> None:
    """`python -m helm.tools.values_table` writes it."""
    assert values_table.main(["--check"]) == 0, capsys.readouterr().err


def test_a_table() -> None:
    """A comment is a meaning; a mapping with comments inside is a row for each key, another is one row."""
    text = (
        "# A heading.\n\n# One | two,\n# and more.\na: 1\n# Both.\nb:\n  # Inner.\n  c: []\nd:\n  # E.\n  e: {f: x}\n"
    )
    assert values_table.rows(text) == [
        values_table.Row("a", "1", "One \\| two, and more."),
        values_table.Row("b", "", "Both."),
        values_table.Row("b.c", "[]", "Inner."),
        values_table.Row("d.e", '{"f": "x"}', "E."),
    ]
    assert values_table.table(text).splitlines()[2:4] == [
        "| `a` | `1` | One \\| two, and more. |",
        "| `b` |  | Both. |",
    ]


def test_a_table_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A value without a comment, a README without a place, one that is not up to date: each is named."""
    for name, values, readme in (
        ("bare", "# A.\na: 1\nb: 2\n", "<!-- values -->\n<!-- /values -->\n"),
        ("old", "# A.\na: 1\n", "<!-- values -->\n<!-- /values -->\n"),
        ("placeless", "# A.\na: 1\n", "No table.\n"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "values.yaml").write_text(values)
        (tmp_path / name / "README.md").write_text(readme)
    assert values_table.main(["--check"], tmp_path) == 1
    assert capsys.readouterr().err.splitlines() == [
        "bare: values.yaml:3: b: no comment above it: say what it is for",
        "old/README.md: its table is not what values.yaml says: run python -m helm.tools.values_table",
        "placeless: README.md: the table's place is missing: add the lines <!-- values --> and <!-- /values -->",
    ]
    values_table.main([], tmp_path)
    assert "| `a` | `1` | A. |" in (tmp_path / "old" / "README.md").read_text()
