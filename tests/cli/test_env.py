"""`env`: what it prints points a shell at a running sidecar, and can do nothing else to it."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from tests.admin.running import MadeUpProcess, running
from tests.cli.command import environment, sidecar, sidecar_beside
from tests.cli.test_ask import answering
from tests.ports import free_port
from tests.servers.programs import unavailable
from tests.wire.running import route_to
from tests.wire.running import sidecar as sidecar_in_process

VARIABLES = {"SIDECAR_URL": "http://127.0.0.1:8080", "GIANTCONTEXT_API_KEY": "gct_placeholder"}


async def test_lines_for_a_shell() -> None:
    """SHELL says which, or --shell; the admin listener that was named is the one that `status` will ask."""
    async with running(MadeUpProcess(client_environment=VARIABLES)) as admin:
        named = ("--admin", f"127.0.0.1:{admin.port}")
        bash = await sidecar_beside("env", *named, environ={"SHELL": "/bin/dash", "http_proxy": "http://p:1"})
        by_shell = await sidecar_beside("env", *named, environ={"SHELL": "/usr/bin/fish"})
        fish = await sidecar_beside(
            "env", "--shell", "fish", environ={"SIDECAR_ADMIN_URL": f"http://127.0.0.1:{admin.port}"}
        )
    assert (bash.code, bash.err) == (0, "")
    assert bash.out.splitlines() == [
        "export SIDECAR_URL='http://127.0.0.1:8080'",
        "export GIANTCONTEXT_API_KEY='gct_placeholder'",
        f"export SIDECAR_ADMIN_URL='http://127.0.0.1:{admin.port}'",
        "export no_proxy='127.0.0.1,localhost,::1'",
        "export NO_PROXY='127.0.0.1,localhost,::1'",
    ]
    assert by_shell.out.splitlines()[2] == f"set -gx SIDECAR_ADMIN_URL 'http://127.0.0.1:{admin.port}'"
    assert fish.out.splitlines() == [f"set -gx {name} '{value}'" for name, value in VARIABLES.items()]


ODD = "it's a \\' \"$HOME\" `id` * \\"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "sh"])
async def test_every_shell_reads_what_was_meant(shell: str) -> None:
    """Whatever characters a value has."""
    if shutil.which(shell) is None:
        unavailable(f"{shell} is not installed")
    flags = () if shell == "sh" else ("--shell", shell)
    async with running(MadeUpProcess(client_environment={"SIDECAR_URL": ODD})) as admin:
        printed = await sidecar_beside("env", *flags, "--admin", f"127.0.0.1:{admin.port}")
    line = [shell, "-c", f'{printed.out}printf %s "$SIDECAR_URL"']
    shown = subprocess.run(line, env=environment(), capture_output=True, text=True, timeout=20)
    assert (shown.stdout, shown.stderr) == (ODD, "")


@pytest.mark.parametrize("name", ["PATH", "LD_PRELOAD", "A_API_KEY;id", "BASH_ENV", "$(id)_BASE_URL", "X_API_KEY\n"])
async def test_no_other_variable_comes_out(name: str) -> None:
    """Whoever answers there could order the shell about."""
    async with running(MadeUpProcess(client_environment={**VARIABLES, name: "x"})) as admin:
        ended = await sidecar_beside("env", "--admin", f"127.0.0.1:{admin.port}")
    assert (ended.code, ended.out) == (1, "")
    assert "names variables that no sidecar would" in ended.err


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"client_environment": {"SIDECAR_URL": "x\nid"}}, "that no sidecar would"),
        ({"client_environment": {"SIDECAR_URL": 1}}, "no address"),
        ({"client_environment": []}, "no address"),
        ({"client_environment": {}}, "unix sockets alone"),
        ({}, "no address"),
        ([], "no address"),
    ],
)
async def test_answers_that_say_nothing_of_use(body: object, said: str) -> None:
    """Exit 1, nothing for a shell, and a sentence."""
    head = b"HTTP/1.1 200 OK\r\nServer: sidecar\r\n\r\n"
    async with answering(head + json.dumps(body).encode()) as address:
        ended = await sidecar_beside("env", "--admin", address)
    assert (ended.code, ended.out) == (1, "")
    assert said in ended.err


def test_where_nothing_listens() -> None:
    """Exit 1, nothing for a shell."""
    ended = sidecar("env", "--admin", f"127.0.0.1:{free_port()}")
    assert (ended.code, ended.out) == (1, "")
    assert "`sidecar run`" in ended.err


async def test_a_real_one_names_its_own_address() -> None:
    """As bound."""
    async with sidecar_in_process(route_to(9)) as running:
        host, port = running.app.addresses[0]
        assert running.app.client_environment == {"SIDECAR_URL": f"http://{host}:{port}"}
