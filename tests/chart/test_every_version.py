"""Every scenario of the library, by both Helms, for every version of Kubernetes that has native sidecars.

Slow, half a minute: `make chart` sets SIDECAR_CHART=1.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.chart.helm import LIBRARY, NEWEST, Helm, HelmRefused, created_chart, helm3, helm4, scenarios
from tests.chart.pod_security import breaches
from tests.chart.rendered import pod_of, scenario, sidecar_of
from tests.chart.test_library_refusals import SCHEMA_MISTAKES, SCHEMA_SENTENCES
from tests.chart.validate import mistakes, versions

pytestmark = pytest.mark.skipif(os.environ.get("SIDECAR_CHART") != "1", reason="make chart: SIDECAR_CHART=1")
HELMS = {3: helm3, 4: helm4}


@pytest.fixture(scope="module", params=HELMS, ids=lambda major: f"helm{major}")
def each_helm(request: pytest.FixtureRequest) -> Helm:
    """Helm 3, then Helm 4, each of the version that it is said to be."""
    major: int = request.param
    found = HELMS[major]()
    assert found.run("version", "--short").startswith(f"v{major}.")
    return found


@pytest.fixture(scope="module")
def chart(each_helm: Helm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user's chart, made by this Helm."""
    return created_chart(each_helm, tmp_path_factory.mktemp("created"))


@pytest.mark.parametrize("version", versions())
@pytest.mark.parametrize("path", scenarios(LIBRARY), ids=lambda path: path.stem.removesuffix("-values"))
def test_every_scenario(each_helm: Helm, chart: Path, path: Path, version: str) -> None:
    """Renders, is valid, and is restricted."""
    manifests = each_helm.template(chart, files=[path], kube=version)
    assert mistakes(manifests, version) == []
    assert breaches(sidecar_of(pod_of(manifests))) == []


@pytest.mark.parametrize("path", scenarios(LIBRARY), ids=lambda path: path.stem.removesuffix("-values"))
def test_both_helms_render_the_same(each_helm: Helm, chart: Path, path: Path, helm: Helm, created: Path) -> None:
    """The pod, that is: what `helm create` writes around it differs."""
    pods = [pod_of(one.template(where, files=[path])) for one, where in ((each_helm, chart), (helm, created))]
    assert sidecar_of(pods[0]) == sidecar_of(pods[1])
    assert pods[0]["volumes"] == pods[1]["volumes"]


@pytest.mark.parametrize("path", scenarios(LIBRARY), ids=lambda path: path.stem.removesuffix("-values"))
def test_helm_lint_finds_nothing(each_helm: Helm, chart: Path, path: Path) -> None:
    """Strictly: a warning is a failure."""
    assert "0 chart(s) failed" in each_helm.lint(chart, files=[path])


def test_the_library_can_be_packed_and_is_not_installed(each_helm: Helm, tmp_path: Path) -> None:
    """It is a library; its scenarios stay out of the package."""
    shutil.copytree(LIBRARY, tmp_path / "sidecar-lib")
    each_helm.run("package", str(tmp_path / "sidecar-lib"), "--destination", str(tmp_path))
    (package,) = tmp_path.glob("*.tgz")
    shutil.unpack_archive(package, tmp_path / "unpacked")
    inside = {
        str(path.relative_to(tmp_path / "unpacked" / "sidecar-lib")) for path in (tmp_path / "unpacked").rglob("*")
    }
    assert {"README.md", "values.yaml", "values.schema.json", "templates/_container.tpl"} <= inside
    assert not any(name.startswith("ci") for name in inside)
    with pytest.raises(HelmRefused, match="library charts are not installable"):
        each_helm.template(tmp_path / "sidecar-lib")


def test_what_helm_4_says_of_the_schema(each_helm: Helm, chart: Path) -> None:
    """It has other words than Helm 3, and names the same keys."""
    with pytest.raises(HelmRefused) as caught:
        each_helm.template(chart, values={"sidecar-lib": SCHEMA_MISTAKES}, kube=NEWEST)
    said = str(caught.value)
    keys = {sentence.partition(":")[0] for sentence in SCHEMA_SENTENCES.strip().splitlines()} - {"(root)"}
    assert len(keys) > 15
    for key in keys:
        assert key in said or f"at '/{key.replace('.', '/')}': " in said, key
    if "at '" in said:
        for words in ("got string, want boolean", "additional properties 'imagee' not allowed", "value must be one of"):
            assert words in said


def test_a_mistake_that_the_chart_finds(each_helm: Helm, chart: Path) -> None:
    """The chart's own sentences are the same in both."""
    values = {"sidecar-lib": {"image": {"repository": ""}}}
    with pytest.raises(HelmRefused, match=r"sidecar-lib\.image\.repository: missing: no image is published; build"):
        each_helm.template(chart, files=[scenario("default")], values=values)
