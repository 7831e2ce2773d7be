"""A real terminal (a pseudo-terminal of the system) with a program on it, and a person who types."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_STEERING = re.compile(r"\x1b\[[0-9;?<>=!]*[A-Za-z~]|\x1b[()][A-Z0-9]|\x1b[=>78c]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


class Terminal:
    """What a person sees of a program, and types to it."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process = process
        self._descriptor = descriptor
        self.raw = ""

    @property
    def shown(self) -> str:
        """Everything that was shown, without what steers the terminal."""
        return _STEERING.sub("", self.raw).replace("\r", "")

    def type(self, text: str) -> None:
        """Press these keys: \\n is Enter, \\t the tabulator, \\x03 Ctrl-C, \\x04 Ctrl-D."""
        os.write(self._descriptor, text.encode())

    def until(self, text: str, within_s: float = 20.0) -> str:
        """Return all that was shown, once this is in it.

        Raises:
            AssertionError: it was not, in time or until the program's end.
        """
        deadline = time.monotonic() + within_s
        while text not in self.shown:
            assert self._read(deadline - time.monotonic()), f"{text!r} is not in {self.shown!r}"
        return self.shown

    def forget(self) -> None:
        """Begin anew with what was shown."""
        self.raw = ""

    def leave(self, key: str, within_s: float = 20.0) -> int:
        """Press a key, again where it is not heard, and return the exit code of the program that it ends.

        Python's input() does not hear a Ctrl-C that comes between its prompt and its read.
        """
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            self.type(key)
            while self._read(1.0):
                pass
            with suppress(subprocess.TimeoutExpired):
                return self.process.wait(0.5)
        raise AssertionError(f"{key!r} ends nothing in {self.shown!r}")

    def end(self, within_s: float = 20.0) -> int:
        """Return the program's exit code, once it has ended."""
        deadline = time.monotonic() + within_s
        while self._read(deadline - time.monotonic()):
            pass
        return self.process.wait(max(0.1, deadline - time.monotonic()))

    def _read(self, within_s: float) -> bool:
        """Take in what is shown next; return whether anything was."""
        if within_s <= 0 or not select.select([self._descriptor], [], [], within_s)[0]:
            return False
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:  # the program has closed its side
            return False
        self.raw += data.decode(errors="replace")
        return bool(data)


@contextmanager
def terminal(
    argv: Sequence[str | Path], environ: Mapping[str, str], folder: Path | None = None, size: tuple[int, int] = (24, 80)
) -> Iterator[Terminal]:
    """Run a program on a terminal of its own, and end it with the block.

    Args:
        argv: the program and its arguments.
        environ: its environment.
        folder: its working directory.
        size: lines and columns.
    """
    import fcntl
    import termios

    ours, theirs = os.openpty()
    termios.tcsetwinsize(ours, size)
    process = subprocess.Popen(
        argv,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=dict(environ),
        cwd=folder,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
        os.close(ours)
