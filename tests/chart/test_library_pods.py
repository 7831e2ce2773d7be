"""What the pods of a user's chart get from the library: the one that `helm create` makes, with the README's lines.

Quick: Helm 3, the oldest and the newest Kubernetes. `make chart` has both Helms and every version.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chart.helm import LIBRARY, NEWEST, OLDEST, Helm, created_chart, scenarios
from tests.chart.pod_security import breaches
from tests.chart.rendered import pod_of, rendered, sidecar_of, variables, with_least
from tests.chart.validate import mistakes

ADMIN = {"SIDECAR_ADMIN_LISTEN": "0.0.0.0:8081"}


@pytest.mark.parametrize("path", scenarios(LIBRARY), ids=lambda path: path.stem.removesuffix("-values"))
def test_every_scenario_is_valid_and_restricted(helm: Helm, created: Path, path: Path) -> None:
    """On the oldest and the newest Kubernetes, and within Pod Security's level "restricted"."""
    manifests = helm.template(created, files=[path], kube=NEWEST)
    oldest = helm.template(created, files=[path], kube=OLDEST)
    # The same for both, but for the hook of the classic one, which the oldest does not know.
    assert (manifests == oldest) is (path.name != "classic-values.yaml")
    assert mistakes(oldest, OLDEST) == mistakes(manifests, NEWEST) == []
    assert breaches(sidecar_of(pod_of(manifests))) == []


def test_one_upstream_is_configured_by_variables_alone(helm: Helm, created: Path) -> None:
    """No ConfigMap; and the key is not among them, only where its file is."""
    sidecar = sidecar_of(rendered(helm, created, "default"))
    assert variables(sidecar) == ADMIN | {
        "SIDECAR_PRESET": "giantcontext",
        "SIDECAR_API_KEY_FILE": "/run/secrets/sidecar/api-key",
        "SIDECAR_LISTEN": "127.0.0.1:8080",
    }
    assert "envFrom" not in sidecar


def test_the_key_is_a_file_in_a_mounted_folder(helm: Helm, created: Path) -> None:
    """A folder is updated when the Secret changes; no other key of the Secret comes with it, and it must be there."""
    pod = rendered(helm, created, "default")
    mount = {"name": "sidecar-api-key", "mountPath": "/run/secrets/sidecar", "readOnly": True}
    assert sidecar_of(pod)["volumeMounts"] == [mount]
    secret = {
        "secretName": "giantcontext",
        "items": [{"key": "api-key", "path": "api-key"}],
        "optional": False,
        # Not the owner's or the group's alone: its user is neither, where the pod sets no fsGroup.
        "defaultMode": 0o444,
    }
    assert pod["volumes"] == [{"name": "sidecar-api-key", "secret": secret}]
    (app,) = pod["containers"]
    assert "volumeMounts" not in app


def test_it_starts_first_and_stays(helm: Helm, created: Path) -> None:
    """Before the app's own init containers, so that they can use it as well."""
    pod = rendered(helm, created, "default")
    assert [one["name"] for one in pod["initContainers"]] == ["sidecar"]
    assert sidecar_of(pod)["restartPolicy"] == "Always"
    assert "lifecycle" not in sidecar_of(pod)


def test_probes_and_prometheus_find_it_by_the_ports_name(helm: Helm, created: Path) -> None:
    """The app waits for a token, at most two minutes; alive is what works, whatever the vendor does."""
    sidecar = sidecar_of(rendered(helm, created, "default"))
    assert sidecar["ports"] == [{"name": "sidecar-admin", "containerPort": 8081, "protocol": "TCP"}]
    startup, liveness = sidecar["startupProbe"], sidecar["livenessProbe"]
    assert startup["httpGet"] == {"path": "/startupz", "port": "sidecar-admin"}
    assert startup["periodSeconds"] * startup["failureThreshold"] == 120
    assert liveness["httpGet"] == {"path": "/livez", "port": "sidecar-admin"}
    assert "readinessProbe" not in sidecar
    assert sidecar["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_it_asks_for_little_and_its_cpu_is_not_limited(helm: Helm, created: Path) -> None:
    """A limit of CPU would throttle its start."""
    sidecar = sidecar_of(rendered(helm, created, "default"))
    assert sidecar["resources"] == {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"memory": "128Mi"}}


def test_a_container_among_the_others(helm: Helm, tmp_path: Path) -> None:
    """For older clusters: it does not stay by itself, and serves on while the app stops."""
    pod = rendered(helm, created_chart(helm, tmp_path, native=False), "classic")
    assert "initContainers" not in pod
    assert [one["name"] for one in pod["containers"]] == ["sidecar", "app"]
    sidecar = sidecar_of(pod)
    assert "restartPolicy" not in sidecar
    assert sidecar["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
    assert breaches(sidecar) == []


@pytest.mark.parametrize(
    ("kube", "seconds", "there"),
    [("v1.28.0-gke.1", 5, False), ("v1.29.5-eks-1", 5, False), ("v1.30.0-gke.1", 5, True), ("v1.30.0", 0, False)],
)
def test_a_classic_one_without_the_hook(helm: Helm, created: Path, kube: str, seconds: int, there: bool) -> None:
    """Kubernetes before 1.30 does not know it, drops it, and refuses the pod for the empty `preStop` that is left."""
    values = with_least(native=False, preStopSleepSeconds=seconds)
    assert ("lifecycle" in sidecar_of(pod_of(helm.template(created, values=values, kube=kube)))) is there


def test_a_key_that_something_else_brings(helm: Helm, created: Path) -> None:
    """A CSI driver's volume, its mount, and a variable more; no Secret is asked for."""
    pod = rendered(helm, created, "csi")
    sidecar = sidecar_of(pod)
    assert variables(sidecar) == ADMIN | {
        "SIDECAR_PRESET": "giantcontext",
        "SIDECAR_API_KEY_FILE": "/mnt/vendor-key/api-key",
        "SIDECAR_LISTEN": "127.0.0.1:8080",
        "SSL_CERT_FILE": "/mnt/vendor-key/ca.pem",
    }
    assert sidecar["volumeMounts"] == [{"name": "vendor-key", "mountPath": "/mnt/vendor-key", "readOnly": True}]
    driver = {"driver": "secrets-store.csi.k8s.io", "readOnly": True}
    csi = driver | {"volumeAttributes": {"secretProviderClass": "vendor-key"}}
    assert pod["volumes"] == [{"name": "vendor-key", "csi": csi}]
    digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert sidecar["image"] == f"registry.example.com/credential-sidecar@sha256:{digest}"


def test_a_configuration_in_a_config_map(helm: Helm, created: Path) -> None:
    """It says everything but where probes ask; every key of the Secret is there for it, and both have to be."""
    pod = rendered(helm, created, "config")
    sidecar = sidecar_of(pod)
    assert variables(sidecar) == ADMIN | {"SIDECAR_CONFIG": "/etc/sidecar/config.yaml"}
    assert sidecar["volumeMounts"] == [
        {"name": "sidecar-api-key", "mountPath": "/run/secrets/sidecar", "readOnly": True},
        {"name": "sidecar-config", "mountPath": "/etc/sidecar", "readOnly": True},
    ]
    assert pod["volumes"] == [
        {"name": "sidecar-api-key", "secret": {"secretName": "vendors", "defaultMode": 0o444, "optional": False}},
        {"name": "sidecar-config", "configMap": {"name": "sidecar", "optional": False}},
    ]


def test_a_static_key_and_a_start_that_does_not_wait(helm: Helm, created: Path) -> None:
    """The values that change the start, the log and the image's version; and what the app is told."""
    pod = rendered(helm, created, "static")
    sidecar = sidecar_of(pod)
    assert variables(sidecar) == ADMIN | {
        "SIDECAR_PRESET": "static",
        "SIDECAR_UPSTREAM": "https://api.example.com",
        "SIDECAR_API_KEY_FILE": "/run/secrets/sidecar/token",
        "SIDECAR_LISTEN": "127.0.0.1:8080",
        "SIDECAR_FAIL_FAST": "true",
        "SIDECAR_LOG_LEVEL": "warning",
    }
    assert sidecar["startupProbe"]["httpGet"]["path"] == "/livez"
    assert (sidecar["image"], sidecar["imagePullPolicy"]) == (
        "registry.example.com/credential-sidecar:2026-11",
        "Always",
    )
    (app,) = pod["containers"]
    assert variables(app) == {
        "SIDECAR_URL": "http://127.0.0.1:8080",
        "OPENAI_BASE_URL": "http://127.0.0.1:8080/v1",
        "OPENAI_API_KEY": "placeholder",
    }


def test_other_ports_addresses_and_users(helm: Helm, created: Path) -> None:
    """IPv6 for the probes; the app is told the port; large user ids, as OpenShift has them, stay whole numbers."""
    pod = rendered(helm, created, "ipv6")
    sidecar = sidecar_of(pod)
    told = variables(sidecar)
    assert (told["SIDECAR_LISTEN"], told["SIDECAR_ADMIN_LISTEN"]) == ("127.0.0.1:18080", "[::]:18081")
    assert [port["containerPort"] for port in sidecar["ports"]] == [18081]
    context = sidecar["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == (1000650000, 1000650000)
    assert sidecar["resources"] == {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}
    (app,) = pod["containers"]
    assert variables(app) == {"SIDECAR_URL": "http://127.0.0.1:18080"}


def test_the_users_chart_gives_it_neither_name_nor_version(helm: Helm, created: Path) -> None:
    """`helm create` has an appVersion of its own, 1.16.0, which is the app's."""
    sidecar = sidecar_of(rendered(helm, created, "default"))
    assert (sidecar["name"], sidecar["image"]) == ("sidecar", "registry.example.com/credential-sidecar:0.1.0")
