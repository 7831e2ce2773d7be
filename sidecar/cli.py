"""The commands: which there are, and how each is found, asked for help, and run.

What one takes and does is in `commands/`, and is imported when it is asked for, so that a
probe pays for nothing else. The rule: whatever goes wrong is said on standard error in a
sentence that tells what to do next, never as a traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from importlib import import_module

from sidecar.commands.words import FAILED, FINE, INTERRUPTED, WIDTH, WRONG, complain, reason

TYPE_CHECKING = False  # typing itself takes 10 ms to import
if TYPE_CHECKING:
    from typing import NoReturn, Protocol

    class Command(Protocol):
        """A file in `commands/`."""

        EXAMPLE: str

        def arguments(self, parser: argparse.ArgumentParser) -> None:
            """Add what it takes."""
            ...

        def run(self, args: argparse.Namespace) -> int:
            """Do it, and return the exit code."""
            ...


# In the order of the overview.
COMMANDS = {
    "run": "serve until SIGTERM or SIGINT, then drain; SIGHUP reloads",
    "check": "say whether the configuration is right",
    "demo": "show everything on this machine: no key, no network",
    "vendor": "serve the pretend vendor alone, with faults on demand",
    "exec": "run a command with a sidecar of its own, and without the API key",
    "init": "write a configuration, and what starts a sidecar with it",
    "login": "keep an API key in the operating system's keyring",
    "logout": "take an API key out of that keyring",
    "healthcheck": "exit with 0 if a running sidecar is alive",
    "wait": "wait until a running sidecar is ready",
    "status": "show how a running sidecar is doing",
    "env": "print the lines that point a shell at a running sidecar",
    "token": "print a token, for scripts",
    "completion": "print the script by which a shell completes all of this",
    "schema": "print a JSON Schema of the configuration",
    "version": "print the version",
}


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments after the program's name; None: the process's own.

    Returns:
        The exit code.
    """
    given = sys.argv[1:] if argv is None else argv
    try:
        code = _dispatch(given)
        if sys.stdout is not None:  # it may be closed
            sys.stdout.flush()
        return code
    except SystemExit as end:  # argparse, after its help or its complaint
        return end.code if isinstance(end.code, int) else WRONG
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read standard output has left; the interpreter must not try to flush it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        complain(f"standard output cannot be written: {reason(error)}")
        return FAILED


class _Parser(argparse.ArgumentParser):
    """A parser that complains in one sentence."""

    def error(self, message: str) -> NoReturn:
        """Complain and exit with 2."""
        complain(f"{message}. Try `{self.prog} --help`.")
        raise SystemExit(WRONG)


def command_of(name: str) -> Command:
    """Return what this command takes and does."""
    command: Command = import_module(f"sidecar.commands.{name}")
    return command


def parser_of(name: str) -> argparse.ArgumentParser:
    """Return the parser of one command."""
    command, summary = command_of(name), COMMANDS[name]
    parser = _Parser(
        prog=f"sidecar {name}",
        usage=f"sidecar {name} {getattr(command, 'USAGE', '[options]')}",
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"example:\n  {command.EXAMPLE}",
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=28, width=WIDTH),
        allow_abbrev=False,
    )
    command.arguments(parser)
    return parser


def overview() -> str:
    """Return the help of the program itself."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            "usage: sidecar COMMAND [options]",
            "",
            "A local reverse proxy that makes authentication somebody else's problem.",
            "",
            *lines,
            "",
            "`sidecar COMMAND --help` tells what each takes. To see it work, without a key:",
            "  sidecar demo",
        ]
    )


def _dispatch(given: list[str]) -> int:
    if not given:
        print(overview(), file=sys.stderr)
        return WRONG
    name, rest = given[0], given[1:]
    if name in ("-h", "--help", "help"):
        print(overview())
        return FINE
    if name in ("-V", "--version"):
        name = "version"
    if name not in COMMANDS:
        near = _nearest(name, COMMANDS)
        hint = f"Did you mean `sidecar {near}`?" if near else "`sidecar --help` lists what there is."
        complain(f"there is no command {name!r}. {hint}")
        return WRONG
    parser = parser_of(name)
    args, unknown = parser.parse_known_args(rest)
    if unknown:
        # What stands after a flag is not repeated: it could be a key.
        flag = next((word.partition("=")[0] for word in unknown if word.startswith("--")), None)
        near = _nearest(flag, parser.format_help().split()) if flag else None
        hint = f"Did you mean {near}?" if near else f"Try `sidecar {name} --help`."
        complain(f"`sidecar {name}` has no flag {flag}. {hint}" if flag else f"too many arguments. {hint}")
        return WRONG
    args.commands, args.parser_of = COMMANDS, parser_of  # what `completion` is about
    return command_of(name).run(args)


def _nearest(word: str, known: Iterable[str]) -> str | None:
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, known, 1)), None)
