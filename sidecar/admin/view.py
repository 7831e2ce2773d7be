"""What the admin listener needs to know of the process and may ask of it; `app.py` provides it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from sidecar.credentials.status import CredentialStatus
from sidecar.stats import Stats
from sidecar.troubles import Troubles


@dataclass(frozen=True, slots=True)
class RouteView:
    """A route as people see it.

    `upstream` is the URL; `credential` is None where none is put on. `held_down_for_s` is how long
    rejections on it will still cause no exchange, 0.0 where they do.
    """

    name: str
    path: str
    host: str | None
    upstream: str
    credential: str | None
    held_down_for_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Reload:
    """The last time the configuration was read again. `at` is wall-clock seconds; `error` is "" where it was taken."""

    at: float
    error: str = ""


class Setting(NamedTuple):
    """One key of the configuration as it is in use.

    `value` holds no secret; `origin` is the file with its line, the flag, the environment variable, the preset, or
    "default". `credential` is the name of the credential whose API key this is, else "".
    """

    key: str
    value: str
    origin: str
    credential: str = ""


class View(Protocol):
    """The process, seen from the admin listener."""

    @property
    def stats(self) -> Stats:
        """What is counted."""
        ...

    @property
    def troubles(self) -> Troubles:
        """The requests that were refused or failed."""
        ...

    @property
    def version(self) -> str:
        """The sidecar's version."""
        ...

    @property
    def config_source(self) -> str:
        """The configuration file's path, or "" where there is none."""
        ...

    @property
    def started_at(self) -> float:
        """When the process started, in wall-clock seconds."""
        ...

    @property
    def draining(self) -> bool:
        """Whether it has been told to stop."""
        ...

    @property
    def listeners(self) -> Sequence[str]:
        """The addresses that apps connect to."""
        ...

    @property
    def client_environment(self) -> Mapping[str, str]:
        """The variables that point a program at it, none of them a secret; none where it has no base URL."""
        ...

    @property
    def routes(self) -> Sequence[RouteView]:
        """The routes, in the order of the configuration."""
        ...

    @property
    def last_reload(self) -> Reload | None:
        """The last reload, or None where there was none."""
        ...

    def settings(self) -> Sequence[Setting]:
        """Return the configuration in use, key by key. It takes a millisecond: ask when it may have changed."""
        ...

    def credentials(self) -> Sequence[CredentialStatus]:
        """Return a snapshot of every credential."""
        ...

    async def refresh(self, credential: str | None) -> None:
        """Make one exchange for this credential, or one for each, and wait until all have succeeded or failed.

        Raises:
            CredentialError: one brought no token.
        """
        ...

    async def reload(self) -> None:
        """Read the configuration again and serve by it.

        Raises:
            ConfigError: it is wrong; the old one stays.
            StartError: something in it cannot be had, such as an address; the old one stays.
            NothingToReload: there is none to read.
        """
        ...

    def quit(self) -> None:
        """Begin to stop."""
        ...
