"""Every number of every alert is held by a case of promtool's: changed, the case fails. Behind `make chart`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.monitoring.rules import Alert, alerts, cases, promtool

pytestmark = pytest.mark.skipif("SIDECAR_CHART" not in os.environ, reason="takes 20 s; `make chart` runs it")

# Not those in ranges, in names or in quotes.
_NUMBER = re.compile(r'(?<![\w".\[])\d+(?:\.\d+)?(?![\w".]|\s*\])')
_MINUTES = re.compile(r"(\d+)m")
# How far the case of an alert that compares with the day before can tell moments apart.
_STEP_MIN = {"day.test.yaml": 5}


def changed(alert: Alert, step_min: int) -> Iterator[Alert]:
    """Yield the alert with one number changed: by a tenth, small whole ones by one; its `for` by a step."""
    held_min = int(_MINUTES.fullmatch(alert.held)[1]) if alert.held else 0  # type: ignore[index]  # all are minutes
    yield replace(alert, held=f"{held_min + step_min}m")
    if held_min:
        yield replace(alert, held=f"{held_min - step_min}m")
    for found in _NUMBER.finditer(alert.expr):
        for other in _others(found[0]):
            yield replace(alert, expr=alert.expr[: found.start()] + other + alert.expr[found.end() :])


def _others(number: str) -> list[str]:
    value = float(number)
    if value == 0:
        return ["-1"]
    if "." not in number and value < 10:
        return [str(int(value) - 1), str(int(value) + 1)]
    return [f"{value * 0.9:.6g}", f"{value * 1.1:.6g}"]


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert.name)
def test_every_number_is_held(alert: Alert, tmp_path: Path) -> None:
    """The case succeeds with the alert as it is, and with no other."""
    case = cases()[alert.name]
    well, said = promtool("test", "rules", case.write(tmp_path / "as-it-is", alert))
    assert well, said
    survivors = [
        (other.expr, other.held)
        for number, other in enumerate(changed(alert, _STEP_MIN.get(case.file.name, 1)))
        if promtool("test", "rules", case.write(tmp_path / str(number), other))[0]
    ]
    assert survivors == []
