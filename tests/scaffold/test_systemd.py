"""`sidecar init --systemd`: systemd's own tools find nothing wrong in the units, and start what they say."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.cli.command import environment
from tests.fakes import always, response, upstream
from tests.main_job.client import Admin, Client
from tests.ports import free_port
from tests.scaffold.written import Home
from tests.servers.programs import require

UNITS = (".config/systemd/user/sidecar.service", ".config/systemd/user/sidecar.socket")


def verified(home: Home) -> str:
    """Return what `systemd-analyze verify` prints of the units."""
    units = [home.folder / unit for unit in UNITS]
    environ = environment({"HOME": str(home.folder), "XDG_RUNTIME_DIR": str(home.folder)})
    done = subprocess.run(
        [require("systemd-analyze"), "--user", "verify", *units],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout + done.stderr


def section(home: Home, unit: str, name: str) -> dict[str, str]:
    """Return one section of a unit."""
    parser = ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string((home.folder / unit).read_text())
    return dict(parser[name])


@pytest.mark.parametrize("arguments", [("--api-key-file", "a key's 100%"), ("--listen", "unix:/run/a b%.sock")])
def test_verify_prints_nothing(home: Home, arguments: tuple[str, ...]) -> None:
    """It ends with 0 after warnings too, so anything that it prints is a failure."""
    home.init("--preset", "giantcontext", "-o", "it's 100% $HOME/c.yaml", *arguments, "--systemd")
    assert verified(home) == ""


def test_what_means_something_to_systemd_does_not_here(home: Home) -> None:
    """`%` begins a specifier in every line, `$` a variable in the command's."""
    home.init("--preset", "giantcontext", "-o", "100%h $HOME/c.yaml", "--api-key-file", "100%h $HOME", "--systemd")
    service = section(home, UNITS[0], "Service")
    assert service["ExecStart"].endswith(f'run -c "{home.folder}/100%%h $$HOME/c.yaml"')
    assert service["LoadCredential"] == f"api-key:{home.folder}/100%%h $HOME"
    home.init("--preset", "giantcontext", "--listen", "unix:/run/%h.sock", "--systemd", "--force")
    assert section(home, UNITS[1], "Socket") == {"ListenStream": "/run/%%h.sock", "SocketMode": "0600"}


def test_verify_would_print(home: Home) -> None:
    """Of a key that systemd does not know."""
    home.init("--preset", "giantcontext", "--systemd")
    unit = home.folder / UNITS[0]
    unit.write_text(unit.read_text().replace("WatchdogSec=", "WatchdogsSec="))
    assert "WatchdogsSec" in verified(home)


def test_what_the_unit_promises(home: Home) -> None:
    """It says when it is ready, is given the key alone, and is not started again where that cannot help."""
    home.init("--preset", "giantcontext", "--api-key-file", "/keys/mine", "--systemd")
    service = section(home, UNITS[0], "Service")
    assert service["Type"] == "notify"
    assert service["LoadCredential"] == "api-key:/keys/mine"
    assert service["Environment"] == "SIDECAR_API_KEY_FILE=%d/api-key"
    assert service["RestartPreventExitStatus"] == "2"
    assert service["NoNewPrivileges"] == "yes"
    assert section(home, UNITS[0], "Unit")["Requires"] == "sidecar.socket"
    assert section(home, UNITS[1], "Socket") == {"ListenStream": "127.0.0.1:8080"}


def test_a_key_in_a_variable_gets_a_file(home: Home) -> None:
    """A shell's variables do not get to a service: the steps say where to paste the key."""
    said = home.init("--preset", "giantcontext", "--api-key-env", "MY_KEY", "--systemd")
    file = home.config.with_name("api-key")
    assert section(home, UNITS[0], "Service")["LoadCredential"] == f"api-key:{file}"
    assert f"cat > {file}" in said


def test_a_key_in_the_keyring_is_asked_for_there(home: Home) -> None:
    """A unit of the user reaches the user's keyring."""
    said = home.init("--preset", "giantcontext", "--api-key-keyring", "sidecar/me", "--systemd")
    assert "LoadCredential" not in section(home, UNITS[0], "Service")
    assert "sidecar login" in said and "cat >" not in said


def test_for_a_configuration_that_is_there(home: Home) -> None:
    """It is kept, several APIs or one, and the socket has its addresses."""
    home.config.parent.mkdir(parents=True)
    home.config.write_text(
        "listen: [127.0.0.1:7001, '[::1]:7002']\n"
        "credentials: {a: {preset: static, api_key: {file: /keys/a}}, b: {preset: static, api_key: {file: /keys/b}}}\n"
        "routes: [{upstream: 'https://api.example.com', credential: a},"
        " {match: {path: /b/}, upstream: 'https://api.example.com', credential: b}]\n"
    )
    before = home.config.read_bytes()
    said = home.init("--systemd")
    assert home.config.read_bytes() == before
    assert f"kept   {home.config}" in said
    assert "ListenStream=127.0.0.1:7001\nListenStream=[::1]:7002\n" in (home.folder / UNITS[1]).read_text()
    assert "LoadCredential" not in section(home, UNITS[0], "Service"), "each key is read where the file says"
    assert verified(home) == ""
    home.init("--systemd", code=1)


def test_a_wrong_configuration_that_is_there(home: Home) -> None:
    """Its mistakes are said, and nothing is written."""
    home.config.parent.mkdir(parents=True)
    home.config.write_text("listn: x\n")
    assert "config.yaml:1:1" in home.init("--systemd", code=2)
    assert home.files() == {".config/sidecar/config.yaml"}


async def test_started_by_its_socket(home: Home) -> None:
    """systemd-socket-activate listens where the socket unit says, and the first request starts what the other says."""
    port = free_port()
    async with upstream(always(response())) as server:
        (home.folder / "key").write_text("key-of-the-unit")
        (home.folder / "key").chmod(0o600)
        origin = ("--upstream", f"http://127.0.0.1:{server.port}")
        admin = Admin(free_port())
        addresses = ("--listen", f"127.0.0.1:{port}", "--admin-listen", f"127.0.0.1:{admin.port}")
        home.init("--preset", "static", "--api-key-file", "key", *origin, *addresses, "--systemd")
        service = section(home, UNITS[0], "Service")
        credentials = Path(service["LoadCredential"].partition(":")[2]).parent
        variable, _, value = service["Environment"].partition("=")
        # What systemd does itself: the credential's folder.
        file = credentials / "key" if value == "%d/api-key" else None
        process = await asyncio.create_subprocess_exec(
            require("systemd-socket-activate"),
            *("-l", section(home, UNITS[1], "Socket")["ListenStream"], f"--setenv={variable}={file}"),
            *shlex.split(service["ExecStart"]),
            env=environment({"HOME": str(home.folder)}),
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            client = Client(port)
            await client.until_accepts()  # which starts it
            await admin.until_accepts(within_s=30)
            await admin.ready(within_s=10)
            answer = await client.ask()
            assert answer.status == 200
            assert server.requests[0].value("authorization") == b"Bearer key-of-the-unit"
        finally:
            process.terminate()
            await process.communicate()
    assert process.returncode == 0
    assert os.path.exists(home.config)
