"""The shared libraries that programs and extension modules need of this system."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

# `libz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x...)`, or the linker itself: `/lib64/ld-linux-x86-64.so.2 (0x...)`
_FOUND = re.compile(r"^\t(?:\S+ => )?(/\S+) \(0x", re.MULTILINE)
_MISSING = re.compile(r"^\t(\S+) => not found", re.MULTILINE)
# Opened by name: glibc asks for it when a thread ends early.
_OPENED_LATE = ("libgcc_s.so.1",)


def libraries_of(binaries: Sequence[Path]) -> list[Path]:
    """Return the libraries outside the binaries' own folders, the dynamic linker included.

    Raises:
        RuntimeError: a binary needs one that this system does not have.
    """
    result = subprocess.run(["ldd", *map(str, binaries)], capture_output=True, text=True, check=False)
    own = {path.name for path in binaries}
    missing = sorted(set(_MISSING.findall(result.stdout)) - own)
    if missing:
        raise RuntimeError(f"not on this system: {', '.join(missing)}; install them in the base image")
    found = {Path(path) for path in _FOUND.findall(result.stdout)}
    return sorted(path for path in found if path.name not in own) + [_opened_late(name) for name in _OPENED_LATE]


def _opened_late(name: str) -> Path:
    cache = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    found = re.search(rf"^\t{re.escape(name)} .* => (\S+)$", cache, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"not on this system: {name}; install it in the base image")
    return Path(found[1])
