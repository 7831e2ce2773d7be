"""This machine: which cores are used for what, and how it calls itself. Nothing here is measured."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cores:
    """One core for the proxies, one for everything else."""

    proxy: int
    rest: int


def cores() -> Cores:
    """The last and the first core that this process may use.

    Raises:
        SystemExit: there is only one, and a proxy would wait for its own clients.
    """
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise SystemExit("bench: two cores are needed: one for the proxy, one for the rest")
    return Cores(proxy=usable[-1], rest=usable[0])


def description() -> dict[str, str]:
    """What the machine says about itself."""
    return {
        "cpu": _field(Path("/proc/cpuinfo"), "model name", ":"),
        "cores": str(os.cpu_count()),
        "memory": _field(Path("/proc/meminfo"), "MemTotal", ":"),
        "system": _field(Path("/etc/os-release"), "PRETTY_NAME", "=").strip('"'),
        "kernel": platform.release(),
    }


def versions(names: Iterable[str]) -> dict[str, str]:
    """What each program prints as its version."""
    commands = {
        "sidecar": [sys.executable, "-m", "sidecar", "version"],
        "nginx": ["nginx", "-v"],
        "haproxy": ["haproxy", "-v"],
        "envoy": [envoy(), "--version"],
        "wrk": ["wrk", "-v"],
        "python": [sys.executable, "--version"],
    }
    return {name: _first_line(commands[name]) for name in (*names, "wrk", "python")}


def envoy() -> str:
    """The `envoy` command: of this virtual environment, else of the path."""
    own = Path(sys.executable).with_name("envoy")
    return str(own) if own.exists() else "envoy"


def missing(names: Iterable[str]) -> list[str]:
    """The programs that the benchmark would start and that are not installed."""
    programs = {"nginx", "openssl", "wrk", *(name for name in names if name != "sidecar")}
    return sorted(name for name in programs if shutil.which(envoy() if name == "envoy" else name) is None)


def _first_line(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    line = lines[0] if lines else "unknown"
    # A path says where this machine keeps the program, not which one it is.
    return line.removeprefix(envoy()).strip().removeprefix("version:").strip()


def _field(file: Path, name: str, separator: str) -> str:
    for line in file.read_text(encoding="utf-8").splitlines():
        key, found, value = line.partition(separator)
        if found and key.strip() == name:
            return value.strip()
    return "unknown"
