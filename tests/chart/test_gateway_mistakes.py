"""What is refused, and the words: the key, what is wrong or expected, and the next step."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.chart.gateway import LEAST, LEAST_INJECTION, POLICIES
from tests.chart.helm import Helm, HelmRefused, helm4

# Values over the least, with several mistakes each, and what is said of them.
MISTAKES: Mapping[str, tuple[Mapping[str, object], list[str]]] = {
    "missing": (
        {"image": {}, "preset": "", "apiKeySecret": {}},
        [
            "image.repository: missing: no image is published; build the Dockerfile",
            "preset: missing: giantcontext, or static; or write under config what your vendor asks for",
            "apiKeySecret.name: missing: the Secret that holds the API key (kubectl create secret generic NAME",
        ],
    ),
    "missing beside what is there": ({"preset": "static"}, ["upstream: missing: the origin of the API, such as https"]),
    "missing beside a preset that asks for more": (
        {"preset": "oauth2", "upstream": "https://api.example.com"},
        ["config.credential.exchange.url: missing: preset oauth2 asks for the token endpoint's URL"],
    ),
    "the chart's own": (
        {"config": {"listen": "127.0.0.1:1", "admin": {}, "drain": {"most": "5s"}, "gate": {"expose": False}}},
        [
            "config.listen: the chart sets it: use ports.proxy and listenAddress",
            "config.admin: the chart sets it: use ports.admin and listenAddress",
            "config.drain: the chart sets it: use drain.lameDuckSeconds and drain.mostSeconds",
            "config.gate.expose: the chart sets it, since a gateway listens beyond loopback: remove it",
        ],
    ),
    "twice": (
        {
            "upstream": "http://api.example.com",
            "gate": {"requireToken": {"secretName": "one"}},
            "config": {
                "upstream": "https://api.example.com",
                "credential": {"preset": "static", "api_key": {"file": "/run/secrets/sidecar/one"}},
                "gate": {"require_token": {"env": "TOKEN"}},
            },
        },
        [
            "preset: config has it too: remove one of them",
            "upstream: config has it too: remove one of them",
            'upstream: expected an origin such as https://api.example.com, not "http://api.example.com"',
            "apiKeySecret.name: config.credential.api_key is given too: remove one of them",
            "gate.requireToken.secretName: config.gate.require_token is given too: remove one of them",
        ],
    ),
    "both forms, and numbers": (
        {
            "upstream": "https://api.example.com",
            "config": {"routes": [{"upstream": "https://api.example.com"}]},
            "ports": {"proxy": 9000, "admin": 9000},
            "autoscaling": {"enabled": True, "minReplicas": 5, "maxReplicas": 2},
            "extraEnv": [{"name": "SIDECAR_API_KEY", "value": "x"}],
        },
        [
            "preset: config has routes or credentials, which say this themselves: remove it",
            "upstream: config has routes or credentials, which say this themselves: remove it",
            "ports: proxy and admin are the same port: give each its own",
            "autoscaling.minReplicas: 5 is more than maxReplicas, 2",
            "extraEnv: SIDECAR_API_KEY would put the key into the environment",
        ],
    ),
    "nothing to install": ({"enabled": False}, ["enabled: neither the gateway nor injection.enabled is on"]),
    "an unknown alert": (
        {"monitoring": {"prometheusRule": {"enabled": True, "leaveOut": ["SidecarAbsnt"]}}},
        ["monitoring.prometheusRule.leaveOut: there is no alert SidecarAbsnt: expected some of Sidecar"],
    ),
    "by the schema": (
        {
            "replica": 3,
            "replicas": "two",
            "autoscaling": {"minReplicas": 0},
            "service": {"type": "LoadBalancer"},
            "fullnameOverride": "Gate_way",
            "readiness": {"path": "/status"},
            "config": {
                "limit": {},
                "credential": {"exchange": {"ulr": ""}},
                "log": {"access": 1, "level": "loud"},
            },
            "sidecar-lib": {"presett": ""},
        },
        [
            "(root): Additional property replica is not allowed",
            "replicas: Invalid type. Expected: integer, given: string",
            "autoscaling.minReplicas: Must be greater than or equal to 1",
            'service.type: service.type must be one of the following: "ClusterIP"',
            "fullnameOverride: Does not match pattern",
            "readiness.path: Does not match pattern",
            "config: Additional property limit is not allowed",
            "config.credential.exchange: Additional property ulr is not allowed",
            "config.log.access: Invalid type. Expected: [boolean,string,null], given: integer",
            "config.log.level: Does not match pattern '^(debug|info|warning|error)$",
            "Additional property presett is not allowed",
        ],
    ),
}


def refusal(helm: Helm, gateway: Path, values: Mapping[str, object], **cluster: object) -> str:
    """Return what Helm says, having refused the values."""
    with pytest.raises(HelmRefused) as refused:
        helm.template(gateway, values=values, **cluster)  # type: ignore[arg-type]
    return str(refused.value)


@pytest.mark.parametrize(("values", "words"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_named_all_at_once(
    helm: Helm, gateway: Path, values: Mapping[str, object], words: list[str]
) -> None:
    """Each on a line of its own, which begins with the key that is to be changed."""
    lines = refusal(helm, gateway, {**LEAST, **values}).splitlines()
    for each in words:
        assert [line for line in lines if each in line and (line.startswith((each, "- ")) or "execution error" in line)]


def test_a_cluster_without_policies_is_told(helm: Helm, gateway: Path) -> None:
    """Which version has them, and what to use instead; nothing is rendered that the cluster would not know."""
    said = refusal(helm, gateway, LEAST_INJECTION, kube="1.35")
    assert "injection.enabled: this cluster, v1.35" in said
    assert "came with Kubernetes 1.36" in said
    assert "use the library chart sidecar-lib" in said


def test_injected_sidecars_are_checked_as_the_library_does(helm: Helm, gateway: Path) -> None:
    """By their own keys, at once with all else."""
    said = refusal(helm, gateway, {"injection": {"enabled": True}}, kube="1.35").splitlines()
    for key in ("image.repository", "preset", "apiKeySecret.name"):
        assert any(line.startswith(f"{key}: missing") for line in said)
        assert any(line.startswith(f"sidecar-lib.{key}: missing") for line in said)
    assert any(line.startswith("injection.enabled: this cluster") for line in said)


def test_injected_sidecars_are_native(helm: Helm, gateway: Path) -> None:
    """A classic one would stand where native ones do, and never end."""
    values = {**LEAST_INJECTION, "sidecar-lib": {**LEAST, "native": False}}
    assert "sidecar-lib.native: injected sidecars are native ones" in refusal(helm, gateway, values, apis=[POLICIES])


def test_a_name_that_no_policy_can_hold(helm: Helm, gateway: Path) -> None:
    """CEL has no mapping of mixed kinds: said here, not by a pod that is refused."""
    volume = {"name": "one", "csi": {"driver": "d", "volume-attributes": {"a": "b"}}}
    values = {**LEAST_INJECTION, "sidecar-lib": {**LEAST, "extraVolumes": [volume]}}
    said = refusal(helm, gateway, values, apis=[POLICIES])
    assert "the key volume-attributes at Object.spec.volumes.csi cannot be put into a policy" in said


def test_an_old_cluster_is_refused(helm: Helm, gateway: Path) -> None:
    """Also one whose provider adds to the version's name."""
    assert "incompatible with Kubernetes v1.28.0" in refusal(helm, gateway, LEAST, kube="v1.28.0-gke.1")
    assert helm.template(gateway, values=LEAST, kube="v1.29.0-gke.1")


@pytest.mark.skipif(os.environ.get("SIDECAR_CHART") != "1", reason="make chart: SIDECAR_CHART=1")
@pytest.mark.parametrize("called", [name for name in MISTAKES if name != "by the schema"])
def test_helm_4_says_the_same(gateway: Path, called: str) -> None:
    """But of the schema, for which it has words of its own."""
    values, words = MISTAKES[called]
    said = refusal(helm4(), gateway, {**LEAST, **values})
    assert [each for each in words if each not in said] == []


@pytest.mark.skipif(os.environ.get("SIDECAR_CHART") != "1", reason="make chart: SIDECAR_CHART=1")
def test_helm_4_names_what_the_schema_refuses(gateway: Path) -> None:
    """By its place and the word."""
    values, _ = MISTAKES["by the schema"]
    said = refusal(helm4(), gateway, {**LEAST, **values})
    for words in (
        "additional properties 'replica' not allowed",
        "at '/replicas': got string, want integer",
        "at '/config/credential/exchange': additional properties 'ulr' not allowed",
        "at '/config/log/access': got number, want ",
        "at '/config/log/level': 'loud' does not match pattern",
    ):
        assert words in said
