"""The gateway's pods: when they get requests, how they leave, what they hold, how many there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from sidecar.config.units import parse_duration
from tests.chart.documents import Document
from tests.chart.gateway import GATEWAY, LEAST, configuration, container, kinds, of_kind, pod_spec
from tests.chart.helm import Helm


@pytest.fixture(scope="module")
def least(helm: Helm, gateway: Path) -> list[Document]:
    """What the least values render to."""
    return helm.template(gateway, values=LEAST)


@pytest.fixture(scope="module")
def fleet(helm: Helm, gateway: Path) -> list[Document]:
    """The same with an autoscaler, other times for the drain, and a token that callers must send."""
    return helm.template(
        gateway,
        values={
            **LEAST,
            "autoscaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 7, "cpu": "600m"},
            "drain": {"lameDuckSeconds": 20, "mostSeconds": 300},
            "gate": {"requireToken": {"secretName": "gateway-token", "key": "secret"}},
        },
    )


def test_three_probes_ask_three_things(least: list[Document]) -> None:
    """Started with the first token, ready while there is one, alive whatever the vendor does; at the admin port."""
    only = container(least)
    probes = {name: only[name]["httpGet"] for name in only if name.endswith("Probe")}
    assert probes == {
        "startupProbe": {"path": "/startupz", "port": "sidecar-admin"},
        "readinessProbe": {"path": "/readyz", "port": "sidecar-admin"},
        "livenessProbe": {"path": "/livez", "port": "sidecar-admin"},
    }
    ports = {one["name"]: one["containerPort"] for one in only["ports"]}
    assert configuration(least)["admin"]["listen"] == f"0.0.0.0:{ports['sidecar-admin']}"
    assert configuration(least)["listen"] == f"0.0.0.0:{ports['proxy']}"


@pytest.mark.parametrize("manifests", ["least", "fleet"])
def test_a_pod_that_leaves_has_the_time_that_it_takes(manifests: str, request: pytest.FixtureRequest) -> None:
    """First it serves on until the endpoints have left, then it drains, and only then would the kubelet kill it."""
    rendered = request.getfixturevalue(manifests)
    drain = configuration(rendered)["drain"]
    grace_s = pod_spec(rendered)["terminationGracePeriodSeconds"]
    lame_duck_s, most_s = (parse_duration(drain[key]) for key in ("lame_duck", "most"))
    assert lame_duck_s >= 10
    assert lame_duck_s + most_s < grace_s <= lame_duck_s + most_s + 10
    assert "lifecycle" not in container(rendered)  # the image has no `sleep`, and needs none


def test_no_pod_leaves_before_another_is_ready(least: list[Document]) -> None:
    """A rollout, and a drained node, leave at least one of two."""
    deployment = of_kind(least, "Deployment")
    assert deployment["spec"]["replicas"] == 2
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    budget = of_kind(least, "PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_everything_means_the_same_pods(least: list[Document]) -> None:
    """Deployment, Service, budget, policy and spread select the pods by their labels; the test's pod is none."""
    labels = of_kind(least, "Deployment")["spec"]["template"]["metadata"]["labels"]
    selectors: list[Any] = [
        of_kind(least, "Deployment")["spec"]["selector"]["matchLabels"],
        of_kind(least, "Service")["spec"]["selector"],
        of_kind(least, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        of_kind(least, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        *(one["labelSelector"]["matchLabels"] for one in pod_spec(least)["topologySpreadConstraints"]),
    ]
    assert len(selectors) == 6
    assert all(selector == selectors[0] and selector.items() <= labels.items() for selector in selectors)
    assert not selectors[0].items() <= of_kind(least, "Pod")["metadata"]["labels"].items()


def test_pods_are_spread_over_nodes_and_zones(least: list[Document]) -> None:
    """Each rollout anew; where that cannot be, they run all the same."""
    spread = pod_spec(least)["topologySpreadConstraints"]
    assert [one["topologyKey"] for one in spread] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    assert {one["whenUnsatisfiable"] for one in spread} == {"ScheduleAnyway"}
    assert all(one["matchLabelKeys"] == ["pod-template-hash"] for one in spread)


def test_an_autoscaler_alone_says_how_many(fleet: list[Document]) -> None:
    """The Deployment then does not, or each upgrade would set its number again."""
    assert "replicas" not in of_kind(fleet, "Deployment")["spec"]
    autoscaler = of_kind(fleet, "HorizontalPodAutoscaler")["spec"]
    assert (autoscaler["minReplicas"], autoscaler["maxReplicas"]) == (3, 7)
    assert autoscaler["scaleTargetRef"]["name"] == of_kind(fleet, "Deployment")["metadata"]["name"]
    target = {"type": "AverageValue", "averageValue": "600m"}
    assert autoscaler["metrics"] == [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]


def test_there_is_no_autoscaler_unasked(least: list[Document]) -> None:
    """It takes a metrics server."""
    assert "HorizontalPodAutoscaler" not in kinds(least)


def test_no_pod_has_a_right_or_a_token_in_the_cluster(least: list[Document]) -> None:
    """Neither the gateway nor the test: their account's token is nowhere mounted."""
    account = of_kind(least, "ServiceAccount")
    assert account["automountServiceAccountToken"] is False
    assert pod_spec(least)["serviceAccountName"] == account["metadata"]["name"]
    for spec in (pod_spec(least), of_kind(least, "Pod")["spec"]):
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
    assert not kinds(least) & {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "Secret"}


def test_the_key_is_a_folder_and_never_in_a_manifest(least: list[Document]) -> None:
    """The Secret is mounted, so that a new key arrives; one that is missing is an error, not an empty folder."""
    volume = next(one for one in pod_spec(least)["volumes"] if "secret" in one)
    assert volume["secret"]["secretName"] == "giantcontext"
    assert volume["secret"]["optional"] is False
    mount = next(one for one in container(least)["volumeMounts"] if one["name"] == volume["name"])
    assert configuration(least)["credential"]["api_key"] == {"file": f"{mount['mountPath']}/api-key"}


def test_what_the_test_said_can_be_read(least: list[Document]) -> None:
    """`helm test --logs` asks for it when the hooks are deleted already: one deleted on success has no log by then."""
    annotations = of_kind(least, "Pod")["metadata"]["annotations"]
    assert annotations["helm.sh/hook-delete-policy"] == "before-hook-creation"


def test_the_token_of_callers_is_a_file_too(fleet: list[Document]) -> None:
    """For the gateway, and for the test, which has to send it."""
    path = configuration(fleet)["gate"]["require_token"]["file"]
    test = of_kind(fleet, "Pod")["spec"]
    assert test["containers"][0]["args"][-1] == path
    for spec in (pod_spec(fleet), test):
        mount = next(one for one in spec["containers"][0]["volumeMounts"] if path == f"{one['mountPath']}/secret")
        volume = next(one for one in spec["volumes"] if one["name"] == mount["name"])
        assert volume["secret"]["secretName"] == "gateway-token"
        assert volume["secret"]["optional"] is False


def test_another_configuration_makes_other_pods(helm: Helm, gateway: Path, least: list[Document]) -> None:
    """And the same one the same pods: an upgrade that changes nothing restarts nothing."""

    def checksum(manifests: list[Document]) -> str:
        metadata = of_kind(manifests, "Deployment")["spec"]["template"]["metadata"]
        return str(metadata["annotations"]["checksum/config"])

    other = helm.template(gateway, values={**LEAST, "config": {"log": {"level": "debug"}}})
    assert checksum(other) != checksum(least)
    assert checksum(helm.template(gateway, values={**LEAST, "replicas": 5})) == checksum(least)


def test_a_service_of_the_cluster_alone(least: list[Document]) -> None:
    """Port 80 leads to the proxy's port; the admin port is not served to anyone."""
    service = of_kind(least, "Service")["spec"]
    assert service["type"] == "ClusterIP"
    assert [(one["port"], one["targetPort"]) for one in service["ports"]] == [(80, "proxy")]


def test_no_limit_of_cpu(least: list[Document]) -> None:
    """It would throttle the start; memory has one."""
    assert container(least)["resources"]["limits"].keys() == {"memory"}


def test_what_a_user_adds_is_there(helm: Helm, gateway: Path) -> None:
    """Places, names, labels, annotations and volumes, as they were written."""
    file = GATEWAY / "ci" / "placement-values.yaml"
    values = yaml.safe_load(file.read_text())
    manifests = helm.template(gateway, files=[file])
    deployment, spec = of_kind(manifests, "Deployment"), pod_spec(manifests)
    assert deployment["metadata"]["name"] == of_kind(manifests, "Service")["metadata"]["name"] == "vendor-gateway"
    assert deployment["spec"]["replicas"] == 3
    for key in ("nodeSelector", "tolerations", "affinity", "priorityClassName"):
        assert spec[key] == values[key]
    assert values["extraVolumes"][0] in spec["volumes"]
    assert values["extraVolumeMounts"][0] in container(manifests)["volumeMounts"]
    for pod in (spec, of_kind(manifests, "Pod")["spec"]):
        assert pod["imagePullSecrets"] == [{"name": "registry"}]
    metadata = deployment["spec"]["template"]["metadata"]
    assert values["podLabels"].items() <= metadata["labels"].items()
    assert values["podAnnotations"].items() <= metadata["annotations"].items()
    account = of_kind(manifests, "ServiceAccount")
    assert spec["serviceAccountName"] == account["metadata"]["name"] == "vendor"
    assert account["metadata"]["annotations"] == values["serviceAccount"]["annotations"]
    assert of_kind(manifests, "Service")["metadata"]["annotations"] == values["service"]["annotations"]


def test_a_label_of_the_users_does_not_hide_the_pods(helm: Helm, gateway: Path) -> None:
    """What the Service selects by stays."""
    manifests = helm.template(gateway, values={**LEAST, "podLabels": {"app.kubernetes.io/name": "mine"}})
    labels = of_kind(manifests, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert of_kind(manifests, "Service")["spec"]["selector"].items() <= labels.items()


def test_the_users_configuration_is_the_programs(helm: Helm, gateway: Path) -> None:
    """As it was written, beside what the chart sets; probes then ask what was chosen."""
    file = GATEWAY / "ci" / "routes-values.yaml"
    manifests = helm.template(gateway, files=[file])
    whole = configuration(manifests)
    assert whole.keys() - {"listen", "admin", "gate", "drain"} == {"credentials", "routes", "limits"}
    assert yaml.safe_load(file.read_text())["config"].items() <= whole.items()
    only = container(manifests)
    assert only["readinessProbe"]["httpGet"]["path"] == only["startupProbe"]["httpGet"]["path"] == "/livez"
    assert only["startupProbe"]["failureThreshold"] == 30


def test_a_gate_of_the_users_keeps_the_services_names(helm: Helm, gateway: Path) -> None:
    """Hosts, origins and a token by another source are added to what the chart says."""
    gate = {"hosts": ["api.internal"], "require_token": {"env": "CALLERS"}}
    made = configuration(helm.template(gateway, values={**LEAST, "config": {"gate": gate}}))["gate"]
    assert made["expose"] is True
    assert made["require_token"] == {"env": "CALLERS"}
    assert {"api.internal", "demo-sidecar.apps"} <= set(made["hosts"])
