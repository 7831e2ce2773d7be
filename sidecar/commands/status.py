"""`sidecar status`: show a person how a running sidecar is doing."""

from __future__ import annotations

import argparse
import sys

from sidecar.commands.arguments import admin, takes_admin
from sidecar.commands.words import in_colour

EXAMPLE = "sidecar status --admin 127.0.0.1:8081"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    takes_admin(parser)
    parser.add_argument("--json", action="store_true", help="print the JSON as it comes")


def run(args: argparse.Namespace) -> int:
    """Ask and show; return the exit code."""
    from sidecar import ask

    return ask.status(admin(args), raw=args.json, colour=in_colour(sys.stdout))
