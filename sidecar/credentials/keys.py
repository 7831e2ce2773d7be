"""Where an API key comes from: what every source is like, what a key is, and the two sources that never change.

A source reads a key and refuses what cannot be one; it sends nothing and decides
nothing. Every error's text names the source and never what it holds.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from sidecar.credentials.token import is_visible
from sidecar.errors import KeyUnavailable
from sidecar.secret import Secret

MOST_KEY_BYTES = 64 * 1024
_BOM = b"\xef\xbb\xbf"
ROUND_IT_BYTES = len(_BOM + b"\r\n")
# From what a source holds, and its description for errors, to the key; raises KeyUnavailable.
Clean = Callable[[bytes, str], Secret]


@dataclass(frozen=True, slots=True)
class Looks:
    """How a source wants to be looked at.

    Args:
        every_s: how long a key that was read is believed; math.inf: it does not change by itself.
        retry_s: how soon to look again after a look that failed, while there is a key in use.
        settles: whether one look may see half a key, so that two in a row have to agree.
        prompt: whether a look takes no time, so that one that does is worth a word.
        asked: whether the source is asked again when its key was refused, or somebody wants a new token.
    """

    every_s: float = math.inf
    # It may ask for a fingerprint.
    retry_s: float = 60.0
    settles: bool = False
    prompt: bool = False
    asked: bool = False


class KeySource(Protocol):
    """Where a key comes from.

    `kind` is "env", "file", "systemd", "command", "keyring" or "value"; `description` completes
    "the API key from ..."; `watched` is whether the key can change while the process runs;
    `advice` is what a person might mend about it as of the last read; `written_at` is when it was
    last written, wall-clock seconds, 0.0 where that is not known.
    """

    @property
    def kind(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def watched(self) -> bool: ...

    @property
    def looks(self) -> Looks: ...

    @property
    def advice(self) -> str | None: ...

    @property
    def written_at(self) -> float: ...

    def follow(self, changed: Callable[[], None]) -> None:
        """Have `changed` called when the key may have changed, where the source can tell."""
        ...

    async def read(self) -> Secret:
        """Return the key as it is now.

        Raises:
            KeyUnavailable: the source cannot be read, or what it holds cannot be a key.
        """
        ...

    def close(self) -> None:
        """Follow it no longer."""
        ...


class Unfollowed:
    """What the sources have in common whose changes nobody tells."""

    advice: str | None = None
    written_at = 0.0

    def follow(self, changed: Callable[[], None]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class EnvironmentKey(Unfollowed):
    """A key in an environment variable.

    Args:
        name: the variable's name.
        environ: the environment, as `os.environ`.
        clean: what a key is, where that is not visible ASCII.
    """

    kind = "env"
    watched = False
    looks = Looks()

    def __init__(self, name: str, environ: Mapping[str, str], clean: Clean | None = None) -> None:
        self._clean = clean or clean_key
        self.description = f"environment variable {name}"
        self.advice = f"{self.description} can be read by whoever may inspect what starts this; a file is safer"
        self._name = name
        self._environ = environ

    async def read(self) -> Secret:
        """Return the key. Raises KeyUnavailable where the variable is not set or holds no key."""
        value = self._environ.get(self._name)
        if value is None:
            raise KeyUnavailable(f"{self.description} is not set")
        return self._clean(os.fsencode(value), self.description)


class LiteralKey(Unfollowed):
    """A key that stands in the configuration itself.

    Args:
        secret: the key.
        clean: what a key is, where that is not visible ASCII.
    """

    kind = "value"
    watched = False
    looks = Looks()
    description = "the configuration"

    def __init__(self, secret: Secret, clean: Clean | None = None) -> None:
        self._clean = clean or clean_key
        self._secret = secret

    async def read(self) -> Secret:
        """Return the key. Raises KeyUnavailable where it cannot be one."""
        return self._clean(self._secret.reveal(), self.description)


def clean_key(content: bytes, source: str) -> Secret:
    """Return the key that a source holds, without a byte order mark and one line end after it.

    Args:
        content: what the source holds.
        source: its description, for errors.

    Raises:
        KeyUnavailable: it is empty, too long, or holds something other than visible ASCII.
    """
    key = content.removeprefix(_BOM)
    key = key.removesuffix(b"\r\n") if key.endswith(b"\r\n") else key.removesuffix(b"\n")
    if not key:
        raise KeyUnavailable(f"{source} is empty")
    if len(key) > MOST_KEY_BYTES:
        raise KeyUnavailable(f"{source} holds more than {MOST_KEY_BYTES} bytes")
    if not is_visible(key):
        raise KeyUnavailable(f"{source} holds spaces, control characters or non-ASCII, which no API key has")
    return Secret(key)
