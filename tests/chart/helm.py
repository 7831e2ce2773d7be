"""Runs Helm on copies of the charts: nothing is written beside a chart or into the user's Helm, no cluster is asked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.chart import programs
from tests.chart.documents import Document, documents

CHARTS = Path(__file__).parents[2] / "helm"
LIBRARY = CHARTS / "sidecar-lib"
TIMEOUT_S = 120
# The oldest that has native sidecars, and the newest whose schemas are there.
OLDEST, NEWEST = "1.29", "1.37"

# What a user adds to a chart of his own, as the library's README says it.
DEPENDENCY = """
dependencies:
  - name: sidecar-lib
    version: 0.1.0
    repository: file://../sidecar-lib
"""
CONTAINER_LINE = '{{- include "sidecar.container" . | nindent 8 }}'
VOLUMES_LINE = '{{- include "sidecar.volumes" . | nindent 8 }}'
APP_ENV_LINE = '{{- include "sidecar.appEnv" . | nindent 12 }}'


class HelmRefused(Exception):
    """Helm ended with an error; the text is what it said."""


@dataclass(frozen=True, slots=True)
class Helm:
    """One of the Helms.

    Args:
        program: its path.
    """

    program: Path

    def template(
        self,
        chart: Path,
        *,
        files: Iterable[Path] = (),
        values: Mapping[str, object] | None = None,
        kube: str = NEWEST,
        apis: Iterable[str] = (),
    ) -> list[Document]:
        """Return what the chart renders to, for release `demo` in namespace `apps`.

        Args:
            chart: the chart's folder, its dependencies in place.
            files: values files, the last one first in rank.
            values: values over those of the files.
            kube: the cluster's version, such as 1.29 or v1.28.0-gke.1.
            apis: more API versions that the cluster has, such as monitoring.coreos.com/v1.

        Raises:
            HelmRefused: a value is refused, or the chart is wrong.
        """
        arguments = ["template", "demo", str(chart), "--namespace", "apps", "--kube-version", kube]
        arguments += [part for api in apis for part in ("--api-versions", api)]
        return documents(self.run(*arguments, *_values(files, values)))

    def lint(self, chart: Path, *, files: Iterable[Path] = ()) -> str:
        """Return what Helm says of the chart, where it finds no mistake. Raises HelmRefused where it does."""
        return self.run("lint", "--strict", str(chart), *_values(files, None))

    def update_dependencies(self, chart: Path) -> None:
        """Pack the charts that this one names, by file://, into its folder `charts`."""
        self.run("dependency", "update", "--skip-refresh", str(chart))

    def run(self, *arguments: str) -> str:
        """Return what Helm prints to its standard output. Raises HelmRefused with what it says where it fails."""
        with tempfile.TemporaryDirectory() as home:
            result = subprocess.run(
                [self.program, *arguments],
                env={"PATH": os.environ.get("PATH", os.defpath), "HOME": home, "KUBECONFIG": os.devnull},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
                check=False,
            )
        if result.returncode:
            raise HelmRefused(f"{result.stderr}\n{result.stdout}")
        return result.stdout


def helm3() -> Helm:
    """Return Helm 3, or skip the test."""
    return Helm(programs.helm3())


def helm4() -> Helm:
    """Return Helm 4, or skip the test."""
    return Helm(programs.helm4())


def scenarios(chart: Path) -> list[Path]:
    """Return the chart's scenario files, `ci/*-values.yaml`, by name."""
    return sorted((chart / "ci").glob("*-values.yaml"))


def copied(chart: Path, folder: Path) -> Path:
    """Return a copy of one of the charts in the folder, beside a copy of the library, dependencies not yet in place."""
    for source in {chart, LIBRARY}:
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns("charts", "Chart.lock"))
    return folder / chart.name


def created_chart(helm: Helm, folder: Path, *, native: bool = True) -> Path:
    """Return the folder of a chart `app`, made by `helm create` with the lines that the library's README asks for.

    Args:
        helm: the Helm that makes it.
        folder: an empty folder, which the library's copy is put into as well.
        native: whether the sidecar stands among the init containers; else among the containers.
    """
    copied(LIBRARY, folder)
    chart = folder / "app"
    helm.run("create", str(chart))
    with (chart / "Chart.yaml").open("a") as file:
        file.write(DEPENDENCY)
    deployment = chart / "templates" / "deployment.yaml"
    text = deployment.read_text()
    containers = "      containers:\n"
    line = f"        {CONTAINER_LINE}\n"
    text = _replaced(text, containers, f"      initContainers:\n{line}{containers}" if native else containers + line)
    text = _replaced(
        text,
        "      {{- with .Values.volumes }}\n      volumes:\n        {{- toYaml . | nindent 8 }}\n",
        "      volumes:\n        "
        + VOLUMES_LINE
        + "\n        {{- with .Values.volumes }}\n        {{- toYaml . | nindent 8 }}\n",
    )
    name = "        - name: {{ .Chart.Name }}\n"
    text = _replaced(text, name, f"{name}          env:\n            {APP_ENV_LINE}\n")
    deployment.write_text(text)
    helm.update_dependencies(chart)
    return chart


def created_pod(folder: Path, values: Mapping[str, object], *, helm: Helm | None = None) -> Document:
    """Return the Pod of a chart that was made by `helm create`, with the library's lines and nothing else added.

    It is the pod template of the chart's Deployment as a manifest of kind Pod, named `app`: the container `app`, with
    `SIDECAR_URL` in its environment, and the sidecar as the first init container. The Secret that it names is not part
    of it. Podman 4.3 knows no native sidecars and no probes: `for_podman` makes of it what that can run.

    Args:
        folder: an empty folder to make the chart in.
        values: the chart's values: the library's under `sidecar-lib`; the app's `image` (`repository`, `tag`,
            `pullPolicy`) is the one of `helm create`.
        helm: which Helm; None: Helm 3.
    """
    helm = helm or helm3()
    rendered = helm.template(created_chart(helm, folder), values=values)
    (deployment,) = (one for one in rendered if one["kind"] == "Deployment")
    template = deployment["spec"]["template"]
    metadata = {**template["metadata"], "name": "app"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def for_podman(pod: Document) -> Document:
    """Return the Pod as `podman play kube --network none` 4.3 can run it.

    The sidecar is the first container; probes, and ports, which podman would publish on the host, are left out.
    """
    spec = {**pod["spec"]}
    containers = [*spec.pop("initContainers", []), *spec["containers"]]
    left_out = {"restartPolicy", "ports", "startupProbe", "livenessProbe", "readinessProbe"}
    spec["containers"] = [{key: each[key] for key in each if key not in left_out} for each in containers]
    return {**pod, "spec": spec}


def _values(files: Iterable[Path], values: Mapping[str, object] | None) -> list[str]:
    arguments = [part for file in files for part in ("--values", str(file))]
    # As JSON: --set would read commas, dots and numbers in its own way.
    for key, value in (values or {}).items():
        arguments += ["--set-json", f"{key}={json.dumps(value)}"]
    return arguments


def _replaced(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, f"helm create writes another template now: {old!r}"
    return text.replace(old, new)
