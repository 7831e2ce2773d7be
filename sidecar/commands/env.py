"""`sidecar env`: the lines that point a shell at a running sidecar.

They are there to be executed, so the rule: whatever answers on that port, nothing comes out but a known kind of
variable with a quoted value. A name such as PATH would be an order to the shell.
"""

from __future__ import annotations

import argparse
import os
import re

from sidecar.commands.arguments import admin, takes_admin
from sidecar.commands.words import FAILED, FINE, complain, is_terminal

TYPE_CHECKING = False  # typing itself takes 10 ms to import
if TYPE_CHECKING:
    from sidecar.ask import Admin

EXAMPLE = "sidecar env --shell bash > sidecar.sh && . ./sidecar.sh"

_SHELLS = ("bash", "zsh", "fish")
_NAME = re.compile(r"SIDECAR_URL|[A-Z][A-Z0-9_]*_(?:BASE_URL|API_KEY)", re.ASCII)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    takes_admin(parser)
    parser.add_argument("--shell", choices=_SHELLS, help="whose lines (default: SHELL's, else bash's)")


def run(args: argparse.Namespace) -> int:
    """Ask and print; return the exit code."""
    import sys

    from sidecar.ask import Unanswered
    from sidecar.no_proxy import no_proxy

    shell = args.shell or os.path.basename(os.environ.get("SHELL", ""))
    where = admin(args)
    try:
        variables = _told(where)
    except Unanswered as problem:
        complain(str(problem))
        return FAILED
    if args.admin:
        variables["SIDECAR_ADMIN_URL"] = str(where) if where.path else f"http://{where}"
    for name, value in {**variables, **no_proxy(os.environ)}.items():
        print(_line(name, value, shell))
    if is_terminal(sys.stdout):
        how = "sidecar env | source" if shell == "fish" else 'eval "$(sidecar env)"'
        complain(f"to set them in this shell: {how}")
    return FINE


def _told(where: Admin) -> dict[str, str]:
    """Return the variables that a running sidecar names.

    Raises:
        Unanswered: it names none, or what no sidecar would.
    """
    import json

    from sidecar.ask import Unanswered, ask

    answer = ask(where, "/status")
    try:
        variables: dict[str, str] = json.loads(answer.body)["client_environment"]
        fit = all(_NAME.fullmatch(name) and value.isprintable() for name, value in variables.items())
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise Unanswered(
            f"{where} answered with status {answer.status} and no address; one beyond loopback tells none."
        ) from None
    if not variables:
        raise Unanswered("It listens on unix sockets alone, and a base URL is a host and a port: add one to `listen`.")
    if not fit:
        raise Unanswered(f"{where} names variables that no sidecar would; see who listens there.")
    return variables


def _line(name: str, value: str, shell: str) -> str:
    if shell == "fish":
        quoted = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"set -gx {name} '{quoted}'"
    quoted = value.replace("'", "'\\''")
    return f"export {name}='{quoted}'"
