"""Prometheus, scraping one target, and promtool's opinion on metrics text."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.servers import programs
from tests.servers.process import ANSWER_WITHIN_S, POLL_S, ServerProcess, answers


def promtool_check(metrics: str) -> str:
    """Return what `promtool check metrics` prints about the text; "" where it has nothing to say."""
    command: list[str | Path] = [programs.require("promtool"), "check", "metrics"]
    result = subprocess.run(
        command, input=metrics, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False
    )
    assert result.returncode == 0 or result.stdout, "promtool failed in silence"
    return result.stdout


class Prometheus(ServerProcess):
    """A Prometheus of our own.

    Args:
        directory: an empty one; its data is there.
        target: `host:port` that it scrapes at `/metrics`, twice a second.
    """

    def __init__(self, directory: Path, target: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        scrape = {"job_name": "sidecar", "static_configs": [{"targets": [target]}]}
        configuration = {"global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"}, "scrape_configs": [scrape]}
        (directory / "prometheus.yml").write_text(json.dumps(configuration))  # JSON is YAML
        command: list[str | Path] = [
            programs.require("prometheus"),
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        super().__init__(command, directory, ready=lambda: answers(f"{self.url}/-/ready"))

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return the instant value of a PromQL expression: labels and number of each series."""
        query = urllib.parse.urlencode({"query": expression})
        result = self._get(f"/api/v1/query?{query}")["result"]
        return [(series["metric"], float(series["value"][1])) for series in result]

    def wait_for(self, expression: str, within_s: float = 20.0) -> list[tuple[dict[str, str], float]]:
        """Return the expression's value as soon as it has one.

        Raises:
            TimeoutError: it has none in time; says what Prometheus thinks of its target.
        """
        deadline = time.monotonic() + within_s
        while not (result := self.query(expression)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"no value of {expression}; target: {self.target()}")
            time.sleep(POLL_S * 5)
        return result

    def target(self) -> dict[str, Any]:
        """Return what Prometheus knows of its target: `health` is `up`, `down` or `unknown`, `lastError` says why."""
        targets: list[dict[str, Any]] = self._get("/api/v1/targets")["activeTargets"]
        return targets[0] if targets else {"health": "unknown"}

    def _get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(self.url + path, timeout=ANSWER_WITHIN_S) as response:
            data: dict[str, Any] = json.loads(response.read())["data"]
        return data
