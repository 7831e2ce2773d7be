"""The flags that several commands share, and what they lead to: a configuration, or a running sidecar."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Coroutine, Mapping

from sidecar.commands.words import WRONG, complain, refuse

TYPE_CHECKING = False  # typing itself takes 10 ms to import
if TYPE_CHECKING:
    from typing import TypeVar

    from sidecar.ask import Admin
    from sidecar.config import Config

    Result = TypeVar("Result")

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_CONFIG_FLAGS = (
    ("--listen", "ADDRESS", "where apps connect (SIDECAR_LISTEN, 127.0.0.1:8080)"),
    ("--upstream", "URL", "the origin to forward to (SIDECAR_UPSTREAM, the preset's)"),
    ("--preset", "NAME", "a vendor's rules, such as giantcontext (SIDECAR_PRESET)"),
    ("--api-key-file", "FILE", "the file that holds the API key (SIDECAR_API_KEY_FILE)"),
    ("--api-key-env", "NAME", "the variable that holds the API key (SIDECAR_API_KEY)"),
    ("--admin-listen", "ADDRESS", "health, metrics, status (SIDECAR_ADMIN_LISTEN, 127.0.0.1:8081)"),
)


# Of those, the ones for whoever serves at an address that others know.
_ADDRESS_FLAGS = frozenset(("--listen", "--admin-listen"))
_ADDRESS_VARIABLES = frozenset(("SIDECAR_LISTEN", "SIDECAR_ADMIN_LISTEN"))


def takes_config(parser: argparse.ArgumentParser, *, serves: bool = True) -> None:
    """Add the flags that say what to serve.

    Args:
        serves: also where; else the addresses in the configuration do not count.
    """
    parser.description = (
        f"{parser.description}\nNot given: the variable in parentheses, else the file, else the default there."
    )
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        help="the configuration file (SIDECAR_CONFIG, ~/.config/sidecar/config.yaml, /etc/sidecar/config.yaml)",
    )
    for flag, value, purpose in _CONFIG_FLAGS:
        if not serves and flag in _ADDRESS_FLAGS:
            continue
        parser.add_argument(flag, metavar=value, help=purpose)


def loader(args: argparse.Namespace, environ: Mapping[str, str]) -> Callable[[], Config]:
    """Return what reads the configuration, at the start and at every reload."""
    from sidecar.config import load
    from sidecar.environment import Environment

    names = [flag.removeprefix("--").replace("-", "_") for flag, _, _ in _CONFIG_FLAGS]
    flags = {name: getattr(args, name) for name in names if getattr(args, name, None) is not None}
    if not hasattr(args, "listen"):  # it does not serve at an address that others know
        environ = Environment({name: value for name, value in environ.items() if name not in _ADDRESS_VARIABLES})
    return lambda: load(path=args.config, flags=flags, environ=environ)


def takes_admin(parser: argparse.ArgumentParser) -> None:
    """Add the flag that says which running sidecar to ask."""
    parser.add_argument(
        "--admin",
        "--url",
        metavar="ADDRESS",
        help="its admin listener: host:port, unix:/path or http://host:port (default: SIDECAR_ADMIN_URL,"
        " else SIDECAR_ADMIN_LISTEN, else 127.0.0.1:8081)",
    )


def admin(args: argparse.Namespace) -> Admin:
    """Return which running sidecar to ask."""
    from sidecar import ask

    try:
        return ask.locate(args.admin)
    except ValueError as error:
        complain(f"{error}.")
        raise SystemExit(WRONG) from None


def seconds(text: str) -> float:
    """Return a duration such as `500ms`, `30s` or `5m` in seconds."""
    number = text.rstrip("mhs")
    unit = text[len(number) :]
    if not number.replace(".", "", 1).isdecimal() or not number.isascii() or unit not in _UNITS_S:
        raise argparse.ArgumentTypeError("write a duration such as 500ms, 30s or 5m")
    return float(number) * _UNITS_S[unit]


def complete(work: Coroutine[object, object, Result]) -> Result:
    """Run a coroutine to its end."""
    import asyncio

    from sidecar.errors import ConfigError
    from sidecar.event_loop import event_loop_factory

    try:
        make_loop = event_loop_factory()
    except ConfigError as error:
        work.close()
        raise SystemExit(refuse(error)) from None
    with asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(work)
