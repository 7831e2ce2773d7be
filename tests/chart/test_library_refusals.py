"""Values that the library refuses: all mistakes at once, each with its key, what is expected, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.chart.helm import Helm, HelmRefused, created_chart
from tests.chart.rendered import pod_of, sidecar_of, with_least


def refusal(helm: Helm, chart: Path, values: Mapping[str, object], kube: str = "1.37") -> list[str]:
    """Return the lines of what Helm says to these values."""
    with pytest.raises(HelmRefused) as caught:
        helm.template(chart, values=values, kube=kube)
    return [line.strip() for line in str(caught.value).splitlines()]


def test_nothing_given(helm: Helm, created: Path) -> None:
    """What has to be: and that no image is to be had."""
    said = refusal(helm, created, {})
    assert [line for line in said if line.startswith("sidecar-lib.")] == [
        "sidecar-lib.image.repository: missing: no image is published; build the Dockerfile, push it to a registry of"
        " yours, and name it here",
        "sidecar-lib.preset: missing: giantcontext, or static; for another vendor write a configuration into a"
        " ConfigMap and name that at config.configMap",
        "sidecar-lib.apiKeySecret.name: missing: the Secret that holds the API key (kubectl create secret generic NAME"
        " --from-file=api-key=FILE); or give apiKeyFile",
    ]


def test_what_no_schema_can_say(helm: Helm, created: Path) -> None:
    """Values that are well formed, and cannot be meant."""
    values = {
        "image": {"repository": "r", "tag": "", "digest": "sha256:4f1c"},
        "preset": "oauth2",
        "upstream": "api.example.com",
        "apiKeySecret": {"name": "vendor"},
        "apiKeyFile": "api-key",
        "ports": {"proxy": 8081},
        "extraEnv": [{"name": "SIDECAR_LISTEN", "value": "x"}, {"name": "SIDECAR_API_KEY", "value": "x"}],
        "appEnv": {"SIDECAR_URL": "x", "BASE-URL": "x"},
    }
    said = refusal(helm, created, {"sidecar-lib": values})
    assert [line.removeprefix("sidecar-lib.") for line in said if line.startswith("sidecar-lib.")] == [
        'image.digest: expected sha256: and 64 hexadecimal digits, not "sha256:4f1c"',
        "preset: oauth2 needs more than a key, its exchange.url for one: write a configuration into a ConfigMap and"
        " name that at config.configMap",
        "upstream: expected an origin such as https://api.example.com (http is for the pod's own loopback), not"
        ' "api.example.com"',
        "apiKeyFile: apiKeySecret.name is given too: remove one of them",
        'apiKeyFile: expected a path that starts with /, not "api-key"',
        "extraEnv: SIDECAR_LISTEN is set by other values of this chart: use those",
        "extraEnv: SIDECAR_API_KEY would put the key into the environment, where it cannot change: give apiKeySecret or"
        " apiKeyFile",
        'appEnv: "BASE-URL" is no name of a variable',
        "appEnv: SIDECAR_URL is always there: remove it",
        "ports: proxy and admin are the same port: give each its own",
    ]


@pytest.mark.parametrize("upstream", ["http://api.example.com", "http://localhost.example.com", "ftp://a", "https:/a"])
def test_an_upstream_that_would_not_be_served(helm: Helm, created: Path, upstream: str) -> None:
    """The sidecar would refuse it at its start, where fewer people look."""
    said = refusal(helm, created, with_least(upstream=upstream))
    assert [line for line in said if line.startswith("sidecar-lib.")] == [
        "sidecar-lib.upstream: expected an origin such as https://api.example.com (http is for the pod's own loopback),"
        f' not "{upstream}"'
    ]


@pytest.mark.parametrize("upstream", ["http://127.0.0.1:9000", "http://localhost", "http://[::1]:9000/v1"])
def test_an_upstream_in_the_pod(helm: Helm, created: Path, upstream: str) -> None:
    """Plain HTTP goes there."""
    assert pod_of(helm.template(created, values=with_least(upstream=upstream)))


def test_a_configuration_beside_what_it_says(helm: Helm, created: Path) -> None:
    """The sidecar knows one form or the other."""
    values = with_least(
        config={"configMap": "sidecar"}, upstream="https://a", apiKeyFile="/a", apiKeySecret={"name": ""}
    )
    said = refusal(helm, created, values)
    assert [line for line in said if line.startswith("sidecar-lib.")] == [
        f"sidecar-lib.{key}: config.configMap is given too, and its configuration says this: remove one of them"
        for key in ("preset", "upstream", "apiKeyFile")
    ]


def test_neither_tag_nor_upstream(helm: Helm, created: Path) -> None:
    """A tag's default can be taken away; static has no API of its own."""
    said = refusal(helm, created, with_least(image={"repository": "r", "tag": ""}, preset="static"))
    assert [line for line in said if line.startswith("sidecar-lib.")] == [
        "sidecar-lib.image.tag: missing: give a tag, or a digest",
        "sidecar-lib.upstream: missing: preset static has none of its own; give the API's origin, such as"
        " https://api.example.com",
    ]


@pytest.mark.parametrize("kube", ["v1.28.15", "v1.28.0-gke.1", "v1.9.1"])
def test_a_cluster_without_native_sidecars(helm: Helm, created: Path, kube: str) -> None:
    """Such an init container would never end there, and the app never start; vendors' suffixes change nothing."""
    (line,) = (one for one in refusal(helm, created, with_least(), kube) if one.startswith("sidecar-lib."))
    assert line == (
        f"sidecar-lib.native: native sidecars need Kubernetes 1.29, and this cluster has {kube}: upgrade it, or set"
        " native: false and move the include from initContainers to containers"
    )


@pytest.mark.parametrize("kube", ["v1.29.0-gke.1", "v1.29.0-eks-ae9a62a", "v1.31.2+k3s1"])
def test_a_cluster_with_a_vendors_suffix(helm: Helm, created: Path, kube: str) -> None:
    """A suffix is no pre-release."""
    assert sidecar_of(pod_of(helm.template(created, values=with_least(), kube=kube)))["restartPolicy"] == "Always"


def test_under_another_name(helm: Helm, tmp_path: Path) -> None:
    """An alias moves the values to where the library does not look."""
    chart = created_chart(helm, tmp_path)
    file = chart / "Chart.yaml"
    file.write_text(file.read_text().replace("  - name: sidecar-lib\n", "  - name: sidecar-lib\n    alias: proxy\n"))
    helm.update_dependencies(chart)
    assert any("without an alias, and run helm dependency update" in line for line in refusal(helm, chart, {}))


SCHEMA_MISTAKES: Mapping[str, object] = {
    "imagee": {},
    "image": {"pullPolicy": "Sometimes", "name": "x"},
    "preset": "giantcontxt",
    "upstream": 1,
    "apiKeySecret": {"key": "", "value": "gct_x"},
    "apiKeyFile": 1,
    "config": {"configMap": 1, "data": {}},
    "ports": {"proxy": 80, "admin": "8081", "metrics": 1},
    "adminAddress": "10.0.0.1",
    "native": "yes",
    "preStopSleepSeconds": -1,
    "startup": {"waitForToken": 1, "timeoutSeconds": 0, "x": 1},
    "failFast": "true",
    "logLevel": "trace",
    "resources": {"limit": {}},
    "runAsUser": 0,
    "runAsGroup": 0,
    "appEnv": {"A": 1},
    "extraEnv": ["A=1", {}],
    "extraVolumeMounts": [{"name": "x"}],
    "extraVolumes": {},
}
SCHEMA_SENTENCES = """
(root): Additional property imagee is not allowed
image: Additional property name is not allowed
image.pullPolicy: image.pullPolicy must be one of the following: "Always", "IfNotPresent", "Never"
preset: preset must be one of the following: "", "giantcontext", "static", "oauth2", "token-exchange", "jwt-bearer", "github-app"
upstream: Invalid type. Expected: string, given: integer
apiKeySecret: Additional property value is not allowed
apiKeySecret.key: String length must be greater than or equal to 1
apiKeyFile: Invalid type. Expected: string, given: integer
config: Additional property data is not allowed
config.configMap: Invalid type. Expected: string, given: integer
ports: Additional property metrics is not allowed
ports.proxy: Must be greater than or equal to 1024
ports.admin: Invalid type. Expected: integer, given: string
adminAddress: adminAddress must be one of the following: "0.0.0.0", "[::]"
native: Invalid type. Expected: boolean, given: string
preStopSleepSeconds: Must be greater than or equal to 0
startup: Additional property x is not allowed
startup.waitForToken: Invalid type. Expected: boolean, given: integer
startup.timeoutSeconds: Must be greater than or equal to 1
failFast: Invalid type. Expected: boolean, given: string
logLevel: logLevel must be one of the following: "", "debug", "info", "warning", "error"
resources: Additional property limit is not allowed
runAsUser: Must be greater than or equal to 1
runAsGroup: Must be greater than or equal to 1
appEnv.A: Invalid type. Expected: string, given: integer
extraEnv.0: Invalid type. Expected: object, given: string
extraEnv.1: name is required
extraVolumeMounts.0: mountPath is required
extraVolumes: Invalid type. Expected: array, given: object
"""  # noqa: E501


def test_what_the_schema_says(helm: Helm, created: Path) -> None:
    """A sentence for each, with the key: unknown keys, wrong types, what is out of range."""
    said = refusal(helm, created, {"sidecar-lib": SCHEMA_MISTAKES})
    assert sorted(line.removeprefix("- ") for line in said if line.startswith("- ")) == sorted(
        SCHEMA_SENTENCES.strip().splitlines()
    )
