"""`sidecar demo`: a guided tour on this machine, without a key or a network."""

from __future__ import annotations

import argparse

from sidecar.commands.arguments import complete
from sidecar.commands.words import FAILED, complain

EXAMPLE = "sidecar demo --once"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    parser.add_argument("--once", action="store_true", help="end after the tour instead of staying up")


def run(args: argparse.Namespace) -> int:
    """Show everything; return the exit code."""
    from sidecar.app import App
    from sidecar.errors import StartError
    from sidecar.log import configure
    from sidecar.vendor.tour import TourOptions, tour

    configure("warning", "console")
    try:
        return complete(tour(App, TourOptions(once=args.once)))
    except (StartError, OSError) as error:
        complain(f"the demo cannot start: {error}")
        return FAILED
