"""What the image says of itself to engines, registries and people."""

from __future__ import annotations

import json
from typing import Any

import pytest

from image.build import NAME, commit
from sidecar import __version__
from tests.image.container import podman
from tests.image.marks import needs_image

pytestmark = needs_image


@pytest.fixture(scope="module")
def settings() -> dict[str, Any]:
    """The image's settings, as the engine has them."""
    (found,) = json.loads(podman("inspect", "--type=image", NAME).out)
    return dict(found)


def test_it_starts_as_nobody_and_by_its_own_command(settings: dict[str, Any]) -> None:
    """A number, so that Kubernetes can see that it is not root."""
    config = settings["Config"]
    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["sidecar"]
    assert config["Cmd"] == ["run"]
    assert config["StopSignal"] in ("SIGTERM", "15")
    assert set(config["ExposedPorts"]) == {"8080/tcp", "8081/tcp"}


def test_it_has_a_health_check(settings: dict[str, Any]) -> None:
    """By its own command, without a shell. Only Docker's format can say so."""
    assert settings["HealthCheck" if "HealthCheck" in settings else "Healthcheck"]["Test"] == [
        "CMD",
        "sidecar",
        "healthcheck",
    ]


def test_its_environment_writes_nothing_and_holds_back_nothing(settings: dict[str, Any]) -> None:
    """No byte code is written, no output kept in a buffer; no variable of the build is left."""
    environ = dict(entry.split("=", 1) for entry in settings["Config"]["Env"])
    assert environ == {
        "LANG": "C.UTF-8",
        "PATH": "/opt/sidecar/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUNBUFFERED": "1",
        "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
    }


def test_its_labels_say_what_it_is(settings: dict[str, Any]) -> None:
    """By the names of the OCI's image specification: version, commit, licence."""
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in settings["Labels"].items()}
    assert labels["title"] == "credential-sidecar"
    assert labels["version"] == __version__
    assert labels["licenses"] == "Apache-2.0"
    assert labels["revision"] == commit()[0]
    assert labels["base.name"]


def test_it_is_one_layer(settings: dict[str, Any]) -> None:
    """Nothing was put in and taken out again."""
    assert len(settings["RootFS"]["Layers"]) == 1
