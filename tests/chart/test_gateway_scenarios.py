"""Every scenario of the gateway's chart: what a cluster takes, what Pod Security takes, what the program takes.

Quick: Helm 3, the oldest and the newest Kubernetes. `make chart` has both Helms and all versions.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.chart.documents import Document, documents
from tests.chart.gateway import (
    GATEWAY,
    OLDEST_WITH_POLICIES,
    POLICIES,
    configuration_text,
    gateway_chart,
    kinds,
    of_kind,
)
from tests.chart.helm import NEWEST, OLDEST, Helm, helm4, scenarios
from tests.chart.pod_security import breaches
from tests.chart.validate import mistakes, versions
from tests.config.loading import mistakes_in

by_scenario = pytest.mark.parametrize(
    "scenario", scenarios(GATEWAY), ids=lambda path: path.stem.removesuffix("-values")
)
long = pytest.mark.skipif(os.environ.get("SIDECAR_CHART") != "1", reason="make chart: SIDECAR_CHART=1")
# What a scenario's configuration takes from the environment.
ENVIRON = {"CRM_CLIENT_ID": "my-client"}


def of_cluster(scenario: Path) -> tuple[str, list[str]]:
    """Return the oldest Kubernetes that has what the scenario needs, and its API versions."""
    return (OLDEST_WITH_POLICIES, [POLICIES]) if "injection" in scenario.name else (OLDEST, [])


def containers(manifests: list[Document]) -> list[Document]:
    """Return the containers of every pod that is rendered."""
    specs = [one["spec"]["template"]["spec"] for one in manifests if one["kind"] == "Deployment"]
    specs += [one["spec"] for one in manifests if one["kind"] == "Pod"]
    return [each for spec in specs for each in [*spec.get("initContainers", []), *spec["containers"]]]


@pytest.fixture(scope="module")
def texts(helm: Helm, gateway: Path) -> dict[Path, str]:
    """What each scenario renders to, for the newest Kubernetes. No template looks at the version but to refuse it."""
    asked = ["--namespace", "apps", "--kube-version", NEWEST, "--api-versions", POLICIES]
    return {
        scenario: helm.run("template", "demo", str(gateway), *asked, "--values", str(scenario))
        for scenario in scenarios(GATEWAY)
    }


@pytest.fixture(scope="module")
def rendered(texts: Mapping[Path, str]) -> dict[Path, list[Document]]:
    """The same as manifests."""
    return {scenario: documents(text) for scenario, text in texts.items()}


@by_scenario
def test_every_scenario_renders_and_validates(rendered: Mapping[Path, list[Document]], scenario: Path) -> None:
    """A cluster takes every manifest, Pod Security ("restricted") the containers, the program its configuration."""
    manifests = rendered[scenario]
    for version in (of_cluster(scenario)[0], NEWEST):
        assert mistakes(manifests, version) == []
    assert [breach for each in containers(manifests) for breach in breaches(each)] == []
    if "Deployment" in kinds(manifests):
        assert len(containers(manifests)) == 2  # and the one of `helm test`
        assert mistakes_in(configuration_text(manifests), ENVIRON) == ()


def test_the_scenarios_leave_no_template_out(texts: Mapping[Path, str]) -> None:
    """Each template of the chart is rendered by some scenario."""
    source = "# Source: sidecar/templates/"
    found = {line for text in texts.values() for line in text.splitlines() if line.startswith(source)}
    folder = GATEWAY / "templates"
    assert found == {f"{source}{path.relative_to(folder)}" for path in folder.rglob("*.yaml")}


def test_a_namespace_has_what_it_is_installed_into(rendered: Mapping[Path, list[Document]]) -> None:
    """All but the cluster's own names its namespace, so that `helm template | kubectl apply` puts it there."""
    manifests = [one for of_scenario in rendered.values() for one in of_scenario]
    of_cluster = {one["kind"] for one in manifests if "namespace" not in one["metadata"]}
    assert of_cluster == {"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"}
    assert {one["metadata"].get("namespace", "apps") for one in manifests} == {"apps"}


@long
@by_scenario
def test_both_helms_render_the_same_for_every_version(
    helm: Helm, gateway: Path, scenario: Path, tmp_path: Path
) -> None:
    """Helm 3 and Helm 4, and every Kubernetes whose schemas there are; neither linter finds anything."""
    oldest, apis = of_cluster(scenario)
    newer = helm4()
    of_newer = gateway_chart(newer, tmp_path)
    for version in versions():
        if int(version.split(".")[1]) < int(oldest.split(".")[1]):
            continue
        manifests = helm.template(gateway, files=[scenario], kube=version, apis=apis)
        assert mistakes(manifests, version) == []
        assert newer.template(of_newer, files=[scenario], kube=version, apis=apis) == manifests
    if not apis:  # a linter cannot be told what a cluster has
        helm.lint(gateway, files=[scenario])
        newer.lint(of_newer, files=[scenario])


@long
def test_the_chart_can_be_packed(helm: Helm, gateway: Path, tmp_path: Path) -> None:
    """As `helm package` makes it, without the scenarios, it installs as it does from its folder."""
    helm.run("package", str(gateway), "--destination", str(tmp_path))
    (archive,) = tmp_path.glob("sidecar-*.tgz")
    scenario = GATEWAY / "ci" / "default-values.yaml"
    assert helm.template(archive, files=[scenario]) == helm.template(gateway, files=[scenario])
    assert of_kind(helm.template(archive, files=[scenario]), "Deployment")
