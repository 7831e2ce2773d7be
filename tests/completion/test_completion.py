"""`sidecar completion`: loads in real bash, zsh and fish without a word, and offers what the parsers take."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from sidecar.cli import COMMANDS, main, parser_of
from sidecar.completion import bash as bash_script
from sidecar.completion import fish as fish_script
from sidecar.completion import zsh as zsh_script
from sidecar.completion.words import Command, commands
from sidecar.config.presets import PRESETS
from tests.completion import shells
from tests.completion.shells import completed, on_a_terminal
from tests.servers.programs import require

SHELLS = ("bash", "zsh", "fish")
WRITERS: dict[str, Callable[[list[Command]], str]] = {
    "bash": bash_script.script,
    "zsh": zsh_script.script,
    "fish": fish_script.script,
}


@pytest.fixture(scope="module", params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    """Each shell, where it is installed."""
    name: str = request.param
    require(name)
    return name


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the script for each shell, as the command prints it."""
    folder = tmp_path_factory.mktemp("completion")
    for name in SHELLS:
        with (folder / name).open("w") as script, redirect_stdout(script):
            assert main(["completion", name]) == 0
    return folder


def offered(shell: str, script: Path, words: list[str], folder: Path) -> list[str]:
    """Return what a shell offers for the last word."""
    return shells.bash(script, words, folder) if shell == "bash" else shells.fish(script, " ".join(words), folder)


def written(shell: str, folder: Path, **parsers: argparse.ArgumentParser) -> Path:
    """Return a script about commands of a test's own."""
    script = folder / f"script.{shell}"
    described = commands({name: f"it's [{name}]: $x" for name in parsers}, parsers.__getitem__, {})
    script.write_text(WRITERS[shell](described))
    return script


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_commands(shell: str, scripts: Path, tmp_path: Path) -> None:
    """Every one, and those that begin with what was typed."""
    assert set(offered(shell, scripts / shell, ["sidecar", ""], tmp_path)) - {"--help", "--version"} == set(COMMANDS)
    assert offered(shell, scripts / shell, ["sidecar", "sta"], tmp_path) == ["status"]


@pytest.mark.parametrize("shell", ["bash", "fish"])
@pytest.mark.parametrize("name", ["run", "init", "wait"])
def test_flags(shell: str, name: str, scripts: Path, tmp_path: Path) -> None:
    """Every one that the command's parser takes, and none of another's."""
    taken = {flag for action in parser_of(name)._actions for flag in action.option_strings if flag.startswith("--")}
    assert set(offered(shell, scripts / shell, ["sidecar", name, "--"], tmp_path)) == taken


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_what_stands_after_a_flag(shell: str, scripts: Path, tmp_path: Path) -> None:
    """Presets for a preset, files for a file, nothing for an address; and a command's own words."""
    (tmp_path / "my config.yaml").touch()
    (tmp_path / "other").mkdir()
    script = scripts / shell
    assert set(offered(shell, script, ["sidecar", "run", "--preset", ""], tmp_path)) == set(PRESETS)
    assert offered(shell, script, ["sidecar", "init", "--preset", "no"], tmp_path) == ["none"]
    files = offered(shell, script, ["sidecar", "run", "-c", ""], tmp_path)
    assert {name.replace("\\", "").rstrip("/") for name in files} == {"my config.yaml", "other"}
    assert offered(shell, script, ["sidecar", "run", "--listen", ""], tmp_path) == []
    assert set(offered(shell, script, ["sidecar", "completion", ""], tmp_path)) - {"--help"} == set(SHELLS)


def test_bash_takes_the_equals_sign_for_a_word(scripts: Path, tmp_path: Path) -> None:
    """As it does in --flag=value."""
    for words in (["--preset", "=", "gi"], ["--preset", "="]):
        found = shells.bash(scripts / "bash", ["sidecar", "run", *words], tmp_path)
        assert {"giantcontext", "github-app"} <= set(found)


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_on_a_terminal(name: str, scripts: Path, tmp_path: Path) -> None:
    """A person types the beginning, and presses the tabulator."""
    (tmp_path / "config.yaml").touch()
    with on_a_terminal(name, scripts / name, tmp_path) as screen:
        completed(screen, "sidecar sta", "sidecar status ")
        completed(screen, "sidecar run --upst", "sidecar run --upstream")
        completed(screen, "sidecar run --preset gia", "--preset giantcontext ")
        completed(screen, "sidecar run --preset=gia", "--preset=giantcontext ")
        completed(screen, "sidecar check -c con", "-c config.yaml ")
        completed(screen, "sidecar completion z", "sidecar completion zsh ")
        completed(screen, "sidecar ", "version")
        assert [command for command in COMMANDS if command not in screen.shown] == []


def test_zsh_finds_it_in_a_folder_of_fpath(scripts: Path, tmp_path: Path) -> None:
    """As a file _sidecar, which compinit loads when it is needed."""
    (tmp_path / "_sidecar").write_text((scripts / "zsh").read_text())
    empty = tmp_path / "empty"
    empty.write_text(f"fpath=({tmp_path} $fpath); compinit -u -d {tmp_path}/other")
    with on_a_terminal("zsh", empty, tmp_path) as screen:
        completed(screen, "sidecar heal", "sidecar healthcheck ")
        completed(screen, "sidecar heal", "sidecar healthcheck ")


def test_another_program_after_two_dashes(shell: str, tmp_path: Path) -> None:
    """Its name, then what it takes: as `exec -- CMD` does."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--env", metavar="NAME", action="append", help="100%% [so:] it's")
    parser.add_argument("--secret", help=argparse.SUPPRESS)
    parser.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    script = written(shell, tmp_path, exec=parser)
    (tmp_path / "a-file").touch()
    if shell == "zsh":
        with on_a_terminal(shell, script, tmp_path) as screen:
            completed(screen, "sidecar exec --env A=b --env", "sidecar exec --env A=b --env")
            completed(screen, "sidecar exec -- base6", "-- base64")
            completed(screen, "sidecar exec -- cat a-f", "cat a-file ")
        return
    assert "base64" in offered(shell, script, ["sidecar", "exec", "--", "base"], tmp_path)
    assert offered(shell, script, ["sidecar", "exec", "--", "cat", "a-f"], tmp_path) == ["a-file"]
    assert offered(shell, script, ["sidecar", "exec", "--"], tmp_path) == ["--env"]
    assert "--env" not in offered(shell, script, ["sidecar", "exec", "--", "cat", "--"], tmp_path), (
        "that is the other's"
    )


def test_any_sign_in_a_help(shell: str, tmp_path: Path) -> None:
    """It is shown, not carried out."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--flag", metavar="A:B", help="it's $(touch hurt) `touch hurt` [x]: \\ \" ; 100%%")
    parser.add_argument("--other", choices=["x", "y"], help="]")
    script = written(shell, tmp_path, do=parser, **{"do-more": parser})
    if shell == "zsh":
        with on_a_terminal(shell, script, tmp_path) as screen:
            completed(screen, "sidecar do --", "100%")
            completed(screen, "sidecar do --oth", "sidecar do --other=")
            screen.type("zstyle ':completion:*' format 'wanted: %d'\n")
            completed(screen, "sidecar do --flag=", "wanted: A:B")
    else:
        assert set(offered(shell, script, ["sidecar", "do", "--"], tmp_path)) == {"--flag", "--other"}
        assert offered(shell, script, ["sidecar", "do", "--other", ""], tmp_path) == ["x", "y"]
    assert not (tmp_path / "hurt").exists()


def test_another_shell_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2 and a sentence."""
    assert main(["completion", "tcsh"]) == 2
    assert "bash" in capsys.readouterr().err
