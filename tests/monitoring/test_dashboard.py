"""The dashboard's JSON: what is in it is whole, asks for what there is, and belongs to no one installation."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from helm.tools.dashboard import DASHBOARD, main, rendered
from helm.tools.panels import FILE, PanelsError, Row, read
from tests.monitoring.exposition import TARGET_LABELS, exposition
from tests.monitoring.promql import selectors

Json = Mapping[str, Any]

BOARD: Json = json.loads(DASHBOARD.read_text())
PANELS: list[Json] = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
# As Grafana's @grafana/data 13.2 calls them (valueFormats/categories): an unknown one is shown as a suffix.
UNITS = frozenset(("none", "s", "bytes", "percentunit", "reqps"))
# Its built-in variables that the queries use.
BUILT_IN = frozenset(("__rate_interval",))
CHOICES = ("namespace", "pod", "instance")


def targets() -> Iterator[tuple[str, Json]]:
    """Yield every query with the title of its panel."""
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target


def test_it_is_what_the_panels_describe(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever changes one of the two files by hand is told."""
    assert main(["--check"]) == 0
    assert capsys.readouterr() == ("", "")


def test_what_is_out_of_date_is_said_and_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the command that mends it."""
    file = tmp_path / "dashboard.json"
    file.write_text("{}")
    assert main(["--check"], file) == 1
    assert "python -m helm.tools.dashboard" in capsys.readouterr().err
    assert file.read_text() == "{}"
    assert main([], file) == 0
    assert file.read_text() == DASHBOARD.read_text() == rendered()


def test_the_generator_s_help_fits_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    """24 lines of 80, with an example at its end."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    assert lines[-1].strip().startswith("python -m helm.tools.dashboard")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("kind: stat", "kind: pie", "kind: expected one of stat, series, stack, table, not pie"),
        ("width: 3", "width: 25", "width: expected 1 to 24 columns, not 25"),
        ("width: 3", "width: wide", "width: expected a value of type int, not 'wide'"),
        (
            "unit: none",
            "units: none",
            "units: unknown; expected one of title, kind, width, unit, good, queries, colors",
        ),
        ("        unit: none\n", "", "missing: unit"),
        ("{green: null, red: 1}", "{green: 0, red: 1}", "colors: expected null for the first"),
        ("{red: null, orange: 0, green: 15}", "{red: null, orange: 20, green: 15}", "ascending numbers"),
    ],
)
def test_a_mistake_in_the_panels_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    """With the row and panel, and what was expected."""
    file = tmp_path / "panels.yaml"
    text = FILE.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(PanelsError, match=re.escape(said)) as raised:
        read(file)
    assert str(raised.value).startswith("panels.yaml: row 1 (Is all well?): panel ")


def test_each_panel_has_an_id_of_its_own() -> None:
    """Rows as well."""
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids)


def test_no_panel_lies_on_another() -> None:
    """Nor beyond the grid's 24 columns."""
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] >= 0 and at["w"] > 0 and at["h"] > 0 and at["x"] + at["w"] <= 24
    for one, other in combinations((panel["gridPos"] for panel in BOARD["panels"]), 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)


def test_no_line_of_the_grid_has_a_gap_at_its_beginning_or_middle() -> None:
    """Panels stand side by side from the left."""
    lines: dict[int, list[Json]] = {}
    for panel in BOARD["panels"]:
        lines.setdefault(panel["gridPos"]["y"], []).append(panel["gridPos"])
    for line in lines.values():
        edge = 0
        for at in line:
            assert at["x"] == edge
            edge += at["w"]


def test_the_first_row_says_whether_all_is_well() -> None:
    """Numbers with colours, one line, before anything that has to be read."""
    first, *rest = read()
    assert first.title == "Is all well?"
    assert {panel.kind for panel in first.panels} == {"stat"}
    assert sum(panel.width for panel in first.panels) <= 24
    assert all(len(panel.colors) > 1 for panel in first.panels)
    assert not any(panel.kind == "stat" for row in rest for panel in row.panels)


def test_it_shows_what_operators_ask_for() -> None:
    """Tokens by pod, exchanges, rejections, replays, overhead, waiting, requests, refusals, connections, process."""
    read_by_them = {selector.name for _, target in targets() for selector in selectors(target["expr"])}
    assert read_by_them >= {
        *("sidecar_ready", "sidecar_token_valid", "sidecar_token_expiry_timestamp_seconds"),
        *("sidecar_token_obtained_timestamp_seconds", "sidecar_exchanges_total", "sidecar_rejections_total"),
        *("sidecar_replays_total", "sidecar_overhead_seconds_bucket", "sidecar_token_wait_seconds_bucket"),
        *("sidecar_requests_total", "sidecar_refused_total", "sidecar_connections", "sidecar_upstream_connections"),
        *("sidecar_upstream_failures_total", "process_resident_memory_bytes", "process_cpu_seconds_total"),
        *("sidecar_credential_info", "sidecar_build_info"),
    }
    of_pods = [target["expr"] for title, target in targets() if "token expires" in title or "Age of the token" in title]
    assert len(of_pods) == 2 and all("by (pod, instance, credential)" in expr for expr in of_pods)


async def test_it_asks_for_what_there_is() -> None:
    """Every metric, label, and value of a label; what a legend names is what the query keeps."""
    there_is = await exposition()
    for title, target in targets():
        found = selectors(target["expr"])
        assert found, title
        for selector in found:
            assert selector.name in there_is, f"{title}: there is no {selector.name}"
            for matcher in selector.matchers:
                if matcher.label not in TARGET_LABELS:
                    values = there_is[selector.name].get(matcher.label, set())
                    assert set(matcher.alternatives) <= values, f"{title}: {matcher}"
        known = {label for selector in found for label in there_is[selector.name]} | TARGET_LABELS
        grouped = re.findall(r"by \(([^)]*)\)", target["expr"])
        kept = {label.strip() for labels in grouped for label in labels.split(",")} if grouped else known
        assert kept <= known, title
        assert set(re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", ""))) <= kept, title


def test_every_query_heeds_the_choice_of_targets() -> None:
    """In each of its selectors, by the same three conditions."""
    for title, target in targets():
        for selector in selectors(target["expr"]):
            chosen = {matcher.label: (matcher.how, matcher.value) for matcher in selector.matchers}
            assert {label: chosen.get(label) for label in CHOICES} == {
                label: ("=~", f"${label}") for label in CHOICES
            }, title


def test_all_means_targets_without_such_a_label_too() -> None:
    """A static scrape has neither namespace nor pod, and `.*` matches what is not there."""
    variables = {variable["name"]: variable for variable in BOARD["templating"]["list"]}
    assert list(variables) == ["datasource", *CHOICES]
    for label in CHOICES:
        variable = variables[label]
        assert (variable["includeAll"], variable["multi"], variable["allValue"]) == (True, True, ".*")
        assert variable["current"]["value"] == ["$__all"]
        assert variable["query"]["query"].endswith(f", {label})")


def test_it_belongs_to_no_one_installation() -> None:
    """The data source is a variable everywhere, no database's number is in it, and every variable in use is there."""
    assert "id" not in BOARD and "version" not in BOARD
    sources = list(_sources(BOARD))
    assert len(sources) > 2 * len(PANELS)
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)
    used = set(re.findall(r"\$\{?(\w+)", DASHBOARD.read_text()))
    assert used - {variable["name"] for variable in BOARD["templating"]["list"]} == BUILT_IN | {"__all"}


def _sources(document: object) -> Iterator[object]:
    """Yield everything that is named as a data source, however deep."""
    if isinstance(document, dict):
        yield from (value for key, value in document.items() if key == "datasource")
        for value in document.values():
            yield from _sources(value)
    elif isinstance(document, list):
        for value in document:
            yield from _sources(value)


def test_each_panel_says_what_good_looks_like_in_a_unit_that_there_is() -> None:
    """A description each; a number without its unit is no number."""
    for panel in PANELS:
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        assert [target["refId"] for target in panel["targets"]] == ["A", "B", "C"][: len(panel["targets"])]


def test_several_lines_have_names() -> None:
    """A series without a legend would be called by its whole query."""
    for panel in PANELS:
        if panel["type"] == "timeseries":
            assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]


def test_each_picture_is_there_once() -> None:
    """Titles are what people tell each other."""
    rows: list[Row] = list(read())
    titles = [panel.title for row in rows for panel in row.panels]
    assert len(set(titles)) == len(titles)
