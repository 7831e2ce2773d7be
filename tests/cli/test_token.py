"""`token`: one exchange of its own, the token on standard output alone, and never on a screen by accident."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sidecar.cli import main
from sidecar.vendor.server import DEMO_KEY, Vendor, VendorOptions
from tests.cli.command import Ended, environment, sidecar, sidecar_beside

ENVIRON = {"DEMO_API_KEY": DEMO_KEY, "BAD_KEY": "gct_canary_0123456789", "SIDECAR_LISTEN": "0.0.0.0:1"}


@asynccontextmanager
async def configured(folder: Path, *names: str) -> AsyncIterator[str]:
    """Run a pretend vendor whose tokens live 60 s; write a file with credentials of these names, and yield its path."""
    vendor = Vendor(VendorOptions(token_life_s=60))
    await vendor.start()
    credentials = {
        name: {
            "preset": "giantcontext",
            "api_key": {"env": "BAD_KEY" if name == "bad" else "DEMO_API_KEY"},
            "exchange": {"url": f"{vendor.url}/auth/token"},
        }
        for name in names
    }
    routes = [{"match": {"path": f"/{name}/"}, "upstream": vendor.url, "credential": name} for name in names]
    file = folder / "config.yaml"
    file.write_text(json.dumps({"credentials": credentials, "routes": routes}))
    try:
        yield str(file)
    finally:
        await vendor.stop()


def assert_silent_about_keys(ended: Ended) -> None:
    """Neither key was written."""
    assert DEMO_KEY not in ended.out + ended.err
    assert ENVIRON["BAD_KEY"] not in ended.out + ended.err


async def test_a_token_and_nothing_else(tmp_path: Path) -> None:
    """What `$(sidecar token)` puts into a command line."""
    async with configured(tmp_path, "demo") as file:
        ended = await sidecar_beside("token", "-c", file, environ=ENVIRON)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("eyJ") and ended.out.endswith("\n") and len(ended.out.split()) == 1
    assert_silent_about_keys(ended)


async def test_one_that_lives_too_short(tmp_path: Path) -> None:
    """Exit 1 and no token."""
    async with configured(tmp_path, "demo") as file:
        short = await sidecar_beside("token", "--min-ttl", "5m", "-c", file, environ=ENVIRON)
    assert (short.code, short.out) == (1, "")
    assert "lives for 60 s alone, less than --min-ttl (300 s)" in short.err


async def test_whose_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With several credentials one is named; JSON says which, and the expiry; a refused key says what to do."""
    async with configured(tmp_path, "demo", "bad") as file:
        for name, value in {**ENVIRON, "SIDECAR_DUMPABLE": "1"}.items():
            monkeypatch.setenv(name, value)
        none = Ended(main(["token", "-c", file]), *capsys.readouterr())
        flags = ("--json", "--min-ttl", "30s", "--credential", "demo")
        good = await sidecar_beside("token", *flags, "-c", file, environ=ENVIRON)
        bad = await sidecar_beside("token", "--credential", "bad", "-c", file, environ=ENVIRON)
    assert (none.code, none.out) == (2, "")
    assert "--credential; the configuration has: demo, bad." in none.err
    told = json.loads(good.out)
    assert told["credential"] == "demo" and told["token"].startswith("eyJ")
    assert told["expires_at"].endswith("Z") and 55 < told["expires_in_s"] <= 60
    assert (bad.code, bad.out) == (1, "")
    assert "what to do: put a valid API key into environment variable BAD_KEY" in bad.err
    assert_silent_about_keys(bad)


def test_where_the_key_is_the_token() -> None:
    """It is not printed: it is the long-lived secret."""
    given = ("--preset", "static", "--upstream", "https://api.example.com", "--api-key-env", "BAD_KEY")
    ended = sidecar("token", *given, environ=ENVIRON)
    assert (ended.code, ended.out) == (2, "")
    assert_silent_about_keys(ended)


@pytest.mark.parametrize("show", [False, True])
async def test_on_a_screen(tmp_path: Path, show: bool) -> None:
    """Refused before anything is asked for, unless somebody wants to see it."""
    async with configured(tmp_path, "demo") as file:
        flags = ["--show"] if show else []
        ours, theirs = pty.openpty()
        try:
            command = [sys.executable, "-m", "sidecar", "token", "-c", file, *flags]
            process = subprocess.Popen(command, stdout=theirs, stderr=-1, env=environment(ENVIRON))
            _, err = await asyncio.to_thread(process.communicate)
            os.close(theirs)
            shown = os.read(ours, 4096) if show else b""
        finally:
            os.close(ours)
    assert process.returncode == (0 if show else 2)
    assert shown.startswith(b"eyJ") == show
    assert (b"add --show" in err) != show
