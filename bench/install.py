"""Installs the Debian packages that the benchmark needs: `python -m bench.install`.

Does nothing where they are there; where it may not install, it says what is missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

PACKAGES = ("nginx", "haproxy", "wrk", "openssl")  # each holds the program of that name


def main() -> int:
    """Install what is missing; returns the exit code."""
    absent = [name for name in PACKAGES if shutil.which(name) is None]
    if not absent:
        return 0
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"bench: please install: {' '.join(absent)}", file=sys.stderr)
        return 2
    print(f"bench: installing {' '.join(absent)}", file=sys.stderr)
    # RUNLEVEL=1 keeps a package from starting its service: only the programs are wanted.
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *absent]):
        subprocess.run(["apt-get", "--quiet", "--quiet", *arguments], env=environment, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
