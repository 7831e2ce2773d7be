"""`sidecar check`: whether the configuration is right, and with `--exchange` whether the key is."""

from __future__ import annotations

import argparse
import os

from sidecar.commands.arguments import complete, loader, takes_config
from sidecar.commands.words import FAILED, FINE, complain, refuse

TYPE_CHECKING = False  # typing itself takes 10 ms to import
if TYPE_CHECKING:
    from collections.abc import Mapping

    from sidecar.config import Config


EXAMPLE = "sidecar check -c sidecar.yaml --exchange"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    takes_config(parser)
    parser.add_argument("--exchange", action="store_true", help="make one real exchange for each credential")


def run(args: argparse.Namespace) -> int:
    """Check; return the exit code."""
    from sidecar.environment import Environment
    from sidecar.errors import ConfigError
    from sidecar.hardening import harden

    if args.exchange:
        harden(os.environ)
    environ = Environment(os.environ)
    try:
        config = loader(args, environ)()
    except ConfigError as error:
        return refuse(error)
    for warning in config.warnings:
        complain(f"warning: {warning}")
    print("\n".join(_summary(config)))
    return _exchange(config, environ) if args.exchange else FINE


def _summary(config: Config) -> list[str]:
    """Return what the configuration says, in lines for a person; never a secret."""
    lines = [
        f"The configuration is right ({config.source or 'from flags and environment'}).",
        f"listens on: {', '.join(address.described for address in config.listen)}",
        f"admin:      {config.admin.listen}",
    ]
    for route in config.routes:
        credential = f"credential {route.credential}" if route.credential else "no credential"
        lines.append(f"route:      {route.name}: {route.host or ''}{route.path} -> {route.upstream.url}, {credential}")
    for credential_config in config.credentials:
        key = credential_config.api_key
        exchange = credential_config.exchange
        use = f"exchanged at {exchange.url}" if exchange else "used as the token itself"
        if exchange and exchange.sign:
            use = f"signs for {exchange.url} ({exchange.sign.alg}) and is never sent"
        lines.append(f"credential: {credential_config.name}: API key from {key.described}, {use}")
    return lines


def _exchange(config: Config, environ: Mapping[str, str]) -> int:
    from sidecar.environment import take_keys_out
    from sidecar.single_exchange import exchange_each

    take_keys_out(config)
    tried = complete(exchange_each(config, config.credentials, environ))
    for each in tried:
        print(f"exchange:   {each.name}: {'ok' if each.token else 'FAILED'}: {each.told}")
    return FINE if all(each.token for each in tried) else FAILED
