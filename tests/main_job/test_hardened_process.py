"""What others of the same user see of a running sidecar: no environment, no memory, no core; its children no key."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from sidecar.config.values import Config, CredentialConfig, GateConfig, KeyConfig
from sidecar.environment import Environment, take_keys_out
from sidecar.secret import Secret
from tests.cli.command import environment
from tests.fakes import until
from tests.ports import free_port
from tests.servers.process import accepts

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc and prctl are Linux's")

KEY = "gct_canary-in-the-environment"
NOBODY = "65534"
CONFIG = """
listen: 127.0.0.1:{port}
admin: {{listen: 127.0.0.1:0}}
upstream: http://127.0.0.1:9
credential: {{preset: static, api_key: {{env: HIDDEN_KEY}}}}
"""


def as_nobody(*command: str) -> list[str]:
    """Return the command as another user runs it, where we are root: root sees everything, whatever is done."""
    if os.getuid() != 0:
        return list(command)
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can read, and write cores into."""
    with tempfile.TemporaryDirectory() as made:
        os.chmod(made, 0o777)  # noqa: S103  # it is ours, and gone in a moment
        yield Path(made)


async def started(folder: Path, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Run a sidecar as an ordinary user, who allows cores, until it listens."""
    if subprocess.run(as_nobody(sys.executable, "-c", "import sidecar"), capture_output=True, check=False).returncode:
        pytest.skip("another user than root cannot read this Python or this folder")
    port = free_port()
    file = folder / "sidecar.yaml"
    file.write_text(CONFIG.format(port=port))
    file.chmod(0o644)
    run = as_nobody(sys.executable, "-m", "sidecar", "run", "-c", str(file))
    process = subprocess.Popen(
        ["sh", "-c", 'ulimit -c unlimited; cd "$0"; exec "$@"', str(folder), *run],
        env=environment({"HIDDEN_KEY": KEY, "PYTHONPATH": str(Path.cwd()), **environ}),
        stderr=subprocess.DEVNULL,
    )
    await until(lambda: accepts(port), within_s=15)
    return process


def seen(path: str) -> bytes:
    """Return what another process of the same user reads there; nothing where it may not."""
    return subprocess.run(as_nobody("cat", path), capture_output=True, check=False).stdout


@pytest.mark.parametrize("switch", ["", "1"])
async def test_its_own_user_cannot_look_into_it(folder: Path, switch: str) -> None:
    """Nor does it leave a core when it is killed; with the switch for debuggers, both as usual."""
    process = await started(folder, {"SIDECAR_DUMPABLE": switch})
    try:
        proc = f"/proc/{process.pid}"
        assert (KEY.encode() in seen(f"{proc}/environ")) is bool(switch)
        assert bool(seen(f"{proc}/maps")) is bool(switch)
        limit = next(line for line in seen(f"{proc}/limits").decode().splitlines() if line.startswith("Max core"))
        assert limit.split()[4:6] == ["unlimited" if switch else "0", "unlimited"]
        assert KEY.encode() not in seen(f"{proc}/cmdline")
    finally:
        process.send_signal(signal.SIGABRT if not switch else signal.SIGKILL)
        process.wait(10)
    assert not switch or process.returncode == -signal.SIGKILL
    if not switch:
        assert process.returncode == -signal.SIGABRT
        assert [file.name for file in folder.iterdir()] == ["sidecar.yaml"]


def test_a_key_is_not_inherited() -> None:
    """By whatever variable the configuration names, for a credential or the gate, or as `${NAME}`; the rest is."""
    config = Config(
        listen=(),
        credentials=(
            CredentialConfig("one", KeyConfig("env", "FIRST")),
            CredentialConfig("two", KeyConfig("value", value=Secret("typed-by-variable"))),
            CredentialConfig("three", KeyConfig("file", "PATH")),
        ),
        routes=(),
        gate=GateConfig(require_token=KeyConfig("env", "GATE")),
    )
    environ = {"FIRST": "1", "GATE": "2", "EXPANDED": "typed-by-variable", "PATH": "/bin", "OTHER": "3"}
    snapshot = Environment(environ)
    take_keys_out(config, environ)
    assert environ == {"PATH": "/bin", "OTHER": "3"}
    assert dict(snapshot)["FIRST"] == "1"
    assert repr(snapshot) == "<5 environment variables>"
    take_keys_out(config, environ)


_CHILD = """
import os, subprocess, sys
from sidecar import serve
from sidecar.config import load
from sidecar.environment import Environment

environ = Environment(os.environ)
class Stop(Exception): pass
def app(config, *, load, environ, **_):
    # As it is while it serves: a child, a second reading, and the key again.
    shown = subprocess.run([sys.executable, "-c", "import os; print(dict(os.environ))"], capture_output=True, text=True)
    from sidecar.assembly import key_source
    import asyncio
    again = load()
    print("INHERITED", os.environ["HIDDEN_KEY"] if "HIDDEN_KEY" in os.environ else "canary" in shown.stdout)
    print("AGAIN", again.credentials == config.credentials, again.log.level)
    print("READ", environ["HIDDEN_KEY"] == sys.argv[2])
    raise SystemExit(0)
serve.App = app
serve.run(lambda: load(path=sys.argv[1], flags={}, environ=environ), environ)
"""


def test_a_reload_has_what_children_have_not(tmp_path: Path) -> None:
    """The key and every `${NAME}` are as they were at the start; what the process starts sees no key."""
    file = tmp_path / "sidecar.yaml"
    file.write_text(CONFIG.format(port=0) + 'log: {level: "${LEVEL}"}\n')
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(file), KEY],
        env=environment({"HIDDEN_KEY": KEY, "LEVEL": "error"}),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.stdout.splitlines() == ["INHERITED False", "AGAIN True error", "READ True"], done.stderr
