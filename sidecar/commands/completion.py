"""`sidecar completion`: print the script by which a shell completes the command line."""

from __future__ import annotations

import argparse

from sidecar.commands.words import FINE

EXAMPLE = "sidecar completion bash"

_SHELLS = ("bash", "zsh", "fish")
_HOW = """\
bash, in ~/.bashrc:                source <(sidecar completion bash)
zsh, in ~/.zshrc, after compinit:  source <(sidecar completion zsh)
fish, once:  sidecar completion fish > ~/.config/fish/completions/sidecar.fish"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    parser.usage = f"{parser.prog} SHELL"
    parser.description = f"Print the script by which a shell completes what is typed after `sidecar`.\n\n{_HOW}"
    parser.add_argument("shell", metavar="SHELL", choices=_SHELLS, help="bash, zsh or fish")


def run(args: argparse.Namespace) -> int:
    """Print it; return the exit code."""
    from importlib import import_module

    from sidecar.completion.words import commands
    from sidecar.config.presets import PRESETS
    from sidecar.scaffold.choices import PURPOSES

    known = {"preset": tuple(PRESETS), "init preset": tuple(PURPOSES)}
    shell = import_module(f"sidecar.completion.{args.shell}")
    print(shell.script(commands(args.commands, args.parser_of, known)), end="")
    return FINE
