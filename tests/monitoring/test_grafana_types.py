"""The dashboard is of the types that Grafana publishes: no key and no value that it does not know."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helm.tools.dashboard import DASHBOARD
from tests.monitoring.grafana_types import compare

pytestmark = pytest.mark.skipif("SIDECAR_CHART" not in os.environ, reason="compiles for 5 s each; `make chart` runs it")

BOARD: dict[str, Any] = json.loads(DASHBOARD.read_text())


def test_it_is_a_dashboard(tmp_path: Path) -> None:
    """And each panel one of its kind, with that kind's options and fields."""
    assert compare(BOARD, tmp_path) == ""


def _first(board: dict[str, Any], kind: str) -> Any:
    return next(panel for panel in board["panels"] if panel["type"] == kind)


MISTAKES: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda board: board["templating"]["list"][0].update(type="sources"), '"sources"'),
    (lambda board: _first(board, "row").pop("collapsed"), "'collapsed' is missing"),
    (lambda board: _first(board, "stat").update(height=3), "'\"height\"' does not exist"),
    (lambda board: _first(board, "stat")["options"].update(colorMode="loud"), '"loud"'),
    (lambda board: _first(board, "timeseries")["options"]["legend"].update(placement="left"), '"left"'),
    (
        lambda board: _first(board, "timeseries")["fieldConfig"]["defaults"]["custom"].update(lineWide=1),
        "'\"lineWide\"' does not exist",
    ),
    (lambda board: _first(board, "table")["options"].update(cellHeight="tiny"), '"tiny"'),
]


def test_a_mistake_would_be_seen(tmp_path: Path) -> None:
    """In each part that is compared; all in one dashboard, for a compilation takes long."""
    board = copy.deepcopy(BOARD)
    for make, _ in MISTAKES:
        make(board)
    said = compare(board, tmp_path)
    assert [wanted for _, wanted in MISTAKES if wanted not in said] == [], said
