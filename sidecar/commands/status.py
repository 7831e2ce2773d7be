"""`sidecar status`: show a person how a running sidecar is doing."""

from __future__ import annotations

import argparse
import sys

from sidecar.commands.arguments import admin, seconds, takes_admin
from sidecar.commands.words import in_colour, is_terminal, takes_steering

EXAMPLE = "sidecar status --watch"

_LEAST_PAUSE_S = 0.1


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    takes_admin(parser)
    parser.add_argument("--json", action="store_true", help="print the JSON as it comes")
    parser.add_argument(
        "--watch",
        metavar="SECONDS",
        nargs="?",
        type=_pause,
        const=2.0,
        help="show it again and again (default: every 2)",
    )


def run(args: argparse.Namespace) -> int:
    """Ask and show; return the exit code."""
    from sidecar.status import show
    from sidecar.status.style import Style

    def style() -> Style:
        return Style(show.columns(sys.stdout), colour=in_colour(sys.stdout), encoding=sys.stdout.encoding)

    if args.watch is None:
        return show.once(admin(args), style(), raw=args.json)
    screen = is_terminal(sys.stdout) and takes_steering() and not args.json
    return show.watch(admin(args), style, args.watch, raw=args.json, screen=screen)


def _pause(text: str) -> float:
    """Return a pause: seconds, or a duration such as 500ms."""
    pause = seconds(text if text.endswith(("s", "m", "h")) else f"{text}s")
    if not _LEAST_PAUSE_S <= pause <= 86400:
        raise argparse.ArgumentTypeError("write seconds from 0.1 to 86400")
    return pause
