"""The compose files: right by Compose's own schema, hardened, and with a configuration that the sidecar takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from sidecar.config import load
from tests.config.loading import load_text

FOLDER = Path(__file__).parents[2] / "examples" / "compose"
FILES = sorted(FOLDER.iterdir())
KEY_FOLDER = "/run/secrets/sidecar"


def read(name: str) -> dict[str, Any]:
    """Return one of the files."""
    document: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text())
    return document


def test_they_are_what_compose_takes() -> None:
    """By the Compose Specification's schema."""
    program = Path(sys.executable).parent / "check-jsonschema"
    command: list[str | Path] = [program, "--builtin-schema", "vendor.compose-spec", *FILES]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_sidecar_can_write_nothing_and_gain_nothing(file: Path) -> None:
    """Read-only, without capabilities, its key a folder that it may only read, and no port open to the network."""
    sidecar = read(file.name)["services"]["sidecar"]
    assert sidecar["read_only"] is True
    assert sidecar["cap_drop"] == ["ALL"]
    assert sidecar["security_opt"] == ["no-new-privileges:true"]
    assert "ports" not in sidecar
    (volume,) = sidecar["volumes"]
    assert volume["target"] == KEY_FOLDER and volume["read_only"] is True
    # Longer than it drains; else its last answers are cut.
    assert sidecar["stop_grace_period"] == "30s"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_app_gets_no_key(file: Path) -> None:
    """Neither by a variable nor by the folder that it lies in."""
    app = read(file.name)["services"]["app"]
    assert not [name for name in app["environment"] if "API_KEY" in name]
    assert KEY_FOLDER not in [volume["target"] for volume in app.get("volumes", [])]


def test_the_one_that_shares_the_namespace_stays_on_loopback() -> None:
    """Its variables are a whole configuration, which listens nowhere else."""
    services = read("shared-network.yaml")["services"]
    assert services["sidecar"]["network_mode"] == "service:app"
    config = load(path=None, flags={}, environ=services["sidecar"]["environment"])
    assert [str(address) for address in config.listen] == ["127.0.0.1:8080"]
    assert services["app"]["environment"]["API_BASE_URL"] == "http://127.0.0.1:8080"


def test_the_gateway_asks_for_a_token_and_is_on_a_network_of_its_own() -> None:
    """What its comments say: exposed, by a token, and the apps' network leads nowhere else."""
    document = read("gateway.yaml")
    services = document["services"]
    config = load_text(document["configs"]["sidecar"]["content"])
    assert config.gate.expose
    assert config.gate.require_token is not None
    assert config.gate.hosts == ("sidecar:8080",)
    assert services["app"]["environment"]["API_BASE_URL"] == "http://sidecar:8080"
    assert services["app"]["networks"] == ["apps"]
    assert document["networks"]["apps"] == {"internal": True}
    assert services["sidecar"]["configs"] == [{"source": "sidecar", "target": "/etc/sidecar/config.yaml"}]


def test_an_app_of_any_user_may_read_its_token() -> None:
    """The file is for one group, which the app is put into."""
    text = (FOLDER / "gateway.yaml").read_text()
    assert "-m 0440 -g 65532 /dev/stdin secrets/sidecar/gate-token" in text
    assert read("gateway.yaml")["services"]["app"]["group_add"] == ["65532"]


def test_the_key_s_folder_cannot_be_committed_by_accident() -> None:
    """Where these files and the README have the key put is within a clone of the project."""
    root = FOLDER.parents[1]
    for text in (*(file.read_text() for file in FILES), (root / "README.md").read_text()):
        assert "secrets/sidecar/api-key\n" in text
    assert "/secrets/" in (root / ".gitignore").read_text().splitlines()
