"""One server process of the tests: started, polled until ready, stopped by its own pid."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

READY_WITHIN_S = 30.0
STOP_WITHIN_S = 10.0
POLL_S = 0.02
ANSWER_WITHIN_S = 10.0


def accepts(port: int) -> bool:
    """Return whether something on this machine accepts connections on the port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def answers(url: str) -> bool:
    """Return whether a GET of the URL is answered 200."""
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_WITHIN_S) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


class ServerProcess:
    """A program that serves until it is stopped; a context manager, and startable again after a stop.

    Args:
        command: the program and its arguments.
        directory: where it runs and where its output goes, into `output.log`.
        ready: whether it serves; polled after the start.
        environment: variables added to ours.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        directory: Path,
        ready: Callable[[], bool],
        environment: dict[str, str] | None = None,
    ) -> None:
        self.command = command
        self.directory = directory
        self.output_file = directory / "output.log"
        self._ready = ready
        self._environment = os.environ | (environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and return once it serves.

        Raises:
            RuntimeError: it ended, or is not ready within 30 s; holds the end of its output.
        """
        assert self._process is None, "already started"
        with self.output_file.open("ab") as output:
            self._process = subprocess.Popen(
                self.command,
                cwd=self.directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + READY_WITHIN_S
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{self.command[0]} did not start:\n{self.output()[-2000:]}")
            time.sleep(POLL_S)

    def stop(self) -> None:
        """End it, by force where it does not end by itself; nothing where it is stopped."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def restart(self) -> None:
        """Stop and start it, on the same address."""
        self.stop()
        self.start()

    def output(self) -> str:
        """Return what it has printed so far."""
        return self.output_file.read_text(errors="replace") if self.output_file.exists() else ""

    @property
    def pid(self) -> int:
        """The process id while it runs."""
        assert self._process is not None, "not started"
        return self._process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
