"""Keeps programs from sending to a proxy of the network what is for a sidecar on this machine.

Where `HTTP_PROXY` or its like is set, most clients obey it for `http://127.0.0.1` too, unless `NO_PROXY` says
otherwise. curl and Python read the small spelling first, Go the large one: so both are set.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what asks a running sidecar cannot afford more imports
if TYPE_CHECKING:
    from collections.abc import Mapping

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_OURS = ("127.0.0.1", "localhost", "::1")


def no_proxy(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables to set so that this machine is reached directly; none where no proxy is named."""
    if not any(environ.get(name) for name in _PROXIES):
        return {}
    either = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    return {name: _with_ours(environ.get(name) or either) for name in ("no_proxy", "NO_PROXY")}


def _with_ours(hosts: str) -> str:
    given = [host.strip() for host in hosts.split(",") if host.strip()]
    if "*" in given:  # curl takes it for everything only where it stands alone
        return hosts
    return ",".join([*given, *(host for host in _OURS if host not in given)])
