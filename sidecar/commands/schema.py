"""`sidecar schema`: a JSON Schema of the configuration, for editors."""

from __future__ import annotations

import argparse

from sidecar.commands.words import FINE

EXAMPLE = "sidecar schema > config.schema.json"


def arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(args: argparse.Namespace) -> int:
    """Print it; return the exit code."""
    import json

    from sidecar.config.schema import schema

    print(json.dumps(schema(), indent=2))
    return FINE
