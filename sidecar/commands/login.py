"""`sidecar login`: keep an API key in the operating system's keyring. It is typed unseen, or comes by a pipe."""

from __future__ import annotations

import argparse
import sys

from sidecar.commands.keyring_entry import entry, needs_keyring, takes_entry
from sidecar.commands.words import FAILED, FINE, WRONG, complain, is_terminal

EXAMPLE = "sidecar login sidecar/giantcontext"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    parser.description = "Keep an API key in this system's keyring: typed unseen, or by a pipe."
    takes_entry(parser)


def run(args: argparse.Namespace) -> int:
    """Store; return the exit code."""
    needs_keyring()
    service, user = entry(args)
    from sidecar.credentials import keyring_store
    from sidecar.credentials.keys import clean_key
    from sidecar.credentials.pem import clean_pem
    from sidecar.errors import KeyUnavailable

    try:
        given = _given(f"API key for {service}/{user} (it is not shown): ")
        key = (clean_pem if b"-----BEGIN" in given else clean_key)(given, "what was given")
    except KeyUnavailable as problem:
        complain(f"{problem}; nothing was stored.")
        return WRONG
    try:
        where = keyring_store.store(service, user, key)
    except KeyUnavailable as problem:
        complain(f"the key was not stored: {problem}. A file does as well: api_key: {{file: PATH}}, mode 0600.")
        return FAILED
    print(f"Stored in the keyring ({where}); the configuration finds it by api_key: {{keyring: {service}/{user}}}.")
    print("A sidecar that runs takes it up when its old key is refused, or by POST /-/refresh at its admin listener.")
    return FINE


def _given(prompt: str) -> bytes:
    """Return what a person types unseen, or what standard input holds."""
    from sidecar.errors import KeyUnavailable

    if not is_terminal(sys.stdin):
        from sidecar.credentials.keys import MOST_KEY_BYTES

        return sys.stdin.buffer.read(MOST_KEY_BYTES + 2) if sys.stdin is not None else b""
    import getpass
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(prompt).encode(errors="surrogateescape")
    except getpass.GetPassWarning:
        raise KeyUnavailable("this terminal would show the key; give it by standard input") from None
    except EOFError:
        return b""
