"""What `sidecar init` is going to write: from choices, or from a configuration that is there, to files.

The rule: whatever is written passes `sidecar check`, because it was read as that does before it was written.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sidecar.config import load
from sidecar.config.schema import schema
from sidecar.errors import ConfigError
from sidecar.scaffold import compose, kubernetes, launchd, systemd
from sidecar.scaffold.choices import Choices
from sidecar.scaffold.config_file import config_text
from sidecar.scaffold.placing import File
from sidecar.scaffold.service import Service, service_of

Kind = Literal["systemd", "launchd", "compose", "k8s"]
KINDS: tuple[Kind, ...] = ("systemd", "launchd", "compose", "k8s")
SCHEMA_NAME = "config.schema.json"


class Unsuitable(Exception):
    """This cannot be written; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Home:
    """Where files go, and whose they are: the user's folder, the configuration folder, the working folder."""

    user: Path
    config: Path
    working: Path
    uid: int
    gid: int


def home_of(environ: Mapping[str, str]) -> Home:
    """Return where this user's files go."""
    user = Path(environ.get("HOME") or "/")
    given = environ.get("XDG_CONFIG_HOME", "")
    config = Path(given) if os.path.isabs(given) else user / ".config"
    uid, gid = (os.getuid(), os.getgid()) if hasattr(os, "getuid") else (65532, 65532)
    return Home(user, config, Path.cwd(), uid, gid)


def paths_of(kind: Kind, home: Home) -> list[Path]:
    """Return where the files of one kind go."""
    units = home.config / "systemd" / "user"
    match kind:
        case "systemd":
            return [units / systemd.SERVICE_NAME, units / systemd.SOCKET_NAME]
        case "launchd":
            return [home.user / "Library" / "LaunchAgents" / launchd.FILE_NAME]
        case "compose":
            return [home.working / compose.FILE_NAME]
        case "k8s":
            return [home.working / kubernetes.FILE_NAME]


def new_service(choices: Choices, path: Path, environ: Mapping[str, str]) -> Service:
    """Return what a configuration by these choices would be at this path.

    Raises:
        ConfigError: a choice is wrong; nothing is to be written.
    """
    text = config_text(choices)
    if choices.key.kind == "env":  # which need not be there yet
        environ = {choices.key.name: "not-the-key", **environ}
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / path.name
        part.write_text(text, encoding="utf-8")
        try:
            service = _read(part, environ)
        except ConfigError as error:
            raise ConfigError([replace(each, where=str(path)) for each in error.mistakes]) from None
    beside = path.parent / service.key_file.name if service.key_file and not service.key_is_there else service.key_file
    return replace(service, config=path, key_file=beside)


def kept_service(path: Path, environ: Mapping[str, str]) -> Service:
    """Return what a configuration that is there says.

    Raises:
        ConfigError: it is wrong.
    """
    return _read(path, environ)


def config_files(service: Service) -> list[File]:
    """Return the configuration, and beside it the schema that its first line names."""
    described = json.dumps(schema(), indent=2) + "\n"
    return [
        File(service.config, service.text.encode()),
        File(service.config.with_name(SCHEMA_NAME), described.encode()),
    ]


def is_older_schema(path: Path) -> bool:
    """Whether what is there is a schema that this program has written, which loses nothing by being renewed."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("title") == schema()["title"]


def service_files(kind: Kind, service: Service, home: Home) -> list[File]:
    """Return what starts a sidecar in one of its homes.

    Raises:
        Unsuitable: this configuration cannot be started so.
    """
    return [File(path, text) for path, text in zip(paths_of(kind, home), _texts(kind, service, home), strict=True)]


def _texts(kind: Kind, service: Service, home: Home) -> Iterable[bytes]:
    if kind == "systemd":
        return [systemd.service_unit(service).encode(), systemd.socket_unit(service).encode()]
    if kind == "launchd":
        return [launchd.agent(service, home.user)]
    if not service.one_key:
        raise Unsuitable(f"--{kind} takes a configuration of one upstream; {service.config} has several")
    if not service.base_url:
        raise Unsuitable(f"--{kind} needs a TCP address in `listen`, such as 127.0.0.1:8080")
    key_file = str(container_key_file(service))
    if kind == "compose":
        return [compose.compose_file(service, key_file, home.uid, home.gid).encode()]
    return [kubernetes.manifest(service, key_file).encode()]


def container_key_file(service: Service) -> Path:
    """Return the file of the key for a container, which has no keyring and no variable of ours."""
    return service.key_file or service.config.with_name("api-key")


def _read(path: Path, environ: Mapping[str, str]) -> Service:
    config = load(path=str(path), flags={}, environ=environ)
    return service_of(config, path, path.read_text(encoding="utf-8"), environ)
