"""The dashboard's rows and panels as values, read from `panels.yaml`. Nothing here knows Grafana."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

FILE = Path(__file__).with_name("panels.yaml")

Kind = Literal["stat", "series", "stack", "table"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# Of the grid that dashboards are laid out on.
COLUMNS = 24


class PanelsError(Exception):
    """The file is not as it should be; says where, and what was expected."""


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression, and how its series are called: a text with `{{label}}` in it."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture.

    `width` is in columns, `unit` as Grafana calls it; `good` says what good looks like. `colors` are those of
    values from a number on, ascending; the first holds for all below, and its number is None.
    """

    title: str
    kind: Kind
    width: int
    unit: str
    good: str
    queries: Sequence[Query]
    colors: Sequence[tuple[str, float | None]]


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading, all of a height, in grid units."""

    title: str
    height: int
    panels: Sequence[Panel]


def read(file: Path = FILE) -> Sequence[Row]:
    """Return the rows in their order.

    Args:
        file: YAML as in `panels.yaml`.

    Raises:
        PanelsError: a key is missing, unknown, or not what it should be.
    """
    document = _keys(yaml.safe_load(file.read_text()), str(file.name), {"rows": list})
    return [_row(row, f"{file.name}: row {number}") for number, row in enumerate(document["rows"], 1)]


def _row(document: object, where: str) -> Row:
    keys = _keys(document, where, {"title": str, "height": int, "panels": list})
    where = f"{where} ({keys['title']})"
    panels = [_panel(panel, f"{where}: panel {number}") for number, panel in enumerate(keys["panels"], 1)]
    return Row(keys["title"], keys["height"], panels)


def _panel(document: object, where: str) -> Panel:
    required = {"title": str, "kind": str, "width": int, "unit": str, "good": str, "queries": list}
    keys = _keys(document, where, required, {"colors": dict})
    where = f"{where} ({keys['title']})"
    if keys["kind"] not in KINDS:
        raise PanelsError(f"{where}: kind: expected one of {', '.join(KINDS)}, not {keys['kind']}")
    if not 1 <= keys["width"] <= COLUMNS:
        raise PanelsError(f"{where}: width: expected 1 to {COLUMNS} columns, not {keys['width']}")
    queries = [_query(query, f"{where}: query {number}") for number, query in enumerate(keys["queries"], 1)]
    colors = _colors(keys.get("colors", {"green": None}), where)
    return Panel(keys["title"], keys["kind"], keys["width"], keys["unit"], keys["good"], queries, colors)


def _query(document: object, where: str) -> Query:
    keys = _keys(document, where, {"expr": str}, {"legend": str})
    return Query(keys["expr"], keys.get("legend", ""))


def _colors(document: Mapping[str, float | None], where: str) -> Sequence[tuple[str, float | None]]:
    numbers = list(document.values())
    rest = [number for number in numbers[1:] if number is not None]
    if numbers[:1] != [None] or len(rest) != len(numbers) - 1 or rest != sorted(rest):
        raise PanelsError(f"{where}: colors: expected null for the first, and ascending numbers for the others")
    return list(document.items())


def _keys(
    document: object, where: str, required: Mapping[str, type], optional: Mapping[str, type] | None = None
) -> dict[str, Any]:
    """Return a mapping that has all of these keys and no others, each of its type."""
    if not isinstance(document, dict):
        raise PanelsError(f"{where}: expected keys and values")
    known = {**required, **(optional or {})}
    for key, value in document.items():
        if key not in known:
            raise PanelsError(f"{where}: {key}: unknown; expected one of {', '.join(known)}")
        if not isinstance(value, known[key]):
            raise PanelsError(f"{where}: {key}: expected a value of type {known[key].__name__}, not {value!r}")
    if missing := [key for key in required if key not in document]:
        raise PanelsError(f"{where}: missing: {', '.join(missing)}")
    return document
