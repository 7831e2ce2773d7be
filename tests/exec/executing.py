"""`sidecar exec` as its users run it: a file, a pretend vendor, and a command; without a terminal or at one."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from sidecar.vendor.server import DEMO_KEY, Vendor
from tests.cli.command import environment
from tests.main_job.vendors import vendor

ENVIRON: Mapping[str, str] = {"GIANTCONTEXT_API_KEY": DEMO_KEY}
PATIENCE_S = 15.0
# A process of ours takes half a second: what another test holds in part is left to `make long`.
long_only = pytest.mark.skipif(not os.environ.get("SIDECAR_LONG"), reason="a second look (SIDECAR_LONG=1)")


def configuration(url: str, **keys: Any) -> dict[str, Any]:
    """Return a short form whose token endpoint and API are at this URL.

    It listens where nobody may: what runs a command listens elsewhere.
    """
    exchange = {"url": f"{url}/auth/token"}
    credential = {"preset": "giantcontext", "api_key": {"env": "GIANTCONTEXT_API_KEY"}, "exchange": exchange}
    taken = {"listen": "127.0.0.1:1", "admin": {"listen": "127.0.0.1:2"}}
    return {**taken, "upstream": url, "credential": credential, **keys}


def written(folder: Path, content: object, name: str = "config.yaml") -> Path:
    """Return a file with this configuration."""
    file = folder / name
    file.write_text(json.dumps(content))
    return file


@asynccontextmanager
async def configured(folder: Path, **keys: Any) -> AsyncIterator[tuple[Path, Vendor]]:
    """Run a pretend vendor; yield a file that points at it, and the vendor."""
    async with vendor() as server:
        yield written(folder, configuration(server.url, **keys)), server


def command_line(file: Path, *words: str, flags: tuple[str, ...] = ()) -> list[str]:
    """Return the words of `sidecar exec`, with a command."""
    return [sys.executable, "-m", "sidecar", "exec", "-c", str(file), *flags, "--", *words]


@contextmanager
def started(
    words: list[str], environ: Mapping[str, str] = ENVIRON, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run it until the block ends."""
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process: subprocess.Popen[bytes] = subprocess.Popen(words, env=environment(environ), **(pipes | options))
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


class Terminal:
    """A terminal, and a program that runs at it in a session of its own.

    Args:
        words: the program and its arguments.
    """

    def __init__(self, words: list[str], environ: Mapping[str, str] = ENVIRON) -> None:
        self._ours, theirs = pty.openpty()
        os.set_blocking(self._ours, False)
        # What a terminal's emulator does for its shell.
        taking = "import fcntl,os,sys,termios;os.setsid();fcntl.ioctl(0,termios.TIOCSCTTY,0)"
        line = [sys.executable, "-c", f"{taking};os.execvp(sys.argv[1],sys.argv[1:])", *words]
        self._process = subprocess.Popen(
            line, stdin=theirs, stdout=theirs, stderr=theirs, env=environment(environ), close_fds=True
        )
        os.close(theirs)
        self.shown = ""

    @property
    def pid(self) -> int:
        """The program's process id."""
        return self._process.pid

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self._ours, text.encode())

    async def shows(self, text: str) -> None:
        """Wait until it has shown this, and take all up to there away."""
        async with asyncio.timeout(PATIENCE_S):
            while text not in self.shown:
                self._read()
                await asyncio.sleep(0.01)
        self.shown = self.shown.partition(text)[2]

    async def ended(self) -> int:
        """Wait for the end of the program; return its exit code."""
        async with asyncio.timeout(PATIENCE_S):
            while self._process.poll() is None:
                self._read()
                await asyncio.sleep(0.01)
        self._read()
        return self._process.returncode

    def _read(self) -> None:
        try:
            self.shown += os.read(self._ours, 65536).decode()
        except (BlockingIOError, OSError):
            return  # nothing yet, or nothing any more

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._ours)


async def done(words: list[str], environ: Mapping[str, str] = ENVIRON, **options: Any) -> tuple[int, str, str]:
    """Run it to its end, while the test's own loop goes on; return its code and what it wrote to both outputs."""

    def run() -> tuple[int, str, str]:
        with started(words, environ, **options) as process:
            out, err = process.communicate(timeout=PATIENCE_S)
            return process.returncode, (out or b"").decode(), (err or b"").decode()

    return await asyncio.to_thread(run)
