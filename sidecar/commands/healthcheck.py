"""`sidecar healthcheck`: an exit code for a probe."""

from __future__ import annotations

import argparse

from sidecar.commands.arguments import admin, takes_admin

EXAMPLE = "sidecar healthcheck --ready"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    takes_admin(parser)
    parser.add_argument("--ready", action="store_true", help="ask whether it is ready, not only alive")


def run(args: argparse.Namespace) -> int:
    """Ask; return the exit code."""
    from sidecar import ask

    return ask.healthcheck(admin(args), ready=args.ready)
