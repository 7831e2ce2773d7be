"""Every name in every directory that decides what a path leads to.

Whoever has these told, and the file itself, misses no way in which the path can come to mean something
else: a rename over the file, a link that is swapped, a directory that is replaced or made.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

# As many as Linux follows.
_MOST_LINKS = 40


@dataclass(frozen=True, slots=True)
class Step:
    """A name that was looked up in a directory, which `device` and `inode` tell from others of its path."""

    directory: str
    name: str
    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class Trail:
    """The steps that count, and where they end: the file's real path, None where something is missing."""

    steps: tuple[Step, ...]
    file: str | None
    file_inode: int = 0


def trail_of(path: str) -> Trail:
    """Return where a path leads now: each link on the way, and the last name or the first that is missing.

    A directory that is passed through by its own name is left out: once it is moved or removed, it tells so itself.

    Raises:
        OSError: the path cannot be followed, as where its links go round in a circle.
    """
    directory, links = "/", 0
    steps: list[Step] = []
    names = _names(os.path.abspath(path))
    while names:
        name = names.pop()
        if name == "..":
            directory = os.path.dirname(directory)
            continue
        here = os.path.join(directory, name)
        try:
            status = os.lstat(here)
        except (FileNotFoundError, NotADirectoryError):
            return Trail((*steps, _step(directory, name)), None)
        if stat.S_ISLNK(status.st_mode):
            steps.append(_step(directory, name))
            target = os.readlink(here)
            directory = "/" if target.startswith("/") else directory
            names += _names(target)
            links += 1
            if links > _MOST_LINKS:
                raise OSError("too many links")
        elif names:
            directory = here
        else:
            return Trail((*steps, _step(directory, name)), here, status.st_ino)
    return Trail(tuple(steps), None)


def _names(path: str) -> list[str]:
    """Return the names of a path, the last one first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _step(directory: str, name: str) -> Step:
    status = os.stat(directory)
    return Step(directory, name, status.st_dev, status.st_ino)
