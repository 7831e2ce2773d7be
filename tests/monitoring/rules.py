"""The alerts as they are shipped, and promtool's verdict on them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.servers import programs

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ALERTS_FILE = ROOT / "helm/sidecar/files/alerts.yaml"
CASE_FILES = sorted(HERE.glob("*.test.yaml"))


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule; `held` is its `for`, "" where it fires at once."""

    name: str
    expr: str
    held: str
    labels: dict[str, str]
    annotations: dict[str, str]


@dataclass(frozen=True, slots=True)
class Case:
    """Promtool's test of one alert, and the file that it stands in."""

    file: Path
    document: dict[str, Any]

    @property
    def verdicts(self) -> list[bool]:
        """For each moment that is looked at: whether something fires."""
        return [bool(looked["exp_samples"]) for looked in self.document["promql_expr_test"]]

    def write(self, folder: Path, alert: Alert) -> Path:
        """Write this test and a rule file with this one alert into a folder; return the test's file."""
        rule = {"alert": alert.name, "expr": alert.expr, "labels": alert.labels}
        rule |= {"for": alert.held} if alert.held else {}
        whole = yaml.safe_load(self.file.read_text())
        whole |= {"rule_files": ["rules.yaml"], "tests": [self.document]}
        folder.mkdir(exist_ok=True)
        (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "one", "rules": [rule]}]}))
        (folder / "case.yaml").write_text(yaml.safe_dump(whole))
        return folder / "case.yaml"


def alerts() -> list[Alert]:
    """Return all alerts."""
    return [
        Alert(rule["alert"], rule["expr"], rule.get("for", ""), rule["labels"], rule["annotations"])
        for group in yaml.safe_load(ALERTS_FILE.read_text())["groups"]
        for rule in group["rules"]
    ]


@cache
def cases() -> dict[str, Case]:
    """Return the tests by their names, which are those of the alerts."""
    return {
        document["name"]: Case(file, document)
        for file in CASE_FILES
        for document in yaml.safe_load(file.read_text())["tests"]
    }


def promtool(*arguments: str | Path) -> tuple[bool, str]:
    """Run it; return whether it is content, and what it says."""
    command: list[str | Path] = [programs.require("promtool"), *arguments]
    ran = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False, cwd=HERE
    )
    return ran.returncode == 0, ran.stdout
