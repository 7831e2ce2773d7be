"""`sidecar token`: print a token for a script, by one exchange of its own.

Never by asking a running sidecar: that hands a token to nobody but its upstream.
"""

from __future__ import annotations

import argparse
import os
import sys

from sidecar.commands.arguments import complete, loader, seconds, takes_config
from sidecar.commands.words import FAILED, FINE, WRONG, complain, is_terminal, refuse

TYPE_CHECKING = False  # typing itself takes 10 ms to import
if TYPE_CHECKING:
    from sidecar.config import Config
    from sidecar.config.values import CredentialConfig
    from sidecar.credentials.token import Token

EXAMPLE = "sidecar token --credential crm --json"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    takes_config(parser, serves=False)
    parser.add_argument("--credential", metavar="NAME", help="whose token, where the configuration has several")
    parser.add_argument("--min-ttl", metavar="TIME", type=seconds, help="fail where the token lives for less: 5m")
    parser.add_argument("--json", action="store_true", help="print the token, its credential and its expiry")
    parser.add_argument("--show", action="store_true", help="print it even on a terminal")


def run(args: argparse.Namespace) -> int:
    """Exchange and print; return the exit code."""
    if is_terminal(sys.stdout) and not args.show:
        complain('a token is a secret, and this is a screen: use it as "$(sidecar token)", or add --show.')
        return WRONG
    from sidecar.environment import Environment, take_keys_out
    from sidecar.errors import ConfigError
    from sidecar.hardening import harden
    from sidecar.single_exchange import exchange_each

    harden(os.environ)
    environ = Environment(os.environ)
    try:
        config = loader(args, environ)()
    except ConfigError as error:
        return refuse(error)
    for warning in config.warnings:
        complain(f"warning: {warning}")
    credential = _chosen(config, args.credential)
    if credential is None:
        return WRONG
    if credential.exchange is None:
        complain(f"credential {credential.name} makes no exchange (preset static): its API key itself is what is sent.")
        return WRONG
    take_keys_out(config)
    (tried,) = complete(exchange_each(config, [credential], environ))
    if tried.token is None:
        complain(f"no token for credential {tried.name}: {tried.told}.")
        return FAILED
    return _print(tried.name, tried.token, args)


def _chosen(config: Config, name: str | None) -> CredentialConfig | None:
    """Return the credential of this name, or the only one; say what is wrong where there is none."""
    found = [credential for credential in config.credentials if name in (None, credential.name)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(credential.name for credential in config.credentials) or "none"
    wrong = "say whose token with --credential" if name is None else f"no credential is called {name!r}"
    complain(f"{wrong}; the configuration has: {names}.")
    return None


def _print(name: str, token: Token, args: argparse.Namespace) -> int:
    import json
    import math

    from sidecar.admin.describe import timestamp

    life_s = token.expires_at - token.obtained_at
    if args.min_ttl is not None and life_s < args.min_ttl:
        complain(
            f"the token for credential {name} lives for {life_s:.0f} s alone, less than --min-ttl"
            f" ({args.min_ttl:g} s): ask for less, or have the vendor make its tokens live longer."
        )
        return FAILED
    text = token.secret.reveal().decode("ascii")
    if args.json:
        endless = token.expires_at == math.inf
        expiry = {
            "expires_at": None if endless else timestamp(token.expires_at),
            "expires_in_s": None if endless else round(life_s, 1),
        }
        text = json.dumps({"credential": name, "token": text, **expiry})
    print(text)
    return FINE
