"""What `sidecar exec` ends with: the command's code, or what a shell would say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sidecar import child
from sidecar.cli import main, parser_of
from tests.exec.executing import command_line, configured, done, long_only, written


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -9 $$", 137)])
def test_how_one_ended(script: str, code: int) -> None:
    """Its exit code; 128 and the number where a signal ended it."""
    assert child.wait(child.start("/bin/sh", ("sh", "-c", script), {}, mask=())) == code


@long_only  # SIDECAR_LONG; test_signals.py looks at code and outputs too
@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -9 $$", 137)])
async def test_the_commands_own(tmp_path: Path, script: str, code: int) -> None:
    """Its exit code; 128 and the number where a signal ended it. Nothing of ours is on its outputs."""
    async with configured(tmp_path) as (file, vendor):
        ended = await done(command_line(file, "sh", "-c", f"echo out; echo err >&2; {script}"))
    assert ended == (code, "out\n", "err\n")
    assert [entry.on for entry in vendor.journal.entries] == ["token"]


@pytest.mark.parametrize(
    ("word", "code", "said"),
    [
        ("no-such-program", 127, "cannot find 'no-such-program': it is not on PATH"),
        ("/no/such/program", 127, "there is no such file"),
        ("/", 126, "is a directory"),
        ("{folder}/plain", 126, "is not executable"),
    ],
)
def test_what_cannot_be_run(tmp_path: Path, word: str, code: int, said: str) -> None:
    """126 and 127, as shells have it."""
    (tmp_path / "plain").write_text("echo")
    with pytest.raises(child.NotStarted, match=re.escape(said)) as not_found:
        child.find(word.replace("{folder}", str(tmp_path)), {"PATH": "/usr/bin:/bin"})
    assert not_found.value.code == code


def test_what_cannot_be_run_is_told_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the configuration is read, or anything asked of anybody."""
    file = written(tmp_path, {"not": "looked at"})
    monkeypatch.setenv("SIDECAR_DUMPABLE", "1")  # this process goes on
    assert main(command_line(file, "no-such-program")[3:]) == 127
    assert capsys.readouterr() == ("", "sidecar: cannot find 'no-such-program': it is not on PATH.\n")


@long_only  # SIDECAR_LONG
async def test_a_script_without_a_first_line(tmp_path: Path) -> None:
    """The system's own refusal is 126 as well, in words."""
    script = tmp_path / "script"
    script.write_text("true\n")
    script.chmod(0o755)
    async with configured(tmp_path) as (file, _):
        code, _, err = await done(command_line(file, str(script)))
    assert code == 126
    assert "lacks a first line such as #!/bin/sh" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Put it after --"),
        (["--"], "Put it after --"),
        (["--env", "1X=y", "--", "true"], "write NAME=VALUE"),
        (["--env", "X={urk}", "--", "true"], "{urk} is no field: there are {url}, {host}, {port}, {placeholder}"),
        (["--envv", "X=1", "--", "true"], "Did you mean --env?"),
    ],
)
def test_a_wrong_command_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, and what to write instead."""
    assert main(["exec", *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--", "cmd", "--help", "--", "x"], ["cmd", "--help", "--", "x"]])
def test_where_the_command_begins(words: list[str]) -> None:
    """After --, or at the first word that is no option; what follows is the command's, whatever it looks like."""
    args = parser_of("exec").parse_args(["--max", "3s", *words])
    assert args.command[-4:] == ["cmd", "--help", "--", "x"]
    assert (args.max, args.config) == (3.0, None)
