"""Runs the command as a user does: in a process of its own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

_TIMEOUT_S = 20


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without anything that configures a sidecar."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SIDECAR_")}
    return {**kept, "XDG_CONFIG_HOME": "/nonexistent", "COLUMNS": "80", **(extra or {})}


def sidecar(*arguments: str, environ: Mapping[str, str] | None = None) -> Ended:
    """Run `sidecar` with these arguments."""
    return python("-m", "sidecar", *arguments, environ=environ)


def python(*arguments: str, environ: Mapping[str, str] | None = None) -> Ended:
    """Run the interpreter with these arguments."""
    done = subprocess.run(
        [sys.executable, *arguments], env=environment(environ), capture_output=True, text=True, timeout=_TIMEOUT_S
    )
    return Ended(done.returncode, done.stdout, done.stderr)


async def sidecar_beside(*arguments: str, environ: Mapping[str, str] | None = None) -> Ended:
    """Run `sidecar` while the test's own loop goes on serving it."""
    return await asyncio.to_thread(lambda: sidecar(*arguments, environ=environ))
