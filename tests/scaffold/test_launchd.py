"""`sidecar init --launchd`: a property list that launchd keeps a sidecar running by."""

from __future__ import annotations

import plistlib
from pathlib import Path
from typing import Any

from tests.cli.command import environment
from tests.scaffold.written import Home

AGENT = Path("Library/LaunchAgents/local.sidecar.plist")


def agent(home: Home) -> dict[str, Any]:
    """Return what was written, as launchd reads it."""
    told: dict[str, Any] = plistlib.loads((home.folder / AGENT).read_bytes())
    return told


def test_it_is_kept_running(home: Home) -> None:
    """At every login, and again where it ends; with absolute paths, since launchd knows no home."""
    home.init("--preset", "giantcontext", "-o", "a <b> & c.yaml", "--launchd")
    told = agent(home)
    assert (told["KeepAlive"], told["RunAtLoad"]) == (True, True)
    assert told["Label"] == AGENT.stem
    program, *arguments = told["ProgramArguments"]
    assert Path(program).is_absolute()
    assert arguments[-3:] == ["run", "-c", f"{home.folder}/a <b> & c.yaml"]
    assert told["StandardErrorPath"] == f"{home.folder}/Library/Logs/sidecar.log"
    assert "EnvironmentVariables" not in told


def test_what_it_runs_is_there(home: Home) -> None:
    """The program of this installation."""
    import subprocess

    home.init("--preset", "giantcontext", "--launchd")
    *program, run, _, _ = agent(home)["ProgramArguments"]
    done = subprocess.run([*program, run, "--help"], env=environment(), capture_output=True, timeout=20)
    assert done.returncode == 0


def test_a_key_in_a_variable_gets_a_file(home: Home) -> None:
    """A shell's variables do not get there."""
    said = home.init("--preset", "giantcontext", "--api-key-env", "MY_KEY", "--launchd")
    file = str(home.config.with_name("api-key"))
    assert agent(home)["EnvironmentVariables"] == {"SIDECAR_API_KEY_FILE": file}
    assert f"cat > {file}" in said


def test_how_to_start_it_is_said(home: Home) -> None:
    """By the file that was written."""
    assert f"launchctl bootstrap gui/$(id -u) ~/{AGENT}" in home.init("--preset", "giantcontext", "--launchd")
