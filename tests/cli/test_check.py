"""`check`, `schema` and `version`: what the configuration says, every mistake, never a key."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sidecar import __version__
from sidecar.cli import main
from sidecar.vendor.server import DEMO_KEY, Vendor
from tests.cli.command import Ended, environment, sidecar, sidecar_beside

KEY = "gct_canary_0123456789"


def said(ended: Ended) -> str:
    """Return everything it wrote."""
    return ended.out + ended.err


@asynccontextmanager
async def configured(folder: Path) -> AsyncIterator[str]:
    """Run a pretend vendor, and write a configuration that points at it; the key is in DEMO_API_KEY."""
    vendor = Vendor()
    await vendor.start()
    text = f"""
listen: 127.0.0.1:0
credentials:
  demo:
    preset: giantcontext
    api_key: {{env: DEMO_API_KEY}}
    exchange: {{url: "{vendor.url}/auth/token"}}
routes:
  - {{name: crm, match: {{path: /crm/}}, upstream: "{vendor.url}", credential: demo}}
  - {{name: open, match: {{path: /open/}}, upstream: "{vendor.url}", credential: null}}
admin: {{listen: 127.0.0.1:0}}
"""
    file = folder / "config.yaml"
    file.write_text(text)
    try:
        yield str(file)
    finally:
        await vendor.stop()


async def test_a_right_configuration(tmp_path: Path) -> None:
    """Listeners, routes, credentials with the key's source; exit 0."""
    async with configured(tmp_path) as file:
        ended = await sidecar_beside("check", "-c", file, environ={"DEMO_API_KEY": KEY})
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0] == f"The configuration is right ({file})."
    assert any(line.startswith("route:") and "crm: /crm/ -> http://127.0.0.1:" in line for line in lines)
    assert any("environment variable DEMO_API_KEY, exchanged at http://127.0.0.1:" in line for line in lines)
    assert any("open: /open/" in line and "no credential" in line for line in lines)
    assert KEY not in said(ended)


async def test_the_exchange_of_a_bad_key(tmp_path: Path) -> None:
    """One real exchange: exit 1 where no token came, and what to do."""
    async with configured(tmp_path) as file:
        bad = await sidecar_beside("check", "--exchange", "-c", file, environ={"DEMO_API_KEY": KEY})
    assert bad.code == 1
    assert "exchange:   demo: FAILED: " in bad.out
    assert "; what to do: put a valid API key into " in bad.out
    assert KEY not in said(bad)


async def test_the_exchange_of_a_good_key_from_a_command(tmp_path: Path) -> None:
    """Says what came back, never key or token.

    The command finds no other secret of the configuration's in its environment, and a process that leaves no core.
    """
    seen = tmp_path / "seen"
    look = f"(env; grep core /proc/$PPID/limits) > {seen}; echo {DEMO_KEY}"
    async with configured(tmp_path) as file:
        content = Path(file).read_text()
        source, exchange = f"api_key: {{command: [sh, -c, {json.dumps(look)}]}}", 'headers: {X: "a-${FIELD}"}, url: '
        content = content.replace("api_key: {env: DEMO_API_KEY}", source).replace("url: ", exchange, 1)
        content += 'gate: {require_token: {value: "${CALLERS}"}}\n'
        Path(file).write_text(content)
        secrets = {"FIELD": "secret-field-0123", "CALLERS": "secret-gate-0123"}
        run = ["ulimit -S -c $(ulimit -H -c); exec $0 -m sidecar check --exchange -c $1", sys.executable, file]
        environ = environment({**secrets, "SAME_AS_CALLERS": "secret-gate-0123", "KEPT": "1"})
        ended = await asyncio.to_thread(subprocess.run, ["sh", "-c", *run], env=environ, capture_output=True)
    assert (ended.returncode, b"exchange:   demo: ok: " in ended.stdout) == (0, True), ended
    assert b"eyJ" not in ended.stdout + ended.stderr and DEMO_KEY.encode() not in ended.stdout + ended.stderr
    told = seen.read_text()
    assert "KEPT=1" in told and "secret-" not in told
    if sys.platform == "linux":
        assert told.splitlines()[-1].split()[4] == "0"


def test_every_mistake_on_a_line_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With file, line and column, on standard error; exit 2."""
    file = tmp_path / "config.yaml"
    file.write_text("lisen: 127.0.0.1:8080\nupstream: ftp://x\ncredential:\n  preset: giantcontex\n")
    here = Ended(main(["check", "-c", str(file)]), *capsys.readouterr())
    for ended in (here, sidecar("run", "-c", str(file))):
        assert (ended.code, ended.out) == (2, "")
        lines = ended.err.splitlines()
        assert lines[0].startswith(f"{file}:1:1: lisen: ")
        assert [line for line in lines if line.startswith(f"{file}:2:")]
        assert [line for line in lines if line.startswith(f"{file}:4:")]


def test_flags_go_before_the_environment() -> None:
    """The short form needs no file, and a key in the environment is not shown."""
    environ = {"SIDECAR_API_KEY": KEY, "SIDECAR_LISTEN": "127.0.0.1:1111", "SIDECAR_PRESET": "giantcontext"}
    ended = sidecar("check", "--listen", "127.0.0.1:2222", environ=environ)
    assert ended.code == 0
    assert "127.0.0.1:2222" in ended.out
    assert "1111" not in ended.out
    assert KEY not in said(ended)


def test_there_is_no_flag_for_the_key_itself() -> None:
    """It would show in `ps`. What was given is not repeated."""
    for arguments in (["--api-key", KEY], [f"--api-key={KEY}"], [KEY]):
        ended = sidecar("run", *arguments)
        assert ended.code == 2
        assert KEY not in said(ended)


def test_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A JSON Schema on standard output."""
    assert main(["schema"]) == 0
    assert "listen" in json.loads(capsys.readouterr().out)["properties"]


@pytest.mark.parametrize("argument", ["version", "--version", "-V"])
def test_version(argument: str) -> None:
    """The distribution's own."""
    assert sidecar(argument).out.startswith(f"sidecar {__version__} ")
