"""Files put in their places, and nothing overwritten that nobody said to overwrite."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class File:
    """A file to be written, with its absolute path."""

    path: Path
    content: bytes


class Occupied(Exception):
    """Something is there already; `path` says where."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.path = path


def check_free(paths: Sequence[Path]) -> None:
    """Raise Occupied for the first path at which anything is."""
    for path in paths:
        if os.path.lexists(path):
            raise Occupied(path)


def put(file: File, *, over: bool) -> None:
    """Write one file, and the folders that it needs.

    Args:
        file: what to write.
        over: take the place of what is there, in one step; a symbolic link stays, and what it points at changes.

    Raises:
        Occupied: something is there, also where it came a moment ago.
        OSError: it cannot be written.
    """
    file.path.parent.mkdir(parents=True, exist_ok=True)
    if not over:
        try:
            with file.path.open("xb") as new:
                new.write(file.content)
        except FileExistsError:
            raise Occupied(file.path) from None
        return
    target = Path(os.path.realpath(file.path))
    if target.is_dir():  # said by its own name, and not by the part's
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file.path))
    part = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        part.write_bytes(file.content)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
