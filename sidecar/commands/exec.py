"""`sidecar exec`: run a command with a sidecar of its own, and without the API key."""

from __future__ import annotations

import argparse
import os
import re
import sys

from sidecar.commands.arguments import loader, seconds, takes_config
from sidecar.commands.words import FAILED, WRONG, complain, is_terminal, refuse, rewrite_line

USAGE = "[options] -- COMMAND [ARGUMENT...]"
EXAMPLE = "sidecar exec --env OPENAI_BASE_URL={url}/v1 -- python app.py"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    takes_config(parser, serves=False)
    parser.add_argument(
        "--env",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        type=_variable,
        help="set a variable; {url} {host} {port} {placeholder}",
    )
    parser.add_argument("--max", metavar="TIME", type=seconds, default=30.0, help="wait for a token (default: 30s)")
    parser.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Run it; return its exit code."""
    argv = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not argv:
        complain("what is to be run? Put it after --, such as `sidecar exec -- python app.py`.")
        return WRONG
    if not hasattr(os, "posix_spawn"):
        complain("exec needs a Unix system; start `sidecar run`, and the command with SIDECAR_URL in its environment.")
        return FAILED
    from sidecar import execute
    from sidecar.environment import Environment
    from sidecar.errors import ConfigError

    environ = Environment(os.environ)
    progress = rewrite_line if is_terminal(sys.stderr) else None
    try:
        command = execute.Command(tuple(argv), dict(args.env), args.max, complain, progress)
        return execute.run(loader(args, environ), environ, command)
    except ConfigError as error:
        code = refuse(error)
        if environ.get("SIDECAR_URL"):
            complain(
                "this is inside another `sidecar exec`, which keeps its key to itself: a command for the same API needs"
                " no further one, and reaches it at SIDECAR_URL."
            )
        return code


def _variable(text: str) -> tuple[str, str]:
    """Return the name and the template of `NAME=TEMPLATE`."""
    from sidecar.client_environment import fill

    name, given, template = text.partition("=")
    if not given or not _NAME.fullmatch(name):
        raise argparse.ArgumentTypeError("write NAME=VALUE, such as OPENAI_BASE_URL={url}/v1")
    try:
        fill(template, "")
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return name, template
