"""The gateway's chart as the tests render it: a copy with its library in place."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import yaml

from tests.chart.documents import Document
from tests.chart.helm import CHARTS, Helm, copied

GATEWAY = CHARTS / "sidecar"
# What a cluster says where it has policies that change what is created; from Kubernetes 1.36 on.
POLICIES = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"
OLDEST_WITH_POLICIES = "1.36"
# The least that a user writes.
LEAST: Document = {
    "image": {"repository": "registry.example.com/sidecar"},
    "preset": "giantcontext",
    "apiKeySecret": {"name": "giantcontext"},
}
# The same for injected sidecars, and no gateway.
LEAST_INJECTION: Document = {
    "enabled": False,
    "injection": {"enabled": True},
    "sidecar-lib": LEAST,
}


def gateway_chart(helm: Helm, folder: Path) -> Path:
    """Return the folder of a copy that can be rendered.

    Args:
        helm: the Helm that packs the library into it.
        folder: an empty folder.
    """
    chart = copied(GATEWAY, folder)
    helm.update_dependencies(chart)
    return chart


def of_kind(manifests: Iterable[Document], kind: str, name: str = "") -> Document:
    """Return the one manifest of this kind, and of this name where one is given."""
    found = [one for one in manifests if one["kind"] == kind and name in ("", one["metadata"]["name"])]
    assert len(found) == 1, f"{len(found)} of kind {kind}"
    return found[0]


def kinds(manifests: Iterable[Document]) -> set[str]:
    """Return the kinds that are there."""
    return {one["kind"] for one in manifests}


def pod_spec(manifests: Iterable[Document]) -> Document:
    """Return the pod's spec of the Deployment."""
    spec: Document = of_kind(manifests, "Deployment")["spec"]["template"]["spec"]
    return spec


def container(manifests: Iterable[Document]) -> Document:
    """Return the one container of the Deployment."""
    (only,) = pod_spec(manifests)["containers"]
    return dict(only)


def configuration_text(manifests: Iterable[Document]) -> str:
    """Return what the ConfigMap gives the program, where its variable says that the file is."""
    every = list(manifests)
    (variable,) = (one["value"] for one in container(every)["env"] if one["name"] == "SIDECAR_CONFIG")
    (mount,) = (one for one in container(every)["volumeMounts"] if variable.startswith(f"{one['mountPath']}/"))
    (volume,) = (one for one in pod_spec(every)["volumes"] if one["name"] == mount["name"])
    text: str = of_kind(every, "ConfigMap", volume["configMap"]["name"])["data"][Path(variable).name]
    return text


def configuration(manifests: Iterable[Document]) -> Document:
    """Return the same as YAML reads it."""
    read: Document = yaml.safe_load(configuration_text(manifests))
    return read
