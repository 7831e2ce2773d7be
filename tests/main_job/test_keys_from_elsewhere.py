"""A real process whose key comes from a command, a volume or systemd: what that inherits, what is said, how fast."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from sidecar.assembly import gate_token, key_source
from sidecar.config.values import Config, CredentialConfig, GateConfig, KeyConfig
from sidecar.vendor.server import DEMO_KEY
from tests.cli.command import sidecar_beside
from tests.fakes import until
from tests.main_job.canary import found
from tests.main_job.client import Admin, Client
from tests.main_job.configuration import ENVIRON, Section, route, vendor_credential
from tests.main_job.process import running
from tests.main_job.vendors import vendor
from tests.servers.nginx import Nginx

GATE_TOKEN = "token-of-the-gate-0123456789"
STDERR_CANARY = "gct_canary_on_standard_error"
WRONG_KEY = "gct_not_this_one"
# A look soon after the event, the settle time of a second, and the exchange: 1.2 s, and what a loaded machine adds.
SOON_S = 3.0


def script(folder: Path, text: str) -> Path:
    """Write a program into a folder."""
    path = folder / "key-tool"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def configuration(credential: Section, nginx: Nginx, **keys: Any) -> Section:
    """Return a configuration of one credential and one route."""
    return {"credentials": {"crm": credential}, "routes": [route("crm", nginx.http_url, "crm")], **keys}


def listed(path: Path) -> list[str]:
    """Return the lines of a file; none where it is not there."""
    return path.read_text().splitlines() if path.exists() else []


async def test_a_command(tmp_path: Path, nginx: Nginx, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its key works, it knows none of ours, what it complains of is nowhere; a run that fails leaves the key in use."""
    key, inherited = tmp_path / "the-key", tmp_path / "inherited"
    key.write_text(DEMO_KEY)
    tool = script(tmp_path, f"env > {inherited}; echo {STDERR_CANARY} >&2; test -s {key} && cat {key}")
    environ = {**ENVIRON, "GATE_TOKEN": GATE_TOKEN}
    monkeypatch.setenv("OP_ACCOUNT", "mine")
    async with vendor() as endpoint:
        source = {"command": [str(tool), "--token", STDERR_CANARY], "ttl": "1s"}
        credential = vendor_credential(endpoint, api_key=source)
        credentials = {"crm": credential, "other": vendor_credential(endpoint)}
        wanted = configuration(
            credential, nginx, gate={"require_token": {"env": "GATE_TOKEN"}}, credentials=credentials
        )
        async with running(tmp_path, wanted, environ) as sidecar:
            client, admin = Client(sidecar.port), Admin(sidecar.admin_port)
            await admin.ready()
            key.write_text("")
            failure = "command key-tool ended with exit code 1; run it by hand to see what it complains about"
            await sidecar.said(f"{failure}; the key in use stays")
            assert (await client.ask("GET", "/crm/", f"Sidecar-Token: {GATE_TOKEN}")).status == 200
            (shown, _) = (await admin.json("/status"))["credentials"]
            assert (shown["source"], shown["state"]) == ("command key-tool", "fresh")
            checked = await sidecar_beside("check", "--exchange", "-c", str(sidecar.file), environ=environ)
            assert "API key from command key-tool, " in checked.out
            assert f"crm: FAILED: {failure}" in checked.out
    assert found([STDERR_CANARY.encode()], (sidecar.output() + checked.out + checked.err).encode()) == []
    names = {line.partition("=")[0] for line in inherited.read_text().splitlines()}
    assert "OP_ACCOUNT" in names
    assert names.isdisjoint({"VENDOR_KEY", "GATE_TOKEN"})
    assert found([DEMO_KEY.encode(), GATE_TOKEN.encode()], inherited.read_bytes()) == []


async def test_our_own_variable_is_withheld_whatever_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that lies there unused is a key."""
    monkeypatch.setenv("SIDECAR_API_KEY", "gct_key_that_lies_there")
    key = KeyConfig("command", "/bin/sh", argv=("/bin/sh", "-c", "echo got-${SIDECAR_API_KEY:-nothing}"))
    config = Config(listen=(), credentials=(CredentialConfig("crm", key),), routes=())
    assert (await key_source(key, config).read()).reveal() == b"got-nothing"


async def test_the_gates_token_is_advised_on_like_a_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """At the start and at each reload, when it is read."""
    path = tmp_path / "token"
    path.write_text(GATE_TOKEN)
    for mode in (0o600, 0o644):
        path.chmod(mode)
        gate = GateConfig(require_token=KeyConfig("file", str(path)))
        token = await gate_token(Config(listen=(), credentials=(), routes=(), gate=gate), {})
        assert token is not None and token.reveal() == GATE_TOKEN.encode()
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"gate.require_token: file {path} can be read by others on this machine (mode 0644)")


async def test_a_stop_while_a_command_runs(tmp_path: Path, nginx: Nginx) -> None:
    """It is ended with all that it has started, and does not hold up the stop; nor does one that does not listen."""
    pids = tmp_path / "pids"
    tool = script(tmp_path, f"trap '' TERM; sleep 300 & echo $! > {pids}; echo $$ >> {pids}; wait; wait")
    async with vendor() as endpoint:
        credential = vendor_credential(endpoint, api_key={"command": [str(tool)]})
        async with running(tmp_path, configuration(credential, nginx), ENVIRON) as sidecar:
            await until(lambda: len(listed(pids)) == 2, 5.0)
            began = time.monotonic()
            sidecar.signal(signal.SIGTERM)
            assert await sidecar.ended(within_s=5.0) == 0
            assert time.monotonic() - began <= 3.0
    for pid in listed(pids):
        await until(lambda pid=pid: not Path(f"/proc/{pid}").exists(), 5.0)  # type: ignore[misc]


def put(volume: Path, day: str, key: str) -> None:
    """Put a key into a volume as the kubelet does."""
    (volume / day).mkdir(parents=True)
    (volume / day / "vendor").write_text(f"{key}\n")
    (volume / day / "vendor").chmod(0o440)
    (volume / "..data_tmp").symlink_to(day)
    (volume / "..data_tmp").rename(volume / "..data")
    if not (volume / "vendor").is_symlink():
        (volume / "vendor").symlink_to("..data/vendor")


async def test_a_volume_and_a_credential_of_systemd(
    tmp_path: Path, nginx: Nginx, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A good key in place of a wrong one is in use soon. What others can read is said once."""
    volume, folder = tmp_path / "volume", tmp_path / "credentials"
    put(volume, "..day1", WRONG_KEY)
    folder.mkdir()
    (folder / "vendor").write_text(DEMO_KEY)
    (folder / "vendor").chmod(0o444)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    sources = {
        "crm": {"file": str(volume / "vendor")},
        "named": {"systemd": "vendor"},
        "spelled": {"file": "${CREDENTIALS_DIRECTORY}/vendor"},
        "env": {"env": "VENDOR_KEY"},
    }
    async with vendor() as endpoint:
        credentials = {name: vendor_credential(endpoint, api_key=source) for name, source in sources.items()}
        wanted = configuration(credentials["crm"], nginx, credentials=credentials)
        async with running(tmp_path, wanted, ENVIRON) as sidecar:
            admin = Admin(sidecar.admin_port)
            await asyncio.gather(*(admin.until_answered(f"/readyz/{name}", 200) for name in list(sources)[1:]))
            await sidecar.said("next try in")
            await asyncio.sleep(1.2)  # it follows the file from its first look after the start
            put(volume, "..day2", DEMO_KEY)
            began = time.monotonic()
            await admin.ready(within_s=5.0)
            assert time.monotonic() - began <= SOON_S
    said = sidecar.output()
    advice = [line for line in said.splitlines() if "can be read by" in line]
    assert len(advice) == 3
    assert (
        sum("systemd credential vendor can be read by others on this machine (mode 0444)" in one for one in advice) == 1
    )
    assert sum(f"file {folder}/vendor can be read by others" in one for one in advice) == 1
    assert sum("environment variable VENDOR_KEY can be read by whoever may inspect" in one for one in advice) == 1
