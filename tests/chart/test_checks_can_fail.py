"""The checks that the charts' tests rely on, each on what it has to find."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.documents import Document, documents
from tests.chart.helm import NEWEST, OLDEST, Helm
from tests.chart.pod_security import breaches
from tests.chart.rendered import rendered, scenario, sidecar_of
from tests.chart.validate import mistakes, versions


def changed(document: Document, path: str, value: object) -> Document:
    """Return a copy with another value at the dotted path, made where there is nothing."""
    copy = deepcopy(document)
    place: Any = copy
    *way, last = path.split(".")
    for key in way:
        place = place[int(key)] if isinstance(place, list) else place.setdefault(key, {})
    place[last] = value
    return copy


def test_an_unknown_key_at_the_top_of_any_manifest(helm: Helm, created: Path) -> None:
    """Of every kind that the chart has, in every version."""
    manifests = helm.template(created, files=[scenario("default")])
    assert {one["kind"] for one in manifests} >= {"Deployment", "Service", "ServiceAccount", "Pod"}
    for version in (OLDEST, NEWEST):
        for manifest in manifests:
            (said,) = mistakes([{**manifest, "speck": {}}], version)
            assert "top level" in said and "'speck' was unexpected" in said


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("spec.template.spec.initContainers.0.securityContext.runAsNonroot", True, "'runAsNonroot' was unexpected"),
        ("spec.template.spec.initContainers.0.ports.0.containerPort", "8081", "'8081' is not of type"),
        ("spec.template.spec.initContainers.0.securityContext.runAsUser", 1.00065e9, "1000650000.0 is not of type"),
        ("metadata.label", {}, "'label' was unexpected"),
        ("apiVersion", "apps/v2", "has no Deployment of apps/v2"),
        ("kind", "Deploymint", "has no Deploymint of apps/v1"),
    ],
)
def test_a_mistake_in_a_manifest(helm: Helm, created: Path, path: str, value: object, said: str) -> None:
    """At any depth; and a kind that Kubernetes does not have."""
    (deployment,) = (one for one in helm.template(created, files=[scenario("default")]) if one["kind"] == "Deployment")
    assert mistakes([deployment], NEWEST) == []
    assert any(said in mistake for mistake in mistakes([changed(deployment, path, value)], NEWEST))


def test_native_sidecars_are_as_new_as_it_is_said() -> None:
    """And every version up to the newest has a schema."""
    assert versions()[0] == OLDEST
    assert versions()[-1] == NEWEST


def test_a_key_that_is_written_twice() -> None:
    """The second would win in silence."""
    with pytest.raises(yaml.YAMLError, match="written twice: name"):
        documents("a:\n  name: x\n  name: y\n")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("securityContext", {}),
        ("securityContext.privileged", True),
        ("securityContext.allowPrivilegeEscalation", None),
        ("securityContext.capabilities.drop", ["NET_RAW"]),
        ("securityContext.capabilities.add", ["NET_BIND_SERVICE"]),
        ("securityContext.runAsNonRoot", False),
        ("securityContext.runAsUser", 0),
        ("securityContext.runAsGroup", 0),
        ("securityContext.seccompProfile.type", "Unconfined"),
        ("securityContext.procMount", "Unmasked"),
        ("securityContext.readOnlyRootFilesystem", False),
        ("ports.0.hostPort", 8081),
        ("volumeMounts.0.subPath", "api-key"),
        ("volumeMounts.0.readOnly", False),
        ("env.0.valueFrom", {"secretKeyRef": {"name": "x", "key": "y"}}),
        ("envFrom", [{"secretRef": {"name": "x"}}]),
    ],
)
def test_a_container_that_is_not_restricted(helm: Helm, created: Path, path: str, value: object) -> None:
    """Each rule of Pod Security, and each of ours."""
    container = sidecar_of(rendered(helm, created, "default"))
    assert breaches(container) == []
    assert breaches(changed(container, path, value)) != []
