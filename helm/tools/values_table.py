"""Writes the table of each chart's values into its README: `python -m helm.tools.values_table [--check]`.

The comment right above a key in values.yaml is its meaning; a mapping whose keys have comments becomes one row for each
of them. The table stands between `<!-- values -->` and `<!-- /values -->`. With `--check` it writes nothing, and ends
with 1 where a table is not what values.yaml says.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

CHARTS = Path(__file__).parents[1]
BEGIN, END = "<!-- values -->\n", "<!-- /values -->\n"
COMMAND = "python -m helm.tools.values_table"


class TableError(Exception):
    """A table cannot be made, or put in its place; the text names the file and what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """One value: its dotted key, its default as YAML shows it, and its meaning."""

    key: str
    default: str
    meaning: str


def rows(text: str) -> list[Row]:
    """Return a row for each value of the file, in its order.

    Args:
        text: what values.yaml holds.

    Raises:
        TableError: a key has no comment; it is named with its line.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise TableError("values.yaml: expected keys with values")
    return list(_rows(root, "", text.splitlines()))


def table(text: str) -> str:
    """Return the table in Markdown. Raises TableError as `rows` does."""
    lines = ["| value | default | meaning |", "|---|---|---|"]
    for row in rows(text):
        default = f"`{row.default}`" if row.default else ""
        lines.append(f"| `{row.key}` | {default} | {row.meaning} |")
    return "\n".join(lines) + "\n"


def with_table(readme: str, values: str) -> str:
    """Return the README with the table of these values in its place.

    Raises:
        TableError: the README has no place for it, or a key has no comment.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise TableError(f"README.md: the table's place is missing: add the lines {BEGIN.strip()} and {END.strip()}")
    return f"{before}{BEGIN}{table(values)}{END}{after}"


def _rows(node: yaml.MappingNode, prefix: str, lines: list[str]) -> Iterator[Row]:
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        meaning = _comment_above(key.start_mark.line, lines)
        nested = isinstance(value, yaml.MappingNode) and any(
            inner.start_mark.line > key.start_mark.line and _comment_above(inner.start_mark.line, lines)
            for inner, _ in value.value
        )
        if not meaning and not nested:
            raise TableError(f"values.yaml:{key.start_mark.line + 1}: {name}: no comment above it: say what it is for")
        if not nested:
            yield Row(name, _shown(value), meaning)
            continue
        if meaning:
            yield Row(name, "", meaning)
        yield from _rows(value, f"{name}.", lines)


def _comment_above(line: int, lines: list[str]) -> str:
    """Return the comment that ends right above this line (counted from 0), as one line; a bar would end a cell."""
    start = line
    while start and lines[start - 1].lstrip().startswith("#"):
        start -= 1
    words = " ".join(text.lstrip().lstrip("#").strip() for text in lines[start:line])
    return words.replace("|", "\\|")


def _shown(node: yaml.Node) -> str:
    value = yaml.SafeLoader("").construct_object(node, deep=True)
    return json.dumps(value, ensure_ascii=False)


def main(arguments: list[str], charts: Path = CHARTS) -> int:
    """Write the table of every chart, or say with `--check` which is not as it should be; return the exit code."""
    code = 0
    for values in sorted(charts.glob("*/values.yaml")):
        readme = values.with_name("README.md")
        try:
            wanted = with_table(readme.read_text(), values.read_text())
        except (OSError, TableError) as error:
            print(f"{values.parent.name}: {error}", file=sys.stderr)
            code = 1
            continue
        if wanted == readme.read_text():
            continue
        if arguments == ["--check"]:
            print(
                f"{values.parent.name}/README.md: its table is not what values.yaml says: run {COMMAND}",
                file=sys.stderr,
            )
            code = 1
        else:
            readme.write_text(wanted)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
