"""`sidecar version`: which one this is."""

from __future__ import annotations

import argparse
import sys

from sidecar.commands.words import FINE

EXAMPLE = "sidecar version"


def arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(args: argparse.Namespace) -> int:
    """Print it; return the exit code."""
    from sidecar import __version__

    print(f"sidecar {__version__} (Python {sys.version.split()[0]})")
    return FINE
