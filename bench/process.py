"""A started program and its children: started on a core, ended by pid, measured through /proc.

CPU time is the scheduler's own sum in nanoseconds, not the ticks of 10 ms of `utime`.
Linux only.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType

END_S = 5.0  # what a program gets between SIGTERM and SIGKILL


class Process:
    """A running program; a context manager that ends it and all its children."""

    def __init__(self, command: list[str], *, core: int, log: Path) -> None:
        """Start `command` on `core`, its output going to the file `log`."""
        self.command = command
        self.log = log
        with log.open("wb") as output:
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # A Ctrl-C at the terminal is for the benchmark, which then ends its programs itself.
                start_new_session=True,
                preexec_fn=partial(os.sched_setaffinity, 0, {core}),
            )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end()

    def end(self) -> None:
        """End it: SIGTERM, then SIGKILL for whichever of its processes is still there."""
        pids = self.pids()
        self._popen.terminate()
        try:
            self._popen.wait(END_S)
        except subprocess.TimeoutExpired:
            for pid in reversed(pids):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._popen.wait()

    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._popen.poll() is None

    def pids(self) -> list[int]:
        """Its pid and those of its children, parents first."""
        found = [self._popen.pid]
        for pid in found:
            for file in Path(f"/proc/{pid}/task").glob("*/children"):
                found += map(int, file.read_text(encoding="ascii").split())
        return found

    def cpu_s(self) -> float:
        """The CPU time that all its threads have used, in seconds."""
        files = (file for pid in self.pids() for file in Path(f"/proc/{pid}/task").glob("*/schedstat"))
        return sum(int(file.read_text(encoding="ascii").split()[0]) for file in files) / 1e9

    def memory_bytes(self) -> int:
        """Its proportional set size, summed over its processes."""
        return 1024 * sum(_kilobytes(Path(f"/proc/{pid}/smaps_rollup"))["Pss"] for pid in self.pids())

    def unshared_bytes(self) -> int:
        """The same, as if no other program on the machine mapped the same files.

        Plain PSS flatters whoever shares a library with the benchmark: the sidecar its
        interpreter, nginx itself with the nginx behind it.
        """
        rollups = [_kilobytes(Path(f"/proc/{pid}/smaps_rollup")) for pid in self.pids()]
        anonymous = sum(rollup["Pss_Anon"] for rollup in rollups)
        return 1024 * (anonymous + max(rollup["Rss"] - rollup["Anonymous"] for rollup in rollups))

    def resident_bytes(self) -> int:
        """Resident memory now, summed over its processes."""
        return self._status("VmRSS")

    def peak_bytes(self) -> int:
        """The most resident memory since the start or since `reset_peak`, summed over its processes."""
        return self._status("VmHWM")

    def reset_peak(self) -> None:
        """Let `peak_bytes` begin anew."""
        for pid in self.pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")

    def _status(self, name: str) -> int:
        return 1024 * sum(_kilobytes(Path(f"/proc/{pid}/status"))[name] for pid in self.pids())


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_listening(process: Process, port: int, *, timeout_s: float = 20.0, every_s: float = 0.001) -> None:
    """Return as soon as `port` accepts a connection.

    Raises:
        RuntimeError: the process ended, or time ran out; with the end of its log.
    """
    deadline = time.monotonic() + timeout_s
    while process.alive() and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            time.sleep(every_s)
        else:
            return
    raise RuntimeError(f"{process.command[0]} does not listen on port {port}:\n{tail(process.log)}")


def tail(log: Path, lines: int = 20) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def _kilobytes(file: Path) -> dict[str, int]:
    rows = (line.split() for line in file.read_text(encoding="ascii").splitlines())
    return {row[0].rstrip(":"): int(row[1]) for row in rows if len(row) == 3 and row[2] == "kB"}
