"""The help of each command fits a screen and ends with an example; what is misspelt is guessed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.cli import COMMANDS, command_of, main, overview, parser_of


@pytest.mark.parametrize(
    "text",
    [pytest.param(overview(), id="sidecar")]
    + [pytest.param(parser_of(name).format_help(), id=name) for name in COMMANDS],
)
def test_fits_one_screen(text: str) -> None:
    """24 lines of 80 characters, the prompt's line included."""
    lines = text.rstrip("\n").split("\n")
    assert len(lines) <= 23
    assert max(map(len, lines)) <= 80
    assert lines[-1].startswith("  sidecar ")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_example_is_a_command_line_that_is_taken(name: str) -> None:
    """What the help shows can be typed."""
    words = command_of(name).EXAMPLE.partition(" && ")[0].partition(" > ")[0].split()
    assert words[:2] == ["sidecar", name]
    parser_of(name).parse_args(words[2:])


def test_every_flag_says_what_it_is_for() -> None:
    """No flag without help."""
    for name in COMMANDS:
        for action in parser_of(name)._actions:
            assert action.help, (name, action.dest)


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["help"], ["status", "--help"], ["--version"]])
def test_help_is_fine(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Asked for: on standard output, exit 0."""
    assert main(arguments) == 0
    assert "sidecar" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "usage: sidecar COMMAND"),
        (["stats"], "Did you mean `sidecar status`?"),
        (["xyzzy"], "`sidecar --help` lists"),
        (["run", "--lisen", "x"], "`sidecar run` has no flag --lisen. Did you mean --listen?"),
        (["run", "--xyzzy=1"], "`sidecar run` has no flag --xyzzy. Try `sidecar run --help`."),
        (["run", "config.yaml"], "too many arguments. Try `sidecar run --help`."),
        (["run", "--listen"], "expected one argument. Try `sidecar run --help`."),
        (["wait", "--max", "soon"], "write a duration such as 500ms, 30s or 5m"),
        (["wait", "--max", "\u0663s"], "write a duration such as 500ms, 30s or 5m"),
        (["healthcheck", "--admin", "somewhere"], "somewhere is not an address"),
        (["vendor", "--listen", "9400"], "--listen takes host:port"),
        (["vendor", "--api-key-env", "NO_SUCH_VARIABLE_HERE"], "NO_SUCH_VARIABLE_HERE is not set"),
    ],
)
def test_a_wrong_command_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2 and a sentence on standard error that says what to do."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_under_standard_output_is_told() -> None:
    """In one line, and by the exit code."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run([sys.executable, "-m", "sidecar", "version"], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == b"sidecar: standard output cannot be written: No space left on device\n"
