"""Where an API key comes from, and whether it has changed there.

A source reads a key and refuses what cannot be one; it sends nothing and decides
nothing. Every error's text names the source and never what it holds.

Content decides whether a key has changed, not a file's time or inode: that holds
for an atomic rename, for the `..data` link that Kubernetes swaps, and for a file
written in place.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from sidecar.credentials.token import is_visible
from sidecar.errors import KeyUnavailable
from sidecar.secret import Secret

MOST_KEY_BYTES = 64 * 1024
# A local read takes far less. One that does not end must hold up neither renewals nor the next requests' look-ups.
PATIENCE_S = 0.1
_BOM = b"\xef\xbb\xbf"
_ROUND_IT_BYTES = len(_BOM + b"\r\n")
# From what a source holds, and its description for errors, to the key; raises KeyUnavailable.
Clean = Callable[[bytes, str], Secret]


class KeySource(Protocol):
    """Where a key comes from.

    `kind` is "env", "file" or "value"; `description` completes "the API key from ...";
    `watched` is whether the key can change while the process runs.
    """

    @property
    def kind(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def watched(self) -> bool: ...

    async def read(self) -> Secret:
        """Return the key as it is now.

        Raises:
            KeyUnavailable: the source cannot be read, or what it holds cannot be a key.
        """
        ...


class EnvironmentKey:
    """A key in an environment variable.

    Args:
        name: the variable's name.
        environ: the environment, as `os.environ`.
        clean: what a key is, where that is not visible ASCII.
    """

    kind = "env"
    watched = False

    def __init__(self, name: str, environ: Mapping[str, str], clean: Clean | None = None) -> None:
        self._clean = clean or clean_key
        self.description = f"environment variable {name}"
        self._name = name
        self._environ = environ

    async def read(self) -> Secret:
        """Return the key. Raises KeyUnavailable where the variable is not set or holds no key."""
        value = self._environ.get(self._name)
        if value is None:
            raise KeyUnavailable(f"{self.description} is not set")
        return self._clean(os.fsencode(value), self.description)


class LiteralKey:
    """A key that stands in the configuration itself.

    Args:
        secret: the key.
        clean: what a key is, where that is not visible ASCII.
    """

    kind = "value"
    watched = False
    description = "the configuration"

    def __init__(self, secret: Secret, clean: Clean | None = None) -> None:
        self._clean = clean or clean_key
        self._secret = secret

    async def read(self) -> Secret:
        """Return the key. Raises KeyUnavailable where it cannot be one."""
        return self._clean(self._secret.reveal(), self.description)


class FileKey:
    """A key in a file, read anew each time.

    Args:
        path: the file; a relative one starts at the working directory.
        clean: what a key is, where that is not visible ASCII.
    """

    kind = "file"
    watched = True

    def __init__(self, path: str | Path, clean: Clean | None = None) -> None:
        self._clean = clean or clean_key
        self.description = f"file {path}"
        self._path = path
        self._mode = 0

    @property
    def advice(self) -> str | None:
        """What a person might mend, as of the last read: others on the machine can read the file. None: nothing."""
        if not self._mode & (stat.S_IRGRP | stat.S_IROTH):
            return None
        return f"{self.description} can be read by others on this machine (mode {self._mode:04o}); 0600 is enough"

    async def read(self) -> Secret:
        """Return the key. Raises KeyUnavailable where the file cannot be read or holds no key."""
        # In a thread: the file may lie on a network disk that hangs.
        try:
            content = await asyncio.to_thread(self._read)
        except RuntimeError:
            # The machine allows no more threads for now.
            raise KeyUnavailable(f"{self.description} cannot be read: no thread to read it in") from None
        return self._clean(content, self.description)

    def _read(self) -> bytes:
        try:
            with open(self._path, "rb", opener=_open_at_once) as file:
                mode = os.fstat(file.fileno()).st_mode
                if not stat.S_ISREG(mode):
                    raise KeyUnavailable(f"{self.description} is not a regular file")
                self._mode = stat.S_IMODE(mode)
                return file.read(MOST_KEY_BYTES + _ROUND_IT_BYTES + 1)
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else None
            raise KeyUnavailable(f"{self.description} cannot be read: {reason or 'not a path'}") from None


class KeyWatch:
    """Tells when the key at a source has changed and settled.

    A file that is being written is seen half-written by one read and whole by a later one. So a
    new key counts once two polls in a row have read the same; it is for the caller to leave
    a second or more between polls. A read that hangs is waited for over many polls: there is
    never more than one, or they would take all the threads there are.

    Args:
        source: where the key comes from.
    """

    def __init__(self, source: KeySource) -> None:
        self._source = source
        self._candidate: Secret | None = None
        self._reading: asyncio.Task[Secret] | None = None
        self.problem: str | None = None

    @property
    def is_settling(self) -> bool:
        """Whether the last poll has read a new key, so that the next one may return it."""
        return self._candidate is not None

    async def poll(self, known: Secret | None) -> Secret | None:
        """Return the new key when it has changed and settled; else None, within `PATIENCE_S`.

        A source that cannot be read is no change; `problem` then says why, until a read succeeds.

        Args:
            known: the key in use, or None where there is none yet.
        """
        before, self._candidate = self._candidate, None
        if self._reading is None:
            self._reading = asyncio.create_task(self._source.read())
        await asyncio.wait([self._reading], timeout=PATIENCE_S)
        if not self._reading.done():
            self.problem = f"{self._source.description} cannot be read: it does not answer"
            return None
        reading, self._reading = self._reading, None
        try:
            key = reading.result()
        except KeyUnavailable as exc:
            self.problem = str(exc)
            return None
        self.problem = None
        if key == known:
            return None
        if key == before:
            return key
        self._candidate = key
        return None

    def close(self) -> None:
        """Give up a read that has not ended."""
        if self._reading is not None and not self._reading.cancel() and not self._reading.cancelled():
            self._reading.exception()  # read in vain; a task that nobody asks would complain


def _open_at_once(path: str, flags: int) -> int:
    # Opening a pipe would otherwise wait for its writer.
    return os.open(path, flags | os.O_NONBLOCK)


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
