"""No command runs without a token: `sidecar exec` waits for it, and says why there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.cli import main
from sidecar.execute import is_hopeless
from sidecar.vendor.server import DEMO_KEY
from tests.admin.running import credential
from tests.exec.executing import ENVIRON, Terminal, command_line, configuration, configured, done, long_only, written
from tests.ports import free_port

# Would be seen, if it ran.
COMMAND = ("echo", "it ran")


async def test_a_refused_key_is_told_at_once(tmp_path: Path) -> None:
    """Exit 1, the reason and what to do; no promise that it is tried again, and no key."""
    key = "gct_canary_0123456789"
    async with configured(tmp_path) as (file, _):
        code, out, err = await done(command_line(file, *COMMAND), {"GIANTCONTEXT_API_KEY": key})
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert "no token for credential giantcontext: the token endpoint refuses the API key" in err
    assert "What to do: put a valid API key into environment variable GIANTCONTEXT_API_KEY" in err
    assert "by itself" not in err and key not in err


def test_what_is_not_waited_for() -> None:
    """A refused key, one that cannot be read, and whatever fails where `fail_fast` says so; else time may help."""
    refused = credential(state="key_rejected", usable=False, error="The API key was refused.")
    down = credential(state="expired", usable=False, error="The token endpoint is down.")
    assert down.last_exchange is not None
    unread = replace(down, last_exchange=None)
    waited_for = [refused, down, unread, replace(unread, error=None)]
    assert [is_hopeless(status, fail_fast=False) for status in waited_for] == [True, False, True, False]
    assert [is_hopeless(status, fail_fast=True) for status in waited_for] == [True, True, True, False]


@long_only  # SIDECAR_LONG
async def test_a_key_file_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    """Nobody will put it there while the command waits."""
    credential_keys = {"preset": "giantcontext", "api_key": {"file": str(tmp_path / "key")}}
    async with configured(tmp_path, credential=credential_keys) as (file, _):
        code, out, err = await done(command_line(file, *COMMAND))
    assert (code, out) == (1, "")
    assert f"What to do: put a valid API key into file {tmp_path}/key; see that it is mounted" in err
    assert "as soon as" not in err


async def test_an_endpoint_that_is_down_is_waited_for(tmp_path: Path) -> None:
    """As long as --max says, with the reason at its end."""
    file = written(tmp_path, configuration(f"http://127.0.0.1:{free_port()}"))
    code, out, err = await done(command_line(file, *COMMAND, flags=("--max", "300ms")))
    assert (code, out) == (1, "")
    assert "within 0.3 s (--max)" in err
    assert "check host and port in exchange.url" in err and "tried again" not in err


async def test_at_a_terminal_the_wait_is_shown_and_ends_by_a_key(tmp_path: Path) -> None:
    """What it waits for, in a line that is taken away; Ctrl-C ends it with 130."""
    file = written(tmp_path, configuration(f"http://127.0.0.1:{free_port()}"))
    with Terminal(command_line(file, *COMMAND)) as terminal:
        await terminal.shows("waiting for a token for 1 s: giantcontext: ")
        terminal.type("\x03")
        assert await terminal.ended() == 130
    assert "it ran" not in terminal.shown and "Traceback" not in terminal.shown


def test_a_wrong_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 2; inside another exec, which has taken the key out, it says that nothing more is needed."""
    file = written(tmp_path, configuration("http://127.0.0.1:9"))
    arguments = command_line(file, *COMMAND)[3:]
    monkeypatch.setenv("SIDECAR_DUMPABLE", "1")  # this process goes on
    monkeypatch.delenv("GIANTCONTEXT_API_KEY", raising=False)
    monkeypatch.setenv("SIDECAR_URL", "http://127.0.0.1:9")
    code, err = main(arguments), capsys.readouterr().err
    assert code == 2 and "GIANTCONTEXT_API_KEY is not set" in err and "reaches it at SIDECAR_URL" in err
    monkeypatch.delenv("SIDECAR_URL")
    monkeypatch.setenv("GIANTCONTEXT_API_KEY", "gct_placeholder")
    code, err = main(arguments), capsys.readouterr().err
    assert code == 2 and "holds the placeholder that apps are given in place of a key" in err
    assert "SIDECAR_URL" not in err


@long_only  # SIDECAR_LONG; test_signals.py has two of us as well
async def test_nesting(tmp_path: Path) -> None:
    """Each has its own sidecar, key and variables; the code passes through both."""
    static = {"preset": "static", "api_key": {"env": "INNER_KEY"}}
    async with configured(tmp_path) as (outer, vendor):
        inner = written(tmp_path, {"upstream": vendor.url, "credential": static}, "inner.yaml")
        script = 'echo "$GIANTCONTEXT_BASE_URL" "$SIDECAR_URL" "$INNER_KEY"; exit 9'
        words = command_line(outer, *command_line(inner, "sh", "-c", script))
        code, out, err = await done(words, {**ENVIRON, "INNER_KEY": "inner-key-of-the-tests"})
    assert (code, err) == (9, "")
    of_outer, of_inner = out.split()
    assert of_outer.startswith("http://127.0.0.1:") and of_inner.startswith("http://127.0.0.1:")
    assert of_outer != of_inner
    assert DEMO_KEY not in out
