"""Real shells that complete what was typed: bash by its function, fish by its own command, zsh on a terminal."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.servers.programs import require
from tests.terminal import Terminal, terminal

PROMPT = "ready> "


def bash(script: Path, words: Sequence[str], folder: Path) -> list[str]:
    """Return what bash offers for the last of these words."""
    typed = " ".join(map(shlex.quote, words))
    asked = f"COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _sidecar"
    line = f"source {script}; {asked}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    return _ran([require("bash"), "--norc", "-c", line], folder)


def fish(script: Path, line: str, folder: Path) -> list[str]:
    """Return what fish offers for the end of this line, without its descriptions."""
    command = f"source {script}; complete -C {shlex.quote(line)}"
    offered = _ran([require("fish"), "--no-config", "-c", command], folder)
    return [each.partition("\t")[0] for each in offered]


def _ran(argv: Sequence[str | Path], folder: Path) -> list[str]:
    environ = {"HOME": str(folder), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    done = subprocess.run(argv, env=environ, cwd=folder, capture_output=True, text=True, timeout=30)
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout.split("\n")[:-1] if done.stdout.strip() else []


@contextmanager
def on_a_terminal(shell: str, script: Path, folder: Path) -> Iterator[Terminal]:
    """Yield a person's shell that has read the script."""
    argv, setup = {
        "bash": (
            ["--norc", "--noprofile", "-i"],
            f"bind 'set show-all-if-ambiguous on'; source {script}; PS1='{PROMPT}'",
        ),
        "zsh": (
            ["-f", "-i"],
            f"autoload -U compinit && compinit -u -d {folder}/dump && source {script}; unsetopt zle_bracketed_paste;"
            f" PROMPT='{PROMPT}'",
        ),
    }[shell]
    environ = {"HOME": str(folder), "PATH": os.environ["PATH"], "TERM": "xterm", "LANG": "C.UTF-8"}
    with terminal([require(shell), *argv], environ, folder, size=(50, 200)) as screen:
        screen.type(f"{setup}; echo set'_'up\n")
        screen.until("set_up")
        screen.until(PROMPT)
        yield screen


def completed(screen: Terminal, typed: str, expected: str) -> str:
    """Type, press the tabulator, and return what is shown once this is; then clear the line."""
    screen.forget()
    screen.type(f"{typed}\t")
    shown = screen.until(expected)
    screen.type("\x15")
    # The line is free again once something else was carried out on it.
    screen.type("echo nex't'\n")
    screen.until("next")
    return re.sub(r"\x07", "", shown)
