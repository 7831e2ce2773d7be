"""The Kustomize component, by kubectl and without a cluster.

Slow, as kubectl comes with what `make chart` installs: SIDECAR_CHART=1.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.chart.documents import Document, documents
from tests.chart.helm import CHARTS, Helm
from tests.chart.pod_security import breaches
from tests.chart.programs import kubectl
from tests.chart.rendered import rendered, sidecar_of
from tests.chart.validate import mistakes, versions

pytestmark = pytest.mark.skipif(os.environ.get("SIDECAR_CHART") != "1", reason="make chart: SIDECAR_CHART=1")

COMPONENT = CHARTS / "kustomize"
_CONTAINERS = "initContainers: [{name: migrate, image: x}], containers: [{name: app, image: x}]"
POD = f"{{metadata: {{labels: {{app: x}}}}, spec: {{{_CONTAINERS}}}}}"
SPECS = {
    "Deployment": f"selector: {{matchLabels: {{app: x}}}}, template: {POD}",
    "StatefulSet": f"serviceName: x, selector: {{matchLabels: {{app: x}}}}, template: {POD}",
    "ReplicaSet": f"selector: {{matchLabels: {{app: x}}}}, template: {POD}",
    "DaemonSet": f"selector: {{matchLabels: {{app: x}}}}, template: {POD}",
    "Job": f"template: {POD.replace('containers: [{name: app', 'restartPolicy: Never, containers: [{name: app')}",
}
SPECS["CronJob"] = f"schedule: '0 0 * * *', jobTemplate: {{spec: {{{SPECS['Job']}}}}}"


def workload(kind: str, name: str, labels: str = "{}") -> str:
    """Return a manifest with an init container of its own, as YAML."""
    group = "batch" if kind.endswith("Job") else "apps"
    return (
        f"apiVersion: {group}/v1\nkind: {kind}\nmetadata: {{name: {name}, labels: {labels}}}\nspec: {{{SPECS[kind]}}}\n"
    )


def pod_of(manifest: Document) -> Document:
    """Return the spec of a workload's pods."""
    spec = manifest["spec"].get("jobTemplate", manifest)["spec"]
    pod: Document = spec["template"]["spec"]
    return pod


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> list[Document]:
    """What kubectl makes of the README's kustomization and a workload of each kind, with the label and without."""
    folder = tmp_path_factory.mktemp("kustomize")
    shutil.copytree(COMPONENT, folder / "kustomize")
    (text,) = re.findall(r"```yaml\n(apiVersion: kustomize.*?)```", (COMPONENT / "README.md").read_text(), re.DOTALL)
    (folder / "kustomization.yaml").write_text(text)
    labelled = [workload(kind, kind.lower(), "{credential-sidecar: inject}") for kind in SPECS]
    (folder / "app.yaml").write_text("---\n".join([*labelled, workload("Deployment", "other")]))
    (folder / "giantcontext.key").write_text("gct_key-of-the-test")
    command = [str(kubectl()), "kustomize", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    return documents(result.stdout)


def test_it_is_valid(built: list[Document]) -> None:
    """For every Kubernetes that has native sidecars."""
    for version in versions():
        assert mistakes(built, version) == []


@pytest.mark.parametrize("kind", SPECS)
def test_it_stands_first_in_what_has_the_label(built: list[Document], kind: str) -> None:
    """Before the init containers that are there, and restricted."""
    (one,) = (one for one in built if one["kind"] == kind and one["metadata"]["name"] == kind.lower())
    assert [container["name"] for container in pod_of(one)["initContainers"]] == ["sidecar", "migrate"]
    assert breaches(sidecar_of(pod_of(one))) == []


def test_it_leaves_the_rest_alone(built: list[Document]) -> None:
    """A workload without the label stays as it is."""
    (other,) = (one for one in built if one["metadata"]["name"] == "other")
    assert [container["name"] for container in pod_of(other)["initContainers"]] == ["migrate"]
    assert "volumes" not in pod_of(other)


@pytest.mark.parametrize("kind", SPECS)
def test_it_is_the_charts_container(built: list[Document], kind: str, helm: Helm, created: Path) -> None:
    """But for the settings, which come from a ConfigMap, and the names of image and Secret."""
    (one,) = (one for one in built if one["kind"] == kind and one["metadata"]["name"] == kind.lower())
    (config_map,) = (one for one in built if one["kind"] == "ConfigMap")
    chart = rendered(helm, created, "default")
    mine, theirs = sidecar_of(pod_of(one)), sidecar_of(chart)
    settings = {"configMapRef": {"name": config_map["metadata"]["name"], "optional": False}}
    assert mine.pop("envFrom") == [settings]
    told = {variable["name"]: variable["value"] for variable in mine.pop("env")} | config_map["data"]
    assert told == {variable["name"]: variable["value"] for variable in theirs.pop("env")}
    assert mine == theirs
    volumes = chart["volumes"]
    assert pod_of(one)["volumes"] == [{**volumes[0], "secret": {**volumes[0]["secret"], "secretName": "sidecar"}}]
