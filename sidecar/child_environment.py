"""The environment of a command that runs with a sidecar of its own: pointed at it, and without the API keys."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping

from sidecar.assembly import OWN_VARIABLES
from sidecar.client_environment import client_environment, fill, placeholder
from sidecar.config.values import Config, KeyConfig
from sidecar.no_proxy import no_proxy

# Shorter ones are only looked for as a whole value: they would be found in ordinary words.
_KEY_LEAST = 8
_KEY_FILE_MOST_BYTES = 64 * 1024


def child_environment(
    inherited: Mapping[str, str], config: Config, *, url: str, admin_url: str, templates: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables for a command.

    A variable is taken out where the configuration names it as an API key's or makes up by it what an exchange shows,
    and where a key is in its value. What the gate asks callers for stays: the command is one.

    Args:
        inherited: ours.
        config: what the sidecar serves.
        url: where, without a slash at its end.
        admin_url: where its admin listener is.
        templates: further variables.

    Raises:
        ValueError: a template has a field that there is not.
    """
    keys = [credential.api_key for credential in config.credentials]
    used = config.exchange_variables
    named = OWN_VARIABLES.union(used, (key.name for key in keys if key.kind == "env"))
    same = {inherited[name].strip() for name in used if inherited.get(name, "").strip()}
    values = [value for key in keys for value in _values(key, inherited)]
    environ = {
        name: value
        for name, value in inherited.items()
        if name not in named and value.strip() not in same and not any(_holds(value, key) for key in values)
    }
    environ |= client_environment(config, url)
    environ["SIDECAR_ADMIN_URL"] = admin_url
    environ |= {name: fill(template, url, placeholder(config)) for name, template in templates.items()}
    return environ | no_proxy(environ)


def key_files(config: Config) -> list[str]:
    """Return the files that hold API keys, the private keys of TLS, or the configuration: it may hold one."""
    keys = [credential.api_key for credential in config.credentials]
    exchanges = [credential.exchange for credential in config.credentials if credential.exchange is not None]
    tls = [*(exchange.tls for exchange in exchanges), *(route.upstream.tls for route in config.routes)]
    files = [key.name for key in keys if key.kind in ("file", "systemd")]
    files += [file for rules in tls if (file := rules.client_key_file or rules.client_cert_file)]
    return [*files, config.source] if config.source else files


def _values(key: KeyConfig, inherited: Mapping[str, str]) -> Iterator[str]:
    """Yield a key that can be had at once and without asking anybody."""
    value = ""
    if key.kind == "env":
        value = inherited.get(key.name, "")
    elif key.value is not None:
        value = os.fsdecode(key.value.reveal())
    elif key.kind in ("file", "systemd"):
        value = _content(key.name)
    if value := value.strip():
        yield value


def _content(path: str) -> str:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return ""  # reading it would take something away, or wait
        with open(path, "rb") as file:
            return os.fsdecode(file.read(_KEY_FILE_MOST_BYTES))
    except OSError:
        return ""  # its exchange has told


def _holds(value: str, key: str) -> bool:
    return value.strip() == key or (len(key) >= _KEY_LEAST and key in value)
