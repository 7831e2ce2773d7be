"""`sidecar init --compose` and `--k8s`: valid by the schemas of those who read them, and right about the sidecar.

`compose-spec.json` is the schema of the Compose Specification, https://github.com/compose-spec/compose-spec at
170098ba (Apache-2.0), unchanged.
"""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from sidecar.config import load
from tests.scaffold.written import Home

_COMPOSE = jsonschema.Draft7Validator(json.loads((Path(__file__).parent / "compose-spec.json").read_text()))
# Native sidecars are on by default from 1.29 on.
_KUBERNETES = ("1.29", "1.37")


def composed(home: Home) -> dict[str, Any]:
    """Return the compose file, having checked it by its schema."""
    told: dict[str, Any] = yaml.safe_load((home.folder / "compose.sidecar.yaml").read_text())
    _COMPOSE.validate(told)
    return told


def manifests(home: Home) -> dict[str, Any]:
    """Return the Kubernetes objects by their kind, each checked by its schema, where there is one."""
    told = list(yaml.safe_load_all((home.folder / "sidecar.k8s.yaml").read_text()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for each in told:
            for version in _KUBERNETES:
                kubernetes_validate.validate(each, version, strict=True)
    return {each["kind"]: each for each in told}


def test_an_app_and_a_sidecar_share_a_network_namespace(home: Home) -> None:
    """The app's, so that it keeps it when the sidecar is restarted; what is mounted is found whatever its name."""
    home.init("--preset", "giantcontext", "--api-key-file", "a $key", "-o", "a $file.yaml", "--compose")
    services = composed(home)["services"]
    assert services["sidecar"]["network_mode"] == "service:app"
    assert "network_mode" not in services["app"]
    (mount,) = services["sidecar"]["volumes"]
    assert mount["source"] == f"{home.folder}/a $$file.yaml"
    assert composed(home)["secrets"]["api-key"]["file"] == f"{home.folder}/a $$key"
    assert services["sidecar"]["user"] == f"{os.getuid()}:{os.getgid()}", "who may read the key's file"


def test_the_schemas_notice(home: Home) -> None:
    """A key in the wrong place."""
    home.init("--preset", "giantcontext", "--compose", "--k8s")
    for name, wrong in (("compose.sidecar.yaml", "cap_drop:"), ("sidecar.k8s.yaml", "restartPolicy:")):
        file = home.folder / name
        file.write_text(file.read_text().replace(wrong, "x" + wrong))
    with pytest.raises(jsonschema.ValidationError):
        composed(home)
    with pytest.raises(kubernetes_validate.ValidationError):
        manifests(home)


def test_a_native_sidecar(home: Home) -> None:
    """An init container that goes on running, whose probes are those of the admin listener, and no privilege."""
    said = home.init("--preset", "giantcontext", "--api-key-file", "/keys/my key", "--k8s")
    pod = manifests(home)["Deployment"]["spec"]["template"]["spec"]
    (sidecar,) = pod["initContainers"]
    assert sidecar["restartPolicy"] == "Always"
    probes = {name: sidecar[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
    assert probes == {"startup": "/startupz", "liveness": "/livez", "readiness": "/readyz"}
    assert sidecar["securityContext"]["runAsNonRoot"] and sidecar["securityContext"]["readOnlyRootFilesystem"]
    assert sidecar["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert "kubectl create secret generic sidecar-api-key --from-file=api-key='/keys/my key'" in said


@pytest.mark.parametrize("source", [("--api-key-env", "MY_KEY"), ("--api-key-keyring", "a/b"), ()])
@pytest.mark.parametrize("kind", ["--compose", "--k8s"])
def test_its_configuration_is_right_in_there(home: Home, kind: str, source: tuple[str, ...]) -> None:
    """The file and the variables together, wherever the key is on this machine; it is never in them."""
    said = home.init("--preset", "oauth2", "--upstream", "https://api.example.com", *source, kind)
    if kind == "--compose":
        environ = composed(home)["services"]["sidecar"]["environment"]
        config = home.config
    else:
        objects = manifests(home)
        container = objects["Deployment"]["spec"]["template"]["spec"]["initContainers"][0]
        environ = {each["name"]: each["value"] for each in container["env"]}
        config = home.folder / "mounted.yaml"
        config.write_text(objects["ConfigMap"]["data"]["config.yaml"])
        assert config.read_text() == home.config.read_text()
    loaded = load(path=str(config), flags={}, environ=environ)
    assert loaded.credentials[0].api_key.kind == "file"
    assert loaded.credentials[0].api_key.name.startswith("/run/secrets/")
    assert f"cat > {home.config.with_name('api-key')}" in said


def test_probes_ask_where_the_sidecar_listens(home: Home) -> None:
    """Also where it listens elsewhere on this machine."""
    home.init("--preset", "giantcontext", "--admin-listen", "unix:/run/admin.sock", "--compose", "--k8s")
    assert composed(home)["services"]["sidecar"]["environment"]["SIDECAR_ADMIN_LISTEN"] == "127.0.0.1:8081"
    container = manifests(home)["Deployment"]["spec"]["template"]["spec"]["initContainers"][0]
    assert {"name": "SIDECAR_ADMIN_LISTEN", "value": "0.0.0.0:8081"} in container["env"]


@pytest.mark.parametrize("kind", ["--compose", "--k8s"])
def test_what_cannot_be_said_there(home: Home, kind: str) -> None:
    """Several APIs, each with a key of its own; or a unix socket alone, which no other container sees."""
    home.config.parent.mkdir(parents=True)
    home.config.write_text(
        "credentials: {a: {preset: static, api_key: {file: /keys/a}}}\n"
        "routes: [{upstream: 'https://api.example.com', credential: a}]\n"
    )
    assert "takes a configuration of one upstream" in home.init(kind, code=2)
    assert home.files() == {".config/sidecar/config.yaml"}
    home.config.unlink()
    said = home.init("--preset", "giantcontext", "--listen", "unix:/run/app.sock", kind, code=2)
    assert "needs a TCP address" in said
    assert home.files() == set()
