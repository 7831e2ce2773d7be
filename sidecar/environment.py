"""The environment as it was at the start, for the configuration; and taking the keys out of the one that children get.

A key in an environment variable is inherited by whatever the process starts. So, once the
configuration says which variables hold keys, they are gone from `os.environ`, and what reads
the configuration again at a reload reads this snapshot. (The kernel's own copy, which
`/proc/PID/environ` shows, stays: `hardening.py` says who can read that.)
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, MutableMapping

from sidecar.config.values import Config, KeyConfig


class Environment(Mapping[str, str]):
    """A snapshot that does not print what it holds.

    Args:
        variables: those of now.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = dict(variables)

    def __getitem__(self, name: str) -> str:
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)

    def __repr__(self) -> str:
        return f"<{len(self)} environment variables>"


def take_keys_out(config: Config, environ: MutableMapping[str, str] | None = None) -> None:
    """Remove the variables that hold an API key, or the gate's token, or part of one, by name or as `${NAME}`.

    So is a password that an exchange shows, or another field of its: whatever is never shown of the configuration.

    Args:
        environ: what children inherit; None: `os.environ`.
    """
    inherited: MutableMapping[str, str] = os.environ if environ is None else environ
    keys = _keys(config)
    literal = {os.fsdecode(key.value.reveal()) for key in keys if key.value}
    named = config.key_variables
    for name, value in tuple(inherited.items()):
        if name in named or value in literal:
            del inherited[name]


def _keys(config: Config) -> list[KeyConfig]:
    gate = config.gate.require_token
    return [*(credential.api_key for credential in config.credentials), *([gate] if gate is not None else [])]
