"""What cannot be served is said at once, in sentences that tell what to do."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
import yaml

from tests.cli.command import sidecar
from tests.config.loading import SHORT, load_text
from tests.main_job.configuration import Section, route
from tests.main_job.process import running
from tests.ports import free_port

WRONG = """\
listen: 0.0.0.0:8080
credentials:
  crm:
    preset: giantcontex
    api_key: {env: CRM_KEY}
  mail:
    api_kee: {env: MAIL_KEY}
routes:
  - {name: a, match: {path: crm/}, upstream: ftp://api.example.com, credential: crm}
  - {name: b, upstream: http://api.example.com, credential: crm}
  - {name: c, match: {path: /c/}, upstream: https://api.example.com, credential: crn}
drain: {most: 25}
"""
# Line, and what the mistake there must speak of.
MISTAKES = [
    (1, "gate.expose"),
    (4, "did you mean giantcontext?"),
    (5, "CRM_KEY is not set"),
    (7, "did you mean api_key?"),
    (9, "a path such as /crm/"),
    (9, "a URL such as https://"),
    (10, "insecure: true"),
    (11, "did you mean crm?"),
    (12, "a duration such as"),
]


def test_a_wrong_configuration(tmp_path: Path) -> None:
    """Exit 2, every mistake on a line of its own, with its place and the way out."""
    file = tmp_path / "sidecar.yaml"
    file.write_text(WRONG)
    ended = sidecar("run", "-c", str(file))
    assert (ended.code, ended.out) == (2, "")
    lines = ended.err.splitlines()
    assert all(line.startswith(f"{file}:") for line in lines)
    for number, word in MISTAKES:
        assert [line for line in lines if line.startswith(f"{file}:{number}:") and word in line], (number, word, lines)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Exit 2, and its name."""
    ended = sidecar("run", "-c", str(tmp_path / "none.yaml"))
    assert ended.code == 2
    assert "none.yaml" in ended.err and "Traceback" not in ended.err


@pytest.mark.parametrize("key", ["listen", "admin.listen"])
def test_a_port_in_use(key: str, tmp_path: Path) -> None:
    """Exit 1 within a second; address, key and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        free = f"127.0.0.1:{free_port()}"
        configuration: Section = {
            "listen": address if key == "listen" else free,
            "credentials": {"crm": {"preset": "static", "api_key": {"env": "CRM_KEY"}}},
            "routes": [route("crm", "http://127.0.0.1:9", "crm")],
            "admin": {"listen": address if key == "admin.listen" else free},
        }
        file = tmp_path / "sidecar.yaml"
        file.write_text(yaml.safe_dump(configuration))
        took_s: list[float] = []
        # The best of three: the time is the program's, not the machine's.
        while not took_s or (min(took_s) >= 1.0 and len(took_s) < 3):
            began_s = time.monotonic()
            ended = sidecar("run", "-c", str(file), environ={"CRM_KEY": "crm-key-of-the-tests"})
            took_s.append(time.monotonic() - began_s)
            assert ended.code == 1
            assert f"{key}: {address} is in use" in ended.err
            assert "Traceback" not in ended.err
        assert min(took_s) < 1.0


SHORT_FORM: Section = {
    "upstream": "http://127.0.0.1:9",
    "credential": {"preset": "static", "api_key": {"env": "CRM_KEY"}},
}


@pytest.mark.parametrize("way", ["0.0.0.0", "[::]", "192.0.2.2", "app.example", "flag", "environment"])
def test_a_listener_beyond_loopback(way: str, tmp_path: Path) -> None:
    """Exit 2, and the key that would allow it, wherever the address stands."""
    file = tmp_path / "sidecar.yaml"
    listen = {"listen": f"{way}:8080"} if way not in ("flag", "environment") else {}
    file.write_text(yaml.safe_dump({**SHORT_FORM, **listen}))
    flags = ["--listen", "0.0.0.0:8080"] if way == "flag" else []
    environ = {"SIDECAR_LISTEN": "0.0.0.0:8080"} if way == "environment" else {}
    ended = sidecar("run", "-c", str(file), *flags, environ={"CRM_KEY": "crm-key-of-the-tests", **environ})
    assert (ended.code, ended.out) == (2, "")
    assert "gate.expose: true" in ended.err and "listen" in ended.err and "Traceback" not in ended.err


EXPOSED = "beyond loopback and open"


@pytest.mark.parametrize(
    ("host", "gate", "warned"),
    [
        ("0.0.0.0", {"expose": True}, True),
        ("[::]", {"expose": True}, True),
        ("0.0.0.0", {"expose": True, "require_token": {"env": "GATE_TOKEN"}}, False),
    ],
)
async def test_a_listener_that_is_exposed_on_purpose(host: str, gate: Section, warned: bool, tmp_path: Path) -> None:
    """It serves, and the log names what is missing where nothing but the address keeps strangers out."""
    port = free_port()
    configuration: Section = {
        **SHORT_FORM,
        "listen": f"{host}:{port}",
        "gate": gate,
    }
    environ = {"CRM_KEY": "crm-key-of-the-tests", "GATE_TOKEN": "gate-token-of-the-tests"}
    async with running(tmp_path, configuration, environ) as process:
        await process.said(f"listening on {host}:{port}")
    warnings = [line for line in process.output().splitlines() if EXPOSED in line]
    assert [("gate.require_token" in line, "listen" in line) for line in warnings] == ([(True, True)] if warned else [])


def test_the_usual_listeners_are_on_loopback() -> None:
    """Both of them, where nothing says otherwise."""
    config = load_text(SHORT)
    assert [str(address) for address in config.listen] == ["127.0.0.1:8080"]
    assert str(config.admin.listen) == "127.0.0.1:8081"
