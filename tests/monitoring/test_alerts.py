"""The alerts: each can fire and can be silent, asks for what there is, and says what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.monitoring.exposition import TARGET_LABELS, exposition
from tests.monitoring.promql import selectors
from tests.monitoring.rules import ALERTS_FILE, CASE_FILES, HERE, ROOT, Alert, alerts, cases, promtool

ALERTS = alerts()
each_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
# Labels of a target that only some ways of scraping give.
_OF_PODS = re.compile(r"labels\.(namespace|pod|container|endpoint|service|node)\b")


def test_prometheus_takes_the_file() -> None:
    """As it stands, without Helm."""
    well, said = promtool("check", "rules", ALERTS_FILE)
    assert well and f"{len(ALERTS)} rules found" in said, said


def test_promtool_s_cases() -> None:
    """Each alert fires where it should, not a moment before, and not for its neighbour below the threshold."""
    well, said = promtool("test", "rules", *(file.relative_to(HERE) for file in CASE_FILES))
    assert well, said


@each_alert
def test_each_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(alert: Alert) -> None:
    """A moment before its time is the latter, unless something fires all along."""
    looked = cases()[alert.name].document["promql_expr_test"]
    assert all(f'alertname="{alert.name}"' in one["expr"] for one in looked)
    before, after = (len(one["exp_samples"]) for one in looked)
    assert before < after


async def test_they_ask_for_what_there_is() -> None:
    """Every metric, every label, and every value of a label that an expression names."""
    there_is = await exposition()
    for alert in ALERTS:
        read = selectors(alert.expr)
        assert read, alert.name
        for selector in read:
            assert selector.name in there_is, f"{alert.name}: there is no {selector.name}"
            for matcher in selector.matchers:
                values = there_is[selector.name].get(matcher.label, set())
                missing = set(matcher.alternatives) - values
                assert not missing, f"{alert.name}: {selector.name} has no {matcher.label}={missing}"


async def test_their_texts_name_labels_that_the_alert_has() -> None:
    """Those of its metrics, and `job` and `instance`, which every way of scraping gives."""
    there_is = await exposition()
    for alert in ALERTS:
        of_metrics = {label for selector in selectors(alert.expr) for label in there_is[selector.name]}
        text = " ".join(alert.annotations.values())
        assert not _OF_PODS.search(text), alert.name
        named = set(re.findall(r"\$labels\.(\w+)", text))
        assert named <= of_metrics | TARGET_LABELS, alert.name


@each_alert
def test_each_says_how_bad_it_is_and_where_to_read_on(alert: Alert) -> None:
    """Severity, summary, description, and its section of the runbook."""
    assert alert.name.startswith("Sidecar")
    assert alert.labels["severity"] in ("critical", "warning", "info")
    assert set(alert.annotations) == {"summary", "description", "runbook"}
    assert alert.annotations["summary"].endswith(".") and alert.annotations["description"].endswith(".")
    assert alert.annotations["runbook"] == f"README.md#{alert.name.lower()}"


def test_their_names_are_their_own() -> None:
    """A runbook has one section for each."""
    assert len({alert.name for alert in ALERTS}) == len(ALERTS)


def test_the_runbook_has_a_section_for_each_and_no_other() -> None:
    """`### Name` below `## Runbook` in the README, which is what the annotation points at."""
    assert _runbook(ROOT / "README.md") == sorted(alert.name for alert in ALERTS)


def _runbook(file: Path) -> list[str]:
    _, _, runbook = file.read_text().partition("\n## Runbook\n")
    runbook, _, _ = runbook.partition("\n## ")
    return sorted(re.findall(r"^### (Sidecar\w+)$", runbook, re.MULTILINE))
