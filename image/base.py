"""A base image made on the spot from Debian's packages, for machines that reach no image registry.

What the Dockerfile asks of its base, and no more: glibc, Python 3.13 with pip, certificates. Kept in `.image/`, since
it takes minutes where the mirror is slow; `make clean` forgets it.
"""

from __future__ import annotations

import os
import subprocess
import sys

from image import engine

SUITE = "trixie"
NAME = f"localhost/credential-sidecar-base:{SUITE}"
PACKAGES = ("ca-certificates", "libpython3.13-stdlib", "python3-pip", "python3.13")
_ARCHIVE = engine.HOME / f"base-{SUITE}.tar"
# Where MIRROR names no other.
_MIRROR = "http://deb.debian.org/debian"
_TIMEOUT_S = 1800


def ensure() -> str:
    """Make the base unless it is there; return its name.

    Raises:
        subprocess.CalledProcessError: the packages cannot be had; mmdebstrap has said why.
        EngineError: buildah failed.
    """
    if engine.has_image(NAME):
        return NAME
    if not _ARCHIVE.exists():
        _bootstrap()
    container = engine.call([*engine.buildah_command(), "from", "scratch"]).strip()
    try:
        engine.call([*engine.buildah_command(), "add", container, _ARCHIVE, "/"])
        engine.call([*engine.buildah_command(), "commit", "--format", "docker", container, NAME])
    finally:
        engine.call([*engine.buildah_command(), "rm", container])
    return NAME


def _bootstrap() -> None:
    mirror = os.environ.get("MIRROR", _MIRROR)
    print(f"image: making a base of Debian {SUITE} from {mirror}", file=sys.stderr)
    engine.HOME.mkdir(exist_ok=True)
    partial = _ARCHIVE.with_suffix(".partial.tar")
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    command += [SUITE, str(partial), mirror]
    subprocess.run(command, stdin=subprocess.DEVNULL, timeout=_TIMEOUT_S, check=True)
    partial.rename(_ARCHIVE)
