"""Linux's inotify: the three calls, by the C library that the process has anyway.

Imported only where a file is followed, and in a thread: ctypes costs 3 ms.
"""

from __future__ import annotations

import ctypes
import errno
import os

# linux/inotify.h
MODIFY, ATTRIB, CLOSE_WRITE = 0x2, 0x4, 0x8
MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x40, 0x80, 0x100, 0x200
DELETE_SELF, MOVE_SELF = 0x400, 0x800

_OF_DIRECTORIES = MOVED_FROM | MOVED_TO | CREATE | DELETE | DELETE_SELF | MOVE_SELF
_OF_FILES = MODIFY | ATTRIB | CLOSE_WRITE | DELETE_SELF | MOVE_SELF


class Inotify:
    """One queue of events.

    Raises:
        OSError: there are no more for this user, or no descriptor is left.
        AttributeError: this system has none.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.descriptor = _checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def watch_directory(self, path: str) -> int | None:
        """Have it told what comes, goes and is replaced in a directory; return the watch. See `watch_file`."""
        return self._watch(path, _OF_DIRECTORIES)

    def watch_file(self, path: str) -> int | None:
        """Have it told what happens to a file's content, mode and links; return the watch.

        Returns:
            The same number for what is watched already; None where it has just gone, or is not ours to watch.

        Raises:
            OSError: there may be no more watches for this user.
        """
        return self._watch(path, _OF_FILES)

    def forget(self, watch: int) -> None:
        """Have nothing more told of it; it may be gone already."""
        self._libc.inotify_rm_watch(self.descriptor, watch)

    def close(self) -> None:
        """Let go of the descriptor."""
        os.close(self.descriptor)

    def _watch(self, path: str, mask: int) -> int | None:
        try:
            return _checked(self._libc.inotify_add_watch(self.descriptor, os.fsencode(path), mask))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
                return None
            raise


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
