"""buildah and podman, with a storage of their own: nothing of the machine's images and containers is seen or touched.

The rule: whatever is started here runs by runc and with limits that are given, since the defaults of Debian's podman
fail on machines with both kinds of control groups.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
HOME = PROJECT / ".image"
SETTINGS = HOME / "containers.conf"
TIMEOUT_S = 900
_SETTINGS = """\
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=1000:1000"]
"""


class EngineError(RuntimeError):
    """buildah or podman failed; the message ends with what it printed."""


def storage_flags() -> list[str]:
    """Return the flags, the same for both, that keep to our own storage."""
    driver = _driver()
    flags = ["--root", str(HOME / "storage"), "--runroot", str(HOME / "run"), "--storage-driver", driver]
    # Else the storage is mounted onto itself, for ever, and cannot be deleted.
    return [*flags, "--storage-opt", "overlay.skip_mount_home=true"] if driver == "overlay" else flags


def podman_command() -> list[str]:
    """Return the beginning of every podman command."""
    return ["podman", *storage_flags(), "--tmpdir", str(HOME / "tmp")]


def buildah_command() -> list[str]:
    """Return the beginning of every buildah command."""
    return ["buildah", *storage_flags()]


def environment() -> Mapping[str, str]:
    """Return the environment for either, with our settings; they are written here."""
    HOME.mkdir(exist_ok=True)
    if not SETTINGS.exists():
        SETTINGS.write_text(_SETTINGS)
    # chroot: a build's commands need no namespaces, which a machine without an engine often cannot give.
    return os.environ | {"CONTAINERS_CONF": str(SETTINGS), "BUILDAH_ISOLATION": "chroot"}


def call(command: Sequence[str | Path], *, timeout_s: float = TIMEOUT_S, given: str | None = None) -> str:
    """Run a command to its end and return what it printed on standard output.

    Args:
        command: of one of the two programs.
        timeout_s: the longest that it may take.
        given: its standard input.

    Raises:
        EngineError: it failed.
    """
    result = subprocess.run(
        list(map(str, command)),
        env=environment(),
        input=given or "",
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    if result.returncode:
        said = f"{result.stdout[-2000:]}\n{result.stderr[-4000:]}".strip()
        raise EngineError(f"{' '.join(map(str, command))} failed with {result.returncode}:\n{said}")
    return result.stdout


def has_image(name: str) -> bool:
    """Return whether our storage holds an image of this name."""
    try:
        call([*buildah_command(), "inspect", "--type", "image", name])
    except EngineError:
        return False
    return True


def _driver() -> str:
    """Return overlay, or where the machine's kernel has none, vfs, which copies and is slow."""
    chosen = os.environ.get("STORAGE_DRIVER")
    return chosen or ("overlay" if "\toverlay\n" in Path("/proc/filesystems").read_text() else "vfs")
