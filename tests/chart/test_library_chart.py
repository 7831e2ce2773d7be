"""A chart of a user's own with the sidecar in it: what `helm create` makes, with the lines of the library's README.

Quick: Helm 3, the oldest and the newest Kubernetes. `make chart` has every scenario, both Helms, all versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.chart.documents import Document
from tests.chart.helm import LIBRARY, NEWEST, OLDEST, Helm, created_chart, helm3, scenarios
from tests.chart.pod_security import breaches
from tests.chart.validate import mistakes

LEAST: Mapping[str, object] = {
    "image": {"repository": "registry.example.com/sidecar"},
    "preset": "giantcontext",
    "apiKeySecret": {"name": "giantcontext"},
}


@pytest.fixture(scope="module")
def helm() -> Helm:
    """Helm 3."""
    return helm3()


@pytest.fixture(scope="module")
def chart(helm: Helm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user's chart."""
    return created_chart(helm, tmp_path_factory.mktemp("created"))


def spec_of(manifests: list[Document]) -> Document:
    """Return the pod's spec of the one Deployment."""
    (deployment,) = (one for one in manifests if one["kind"] == "Deployment")
    spec: Document = deployment["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("scenario", scenarios(LIBRARY), ids=lambda path: path.stem.removesuffix("-values"))
def test_every_scenario_renders_and_validates(helm: Helm, chart: Path, scenario: Path) -> None:
    """On the oldest and the newest Kubernetes, and the container keeps to Pod Security's level "restricted"."""
    rendered = {version: helm.template(chart, files=[scenario], kube=version) for version in (OLDEST, NEWEST)}
    for version, manifests in rendered.items():
        assert mistakes(manifests, version) == []
    (sidecar,) = spec_of(rendered[NEWEST])["initContainers"]
    assert sidecar["name"] == "sidecar"
    assert breaches(sidecar) == []
