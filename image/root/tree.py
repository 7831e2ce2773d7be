"""The root of the image while it grows: files taken from this system, at the same paths.

The rule: modes are not copied but given. One that may run is 0755, all else 0644; no bit for other users to write,
none to become another user.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

_ELF = b"\x7fELF"
_FOLDER_MODE, _PROGRAM_MODE, _FILE_MODE = 0o755, 0o755, 0o644


class Tree:
    """A folder that becomes the image's root.

    Args:
        root: an absent or empty folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._sources: set[Path] = set()
        root.mkdir(parents=True, exist_ok=True)

    def inside(self, path: Path | str) -> Path:
        """Return where an absolute path of the image is on this system."""
        return self.root / str(path).lstrip("/")

    def folders(self, names: Iterable[str]) -> None:
        """Make empty folders."""
        for name in names:
            self._folder(Path("/") / name)

    def write(self, path: str, text: str) -> None:
        """Write a file that no package of this system holds."""
        self._folder(Path(path).parent)
        self.inside(path).write_text(text)

    def put(self, path: Path) -> None:
        """Copy a file, and the links that lead to it, from this system to the same place."""
        real = self._folder(path.parent) / path.name
        target = self.inside(real)
        if target.is_symlink() or target.exists():
            return
        if real.is_symlink():
            target.symlink_to(os.readlink(real))
            self.put(real.parent / os.readlink(real))
            return
        self._sources.add(real)
        shutil.copyfile(real, target)
        # Only whether it may run is taken over.
        target.chmod(_PROGRAM_MODE if real.stat().st_mode & stat.S_IXUSR else _FILE_MODE)

    def put_all(self, folder: Path, unwanted: Callable[[Path], bool]) -> None:
        """Copy a folder.

        Args:
            folder: an absolute path.
            unwanted: whether a file or folder is left out; `__pycache__` always is.
        """
        for entry in sorted(folder.iterdir()):
            if entry.name == "__pycache__" or unwanted(entry):
                continue
            if entry.is_dir():
                self._folder(entry)
                self.put_all(entry, unwanted)
            else:
                self.put(entry)

    def files(self) -> Iterator[Path]:
        """Return every regular file that is there so far, by its path on this system."""
        for folder, _, names in os.walk(self.root):
            paths = (Path(folder) / name for name in sorted(names))
            yield from (path for path in paths if not path.is_symlink())

    def binaries(self) -> list[Path]:
        """Return the programs and shared libraries so far."""
        return [path for path in self.files() if _starts_with(path, _ELF)]

    def sources(self) -> frozenset[Path]:
        """Return the real paths, on this system, of all that was copied."""
        return frozenset(self._sources)

    def index_libraries(self) -> None:
        """Write the dynamic linker's cache: a Python under /usr/local finds its own library by nothing else."""
        for settings in (Path("/etc/ld.so.conf"), *sorted(Path("/etc/ld.so.conf.d").glob("*.conf"))):
            self._folder(settings.parent)
            shutil.copyfile(settings, self.inside(settings))
        subprocess.run(["ldconfig", "-X", "-r", str(self.root)], check=True)
        shutil.rmtree(self.inside("/var/cache/ldconfig"), ignore_errors=True)

    def settle(self, epoch_s: int) -> None:
        """Give every file its final mode and time: two builds of the same make the same layer."""
        for path in [self.root, *self.root.rglob("*")]:
            if path.is_symlink():
                pass
            elif path.is_dir():
                path.chmod(_FOLDER_MODE)
            else:
                path.chmod(_PROGRAM_MODE if _is_program(path) else _FILE_MODE)
            os.utime(path, (epoch_s, epoch_s), follow_symlinks=False)

    def size_bytes(self) -> int:
        """Return the size of all files."""
        return sum(path.stat().st_size for path in self.files())

    def _folder(self, path: Path) -> Path:
        """Make the folder, and the links on the way to it; return its real path."""
        real = Path("/")
        for part in path.parts[1:]:
            # /lib and /lib64 are links into /usr where Debian has merged them.
            if (real / part).is_symlink():
                self._link(real / part)
                real = (real / part).resolve()
                self.inside(real).mkdir(parents=True, exist_ok=True)
            else:
                real /= part
                self.inside(real).mkdir(exist_ok=True)
        return real

    def _link(self, path: Path) -> None:
        target = self.inside(path)
        if not target.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(os.readlink(path))


def _is_program(path: Path) -> bool:
    """Return whether something runs it: the kernel (what has an interpreter line or is the linker), or a person."""
    if path.suffix == ".py" or (".so" in path.name and not path.name.startswith("ld-linux")):
        return False
    return bool(path.stat().st_mode & stat.S_IXUSR)


def _starts_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic
