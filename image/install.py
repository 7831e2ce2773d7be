"""Installs what builds and runs the image, where it is missing: Debian's packages, as root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

# Each holds the program of that name. runc, since crun refuses machines with both kinds of control groups;
# catatonit is what holds a pod's network.
PACKAGES = ("buildah", "catatonit", "mmdebstrap", "podman", "runc")
_FOLDERS = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def missing() -> list[str]:
    """Return the packages whose programs are not there."""
    return [name for name in PACKAGES if shutil.which(name, path=_FOLDERS) is None]


def install() -> bool:
    """Install what is missing; return whether all is there now."""
    absent = missing()
    if not absent:
        return True
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"image: please install: {' '.join(absent)} (without root and apt-get, this cannot)", file=sys.stderr)
        return False
    print(f"image: installing {' '.join(absent)}", file=sys.stderr)
    # RUNLEVEL=1 keeps a package from starting its service: only the programs are wanted.
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *absent]):
        subprocess.run(["apt-get", "--quiet", "--quiet", *arguments], env=environment, check=True)
    return not missing()
