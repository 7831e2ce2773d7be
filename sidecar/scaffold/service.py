"""What the files that start a sidecar are written from: its configuration, its addresses, its key, its command."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sidecar.config import Config, load
from sidecar.errors import ConfigError
from sidecar.scaffold.choices import KEY_FILE_NAME


@dataclass(frozen=True, slots=True)
class Service:
    """A configuration that is there, or about to be.

    `config` is its absolute path, `text` what it holds, `listen` the addresses for apps. `key_file` is the file
    that holds the API key, or will, and None where it is asked for elsewhere, as in a keyring.
    `key_is_there` says whether the configuration names that file itself; `one_key` whether SIDECAR_API_KEY_FILE
    may name another, which only the short form allows.
    """

    config: Path
    text: str
    listen: tuple[str, ...]
    admin_listen: str
    command: tuple[str, ...]
    key_file: Path | None
    key_is_there: bool
    one_key: bool

    @property
    def base_url(self) -> str:
        """Where an app in the same network namespace connects."""
        tcp = [address for address in self.listen if not address.startswith("unix:")]
        return f"http://{tcp[0]}" if tcp else ""


def service_of(config: Config, path: Path, text: str, environ: Mapping[str, str]) -> Service:
    """Return what a configuration that was read says to those who start it.

    Args:
        config: the configuration.
        path: its file, absolute.
        text: what the file holds.
        environ: the environment.
    """
    kinds = {credential.api_key.kind: credential.api_key.name for credential in config.credentials}
    one_key = _is_short(path, environ)
    beside = path.parent / KEY_FILE_NAME if one_key and "env" in kinds else None
    return Service(
        config=path,
        text=text,
        listen=tuple(map(str, config.listen)),
        admin_listen=str(config.admin.listen),
        command=command(),
        key_file=Path(kinds["file"]) if one_key and "file" in kinds else beside,
        key_is_there="file" in kinds,
        one_key=one_key,
    )


def command() -> tuple[str, ...]:
    """Return what runs this program: its script where there is one beside the interpreter, else the interpreter."""
    script = Path(sys.executable).parent / "sidecar"
    return (str(script),) if os.access(script, os.X_OK) else (sys.executable, "-m", "sidecar")


def _is_short(path: Path, environ: Mapping[str, str]) -> bool:
    """Whether it takes a key from the outside, as the short form does."""
    try:
        load(path=str(path), flags={"api_key_file": KEY_FILE_NAME}, environ=environ)
    except ConfigError:
        return False
    return True
