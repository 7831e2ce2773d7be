"""What points a program at a sidecar by its environment: `SIDECAR_URL`, and what the presets' clients read.

Not a secret among it: where a client wants a key it gets a placeholder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sidecar.config.presets import CLIENT_VARIABLES, PLACEHOLDERS
from sidecar.config.values import Config, RouteConfig

_PLACEHOLDER = "sidecar-placeholder"
_FIELD = re.compile(r"\{([a-z_]+)\}")


def client_environment(config: Config, url: str) -> dict[str, str]:
    """Return the variables.

    Args:
        config: what is served.
        url: where, without a slash at its end.
    """
    presets = {credential.name: credential.preset or "" for credential in config.credentials}
    found: dict[str, str] = {"SIDECAR_URL": url}
    for route in config.routes:
        preset = presets.get(route.credential or "", "")
        for name, template in CLIENT_VARIABLES.get(preset, {}).items():
            if route.host is None:  # else no request to the plain address gets there
                found.setdefault(name, fill(template, url + _prefix(route), PLACEHOLDERS.get(preset)))
    return found


def base_url(host: str, port: int) -> str:
    """Return where a listener is reached from this machine, without a slash at the end.

    Args:
        host: the address that it is bound to; one that means all of this machine's is reached on loopback.
    """
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def fill(template: str, url: str, placeholder: str | None = None) -> str:
    """Return a template with its fields filled in: `{url}`, `{host}`, `{port}` and `{placeholder}`.

    Other braces stay as they are.

    Raises:
        ValueError: it has a field of another name; the text says which there are.
    """
    authority = url.removeprefix("http://").partition("/")[0]
    values: Mapping[str, str] = {
        "url": url,
        "host": authority,
        "port": authority.rpartition(":")[2],
        "placeholder": placeholder or _PLACEHOLDER,
    }
    unknown = [name for name in _FIELD.findall(template) if name not in values]
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in values)
        raise ValueError(f"{{{unknown[0]}}} is no field: there are {known}")
    return _FIELD.sub(lambda field: values[field[1]], template)


def placeholder(config: Config) -> str | None:
    """Return the placeholder that the first preset's clients expect; None where none has one of its own."""
    known = (PLACEHOLDERS.get(credential.preset or "") for credential in config.credentials)
    return next((found for found in known if found), None)


def _prefix(route: RouteConfig) -> str:
    """Return what a client's base URL needs so that its paths arrive as the upstream knows them."""
    return route.path.rstrip("/") if route.strip_prefix else ""
