"""`sidecar logout`: take an API key out of the operating system's keyring."""

from __future__ import annotations

import argparse

from sidecar.commands.keyring_entry import entry, needs_keyring, takes_entry
from sidecar.commands.words import FAILED, FINE, complain

EXAMPLE = "sidecar logout sidecar/giantcontext"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    parser.description = "Take an API key out of this system's keyring."
    takes_entry(parser)


def run(args: argparse.Namespace) -> int:
    """Remove; return the exit code."""
    needs_keyring()
    service, user = entry(args)
    from sidecar.credentials import keyring_store
    from sidecar.errors import KeyUnavailable

    try:
        was_there = keyring_store.remove(service, user)
    except KeyUnavailable as problem:
        complain(f"the key was not taken out: {problem}.")
        return FAILED
    if not was_there:
        complain(f"the keyring has no entry {service}/{user}; nothing was done.")
        return FAILED
    print(f"Taken out of the keyring: {service}/{user}. A sidecar that runs keeps the key until it ends;")
    print("the key itself stays valid until its vendor's console revokes it.")
    return FINE
