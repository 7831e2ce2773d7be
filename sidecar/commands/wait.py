"""`sidecar wait`: block until a running sidecar is ready."""

from __future__ import annotations

import argparse
import sys

from sidecar.commands.arguments import admin, seconds, takes_admin
from sidecar.commands.words import is_terminal, rewrite_line

EXAMPLE = "sidecar wait --max 30s && ./my-app"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    takes_admin(parser)
    parser.add_argument("--max", metavar="TIME", type=seconds, default=30.0, help="how long at most (default: 30s)")


def run(args: argparse.Namespace) -> int:
    """Wait; return the exit code."""
    from sidecar import ask

    return ask.wait(admin(args), args.max, progress=rewrite_line if is_terminal(sys.stderr) else None)
