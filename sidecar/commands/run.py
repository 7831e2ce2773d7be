"""`sidecar run`: serve until a signal, then drain."""

from __future__ import annotations

import argparse
import os

from sidecar.commands.arguments import loader, takes_config
from sidecar.commands.words import FAILED, complain, refuse

EXAMPLE = "sidecar run --preset giantcontext --api-key-file /run/secrets/key"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    takes_config(parser)


def run(args: argparse.Namespace) -> int:
    """Serve; return the exit code."""
    from sidecar import serve
    from sidecar.environment import Environment
    from sidecar.errors import ConfigError, StartError

    environ = Environment(os.environ)
    try:
        return serve.run(loader(args, environ), environ)
    except ConfigError as error:
        return refuse(error)
    except StartError as error:
        complain(str(error))
        return FAILED
