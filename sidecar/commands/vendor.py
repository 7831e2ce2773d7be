"""`sidecar vendor`: the pretend vendor alone, for users' own tests."""

from __future__ import annotations

import argparse
import os

from sidecar.commands.arguments import complete, seconds
from sidecar.commands.words import FAILED, FINE, WRONG, complain, reason

EXAMPLE = "sidecar vendor --listen 127.0.0.1:9400 --token-life 5s"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    parser.add_argument(
        "--listen", metavar="ADDRESS", default="127.0.0.1:9400", help="where it listens (default: 127.0.0.1:9400)"
    )
    parser.add_argument(
        "--token-life", metavar="TIME", type=seconds, default=60.0, help="how long its tokens live (default: 60s)"
    )
    parser.add_argument("--api-key-env", metavar="NAME", help="the environment variable that holds its one API key")


def run(args: argparse.Namespace) -> int:
    """Serve; return the exit code."""
    from sidecar.secret import Secret
    from sidecar.vendor.server import VendorOptions
    from sidecar.vendor.standalone import serve

    host, _, port = args.listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        complain("--listen takes host:port, such as 127.0.0.1:9400.")
        return WRONG
    options = VendorOptions(token_life_s=args.token_life)
    if args.api_key_env:
        key = os.environ.get(args.api_key_env)
        if not key:
            complain(f"the environment variable {args.api_key_env} is not set; put the pretend vendor's key into it.")
            return WRONG
        options = VendorOptions(api_key=Secret(key), token_life_s=args.token_life)
    try:
        complete(serve(options, host.strip("[]"), int(port)))
    except OSError as error:
        complain(f"the pretend vendor cannot listen on {args.listen}: {reason(error)}. Choose another with --listen.")
        return FAILED
    return FINE
