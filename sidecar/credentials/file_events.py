"""What the system tells about a file (inotify on Linux), so that a new key is seen at once and not at the next poll.

Beside the poll, never instead of it: a network disk tells nothing, a limit may be reached, and a
directory far above can be renamed unseen. Whatever fails here fails once and for all, with one line
in the log, and the poll goes on. Nothing is taken from the events but that there were some.
"""

from __future__ import annotations

import asyncio
import logging
import os
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from sidecar.credentials.trail import Trail, trail_of

if TYPE_CHECKING:
    from sidecar.credentials.inotify import Inotify

# linux/inotify.h: a watch that is no more.
_IGNORED = 0x8000
_EVENT = struct.Struct("iIII")
_READ_BYTES = 16 * 1024

_log = logging.getLogger("sidecar.credential")


class FileEvents:
    """Follows one path. Made and closed in the event loop; `arm` runs in a thread, since the path's disk may hang.

    Args:
        path: the file; it need not exist yet.
        changed: called in the loop when something has happened to the file, or to what its path goes through.
    """

    def __init__(self, path: str, changed: Callable[[], None]) -> None:
        self._path = path
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        # Held while arming: the descriptor must not be closed meanwhile, and its number given to another.
        self._lock = threading.Lock()
        self._inotify: Inotify | None = None
        self._ended = False
        self._trail: Trail | None = None
        # By watch: the names in that directory that count; None: it is the file itself.
        self._names: dict[int, set[bytes] | None] = {}

    def arm(self) -> None:
        """Follow the path to where it leads now, if that is elsewhere than before."""
        with self._lock:
            if not self._ended:
                try:
                    self._arm()
                except (OSError, AttributeError) as error:
                    reason = error.strerror if isinstance(error, OSError) else "not on this system"
                    _log.info("file %s is looked at once a second alone: no events of it (%s)", self._path, reason)
                    self._ended = True
        if self._ended and self._inotify is not None:
            with suppress(RuntimeError):  # the loop has ended too
                self._loop.call_soon_threadsafe(self.close)

    def close(self) -> None:
        """Follow it no longer."""
        self._ended = True
        if self._lock.acquire(blocking=False):  # else `arm` sees to it
            try:
                if self._inotify is not None:
                    self._loop.remove_reader(self._inotify.descriptor)
                    self._inotify.close()
                    self._inotify = None
            finally:
                self._lock.release()

    def _arm(self) -> None:
        try:
            trail = trail_of(self._path)
        except OSError:
            return  # the read says what is wrong with the path
        if trail == self._trail:
            return
        try:
            from sidecar.credentials.inotify import Inotify
        except ImportError:
            return  # no descriptor is left to read the module with: the next look tries again
        if (inotify := self._inotify) is None:
            inotify = self._inotify = Inotify()
            self._loop.call_soon_threadsafe(self._listen)
        names: dict[int, set[bytes] | None] = {}
        for step in trail.steps:
            watch = inotify.watch_directory(step.directory)
            if watch is not None and (known := names.setdefault(watch, set())) is not None:
                known.add(os.fsencode(step.name))
        if trail.file is not None and (watch := inotify.watch_file(trail.file)) is not None:
            names.setdefault(watch, None)
        old, self._names, self._trail = self._names, names, trail
        for watch in old.keys() - names.keys():
            inotify.forget(watch)

    def _listen(self) -> None:
        if self._inotify is not None:
            self._loop.add_reader(self._inotify.descriptor, self._read)

    def _read(self) -> None:
        if self._inotify is None:
            return
        with suppress(BlockingIOError):
            if self._counts(os.read(self._inotify.descriptor, _READ_BYTES)):
                self._changed()

    def _counts(self, events: bytes) -> bool:
        """Return whether one of them is about what the path goes through."""
        at, counts = 0, False
        while at < len(events):
            watch, mask, _, length = _EVENT.unpack_from(events, at)
            name = events[at + _EVENT.size : at + _EVENT.size + length].rstrip(b"\0")
            at += _EVENT.size + length
            if not mask & _IGNORED:
                names = self._names.get(watch)
                counts = counts or not names or not name or name in names
            elif watch in self._names:
                self._trail = None  # to be armed anew, even where what comes there next has the same inode
        return counts
