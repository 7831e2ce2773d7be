"""An API key in a file, read anew each time."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.credentials.aside import aside
from sidecar.credentials.keys import MOST_KEY_BYTES, ROUND_IT_BYTES, Clean, Looks, clean_key
from sidecar.errors import KeyUnavailable
from sidecar.secret import Secret

if TYPE_CHECKING:
    from sidecar.credentials.file_events import FileEvents

_EVERYBODY = stat.S_IROTH | stat.S_IWOTH
_GROUP = stat.S_IRGRP | stat.S_IWGRP
# Who owns a file whose owner is not known in this user namespace.
_NOBODY_KNOWN = 65534


class FileKey:
    """A key in a file.

    Args:
        path: the file; a relative one starts at the working directory.
        clean: what a key is, where that is not visible ASCII.
        kind: "file", or "systemd" for a credential that systemd has put there.
        description: what completes "the API key from ..."; None: the path.
    """

    watched = True
    looks = Looks(every_s=1.0, retry_s=1.0, settles=True, prompt=True)

    def __init__(
        self, path: str | Path, clean: Clean | None = None, *, kind: str = "file", description: str | None = None
    ) -> None:
        self._clean = clean or clean_key
        self.kind = kind
        self.description = description or f"file {path}"
        self._path = path
        self._status: os.stat_result | None = None
        self._mounted = False
        self._events: FileEvents | None = None

    @property
    def advice(self) -> str | None:
        """What a person might mend, as of the last read: others can read the file, or put another key into it."""
        if self._status is None or not hasattr(os, "geteuid"):  # Windows: its modes and owners say nothing
            return None
        return advice_on(self._status, self.description, mounted=self._mounted, user=os.geteuid())

    @property
    def written_at(self) -> float:
        """When it was last written, as of the last read: wall-clock seconds; 0 where its volume changes as a whole."""
        return self._status.st_mtime if self._status is not None and not self._mounted else 0.0

    def follow(self, changed: Callable[[], None]) -> None:
        """Have `changed` called in this loop when something may have happened to the file, where the system tells."""
        if self._events is None:
            try:
                from sidecar.credentials.file_events import FileEvents
            except (ImportError, OSError):
                return  # no descriptor is left to read the module with: the next look tries again

            self._events = FileEvents(os.fspath(self._path), changed)

    def close(self) -> None:
        """Follow it no longer."""
        if self._events is not None:
            self._events.close()
            self._events = None

    async def read(self) -> Secret:
        """Return the key. Raises KeyUnavailable where the file cannot be read or holds no key."""
        # In a thread: the file may lie on a network disk that hangs.
        try:
            content = await aside(self._read)
        except RuntimeError:
            # The machine allows no more threads for now.
            raise KeyUnavailable(f"{self.description} cannot be read: no thread to read it in") from None
        return self._clean(content, self.description)

    def _read(self) -> bytes:
        # Before the read, so that what happens after it is told.
        if (events := self._events) is not None:
            events.arm()
        try:
            with open(self._path, "rb", opener=_open_at_once) as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise KeyUnavailable(f"{self.description} is not a regular file")
                self._status, self._mounted = status, _is_mounted(self._path)
                return file.read(MOST_KEY_BYTES + ROUND_IT_BYTES + 1)
        except (OSError, ValueError) as exc:
            reason = exc.strerror if isinstance(exc, OSError) else None
            raise KeyUnavailable(f"{self.description} cannot be read: {reason or 'not a path'}") from None


def advice_on(status: os.stat_result, description: str, *, mounted: bool, user: int) -> str | None:
    """Return what to mend about a key file's mode or owner; None: nothing.

    A group may read what another user owns, root for one: that is how the key reaches us, as systemd's
    credentials do it. Everybody never has to.

    Of a file that Kubernetes has put there, nothing is said: which containers mount the volume says who has it, and a
    mode of 0444 is how it reaches a user that is neither root nor in the pod's `fsGroup`.

    Args:
        mounted: whether Kubernetes has put it there, in a volume that nobody writes to.
        user: our own id.
    """
    if mounted:
        return None
    mode = stat.S_IMODE(status.st_mode)
    by_group = mode & _GROUP and status.st_uid == user
    if mode & _EVERYBODY or by_group:
        return f"{description} can be read by others on this machine (mode {mode:04o}); 0600 is enough"
    if status.st_uid not in (0, user, _NOBODY_KNOWN):
        return f"{description} belongs to another user (id {status.st_uid}), who can put another key there"
    return None


def _is_mounted(path: str | Path) -> bool:
    """Whether the path leads through the link that Kubernetes swaps when a volume's content changes."""
    try:
        return "..data" in os.readlink(path).split("/")
    except OSError:
        return False


def _open_at_once(path: str, flags: int) -> int:
    # Opening a pipe would otherwise wait for its writer.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
