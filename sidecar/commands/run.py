"""`sidecar run`: serve until a signal, then drain."""

from __future__ import annotations

import argparse
import os
import sys

from sidecar.commands.arguments import loader, takes_config
from sidecar.commands.words import FAILED, WRONG, complain, refuse

EXAMPLE = "sidecar run --preset giantcontext --api-key-file /run/secrets/key"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    takes_config(parser)
    parser.add_argument("--inspect", action="store_true", help="show each request as it happens, on a terminal")


def run(args: argparse.Namespace) -> int:
    """Serve; return the exit code."""
    if args.inspect and not (sys.stderr is not None and sys.stderr.isatty()):
        complain("--inspect is for a person at a terminal, and standard error is none. Elsewhere set log.access: true.")
        return WRONG
    from sidecar import serve
    from sidecar.environment import Environment
    from sidecar.errors import ConfigError, StartError

    environ = Environment(os.environ)
    try:
        return serve.run(loader(args, environ), environ, inspect=args.inspect)
    except ConfigError as error:
        return refuse(error)
    except StartError as error:
        complain(str(error))
        return FAILED
