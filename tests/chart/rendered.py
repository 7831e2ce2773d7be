"""What a chart of a user's renders to, and the parts of it that tests look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from tests.chart.documents import Document
from tests.chart.helm import LIBRARY, Helm

# The least that a user writes.
LEAST: Mapping[str, object] = {
    "image": {"repository": "registry.example.com/sidecar"},
    "preset": "giantcontext",
    "apiKeySecret": {"name": "giantcontext"},
}


def scenario(name: str) -> Path:
    """Return the file of one of the library's scenarios."""
    return LIBRARY / "ci" / f"{name}-values.yaml"


def pod_of(manifests: Iterable[Document]) -> Document:
    """Return the spec of the one Deployment's pods."""
    (deployment,) = (one for one in manifests if one["kind"] == "Deployment")
    spec: Document = deployment["spec"]["template"]["spec"]
    return spec


def sidecar_of(pod: Document) -> Document:
    """Return the one container `sidecar`, wherever it stands."""
    everyone = [*(pod.get("initContainers") or []), *pod["containers"]]
    (found,) = (one for one in everyone if one["name"] == "sidecar")
    return dict(found)


def variables(container: Document) -> dict[str, str]:
    """Return the container's variables; none may be there twice."""
    given = [(one["name"], one["value"]) for one in container["env"]]
    assert len(dict(given)) == len(given)
    return dict(given)


@cache
def rendered(helm: Helm, chart: Path, name: str) -> Document:
    """Return the spec of the pods that a scenario leads to; rendered once, and not to be changed."""
    return pod_of(helm.template(chart, files=[scenario(name)]))


def with_least(**values: object) -> dict[str, object]:
    """Return the least that a user writes with these values over it, as the chart's values."""
    return {"sidecar-lib": {**LEAST, **values}}
