"""Which entry of the keyring `login` and `logout` are about: the one that was named, else the configuration's."""

from __future__ import annotations

import argparse
import os

from sidecar.commands.words import FAILED, WRONG, complain, refuse

_WANTED = "ENTRY is SERVICE/USER, such as sidecar/giantcontext"


def takes_entry(parser: argparse.ArgumentParser) -> None:
    """Add what says which entry."""
    parser.usage = f"{parser.prog} [ENTRY] [options]"
    parser.add_argument(
        "entry", metavar="ENTRY", nargs="?", help="SERVICE/USER (default: the one of the configuration)"
    )
    parser.add_argument(
        "-c", "--config", metavar="FILE", help="the configuration (default: where `sidecar run` finds it)"
    )


def entry(args: argparse.Namespace) -> tuple[str, str]:
    """Return its service and user.

    Raises:
        SystemExit: no entry, or more than one, is meant; it was said.
    """
    named = args.entry or _configured(args)
    service, _, user = named.rpartition("/")
    if not service or not user or not named.isprintable():
        complain(f"{_WANTED}.")
        raise SystemExit(WRONG)
    return service, user


def needs_keyring() -> None:
    """Raise SystemExit where the package is missing, having said so: the configuration would be refused for it."""
    from importlib.util import find_spec

    if find_spec("keyring") is None:
        from sidecar.credentials.key_keyring import MISSING

        complain(f"{MISSING}.")
        raise SystemExit(FAILED)


def _configured(args: argparse.Namespace) -> str:
    from sidecar.config import load
    from sidecar.errors import ConfigError

    try:
        config = load(path=args.config, flags={}, environ=os.environ)
    except ConfigError as error:
        raise SystemExit(refuse(error)) from None
    keys = [credential.api_key for credential in config.credentials]
    entries = sorted({key.name for key in keys if key.kind == "keyring"})
    if len(entries) == 1:
        return entries[0]
    if entries:
        complain(f"the configuration has several entries; name one of {', '.join(entries)}.")
    else:
        complain(f"{config.source or 'the configuration'} takes no key from the keyring: name an entry. {_WANTED}.")
    raise SystemExit(WRONG)
