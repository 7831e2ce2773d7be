"""A foreign program, run for what it prints: without a shell, bounded in time and output, and ended with all its own.

It is trusted with nothing of ours: it reads /dev/null, and what it writes to its standard error is thrown
away unread, since it may hold the very key. It runs in a session of its own, so that it has no terminal to ask
at, and so that whatever it has started is ended with it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from sidecar import signals
from sidecar.credentials.aside import aside

Process = subprocess.Popen[bytes]
# Between the asking and the killing. A second signal to us ends us within a second.
GRACE_S = 0.5
_READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended. `code` is as a shell says it, negative for a signal; `complained`: on standard error.

    `output` is None where there was more of it than was allowed.
    """

    code: int
    output: bytes | None
    complained: bool


async def run(argv: Sequence[str], environ: Mapping[str, str], *, timeout_s: float, most_bytes: int) -> Ended:
    """Run a program to its end, and return how it ended. What it leaves running when it ends by itself is left alone.

    Raises:
        OSError: it cannot be run.
        TimeoutError: it did not end in time, and was ended.
        RuntimeError: the machine allows no more threads for now.
    """
    with _Pipe(most_bytes) as output, _Pipe(None) as errors:
        async with asyncio.timeout(timeout_s):
            # From here on the thread closes the ends that the program writes to, in its own time.
            output.lent = errors.lent = True
            try:
                process = await _started(lambda: _start(argv, environ, output, errors))
            except RuntimeError:
                output.lent = errors.lent = False
                raise
            output.on_overflow = lambda: _signal(process, signal.SIGKILL)
            if output.overflowed:
                output.on_overflow()
            waiting = asyncio.ensure_future(aside(process.wait))
            try:
                code = await asyncio.shield(waiting)
            except BaseException:
                await _end(process, waiting)
                raise
        output.read()
        errors.read()
        return Ended(code, None if output.overflowed else bytes(output.content), errors.used)


def _start(argv: Sequence[str], environ: Mapping[str, str], output: _Pipe, errors: _Pipe) -> Process:
    # By the standard library, whose child closes every descriptor but these three. uvloop's keeps what can be
    # inherited, as a listener of systemd's would be, and starting it held up the loop for 6 ms.
    try:
        with signals.not_blocked():
            return subprocess.Popen(  # noqa: S603  # what the configuration names
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output.write_end,
                stderr=errors.write_end,
                env=environ,
                start_new_session=True,
            )
    finally:
        output.close_write_end()
        errors.close_write_end()


async def _started(start: Callable[[], Process]) -> Process:
    """Start it in a thread: its disk may hang."""
    starting = asyncio.ensure_future(aside(start))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait([starting], timeout=GRACE_S)
        if not starting.done():
            starting.add_done_callback(_end_late)
        elif starting.exception() is None:
            await _end(starting.result(), asyncio.ensure_future(aside(starting.result().wait)))
        raise


def _end_late(starting: asyncio.Future[Process]) -> None:
    if not starting.cancelled() and starting.exception() is None:
        _signal(starting.result(), signal.SIGKILL)


async def _end(process: Process, waiting: asyncio.Future[int]) -> None:
    """End it and all that it has started: first by asking."""
    try:
        _signal(process, signal.SIGTERM)
        await asyncio.wait([waiting], timeout=GRACE_S)
    finally:
        _signal(process, signal.SIGKILL)
    # Not for longer: the kernel may hold it in a read of a disk that is away.
    await asyncio.wait([waiting], timeout=GRACE_S)


def _signal(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _nothing() -> None:
    pass


class _Pipe:
    """A pipe that a program writes to, read as it comes.

    Not a pipe of asyncio's: that one ends with its last writer, which may be something that the program has started
    and left behind.

    Args:
        most_bytes: how much is kept; None: nothing is, only whether there was anything.
    """

    def __init__(self, most_bytes: int | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._loop.add_reader(self._read_end, self.read)
        self._most_bytes = most_bytes
        self.content = bytearray()
        self.lent = False
        self.used = False
        self.overflowed = False
        self.on_overflow: Callable[[], None] = _nothing

    def read(self) -> None:
        """Take in what is there."""
        while True:
            try:
                data = os.read(self._read_end, _READ_BYTES)
            except BlockingIOError:
                return
            if not data:
                self._loop.remove_reader(self._read_end)
                return
            self.used = True
            if self._most_bytes is None:
                return  # what goes on and on must not hold up the loop; it is asked again
            self.content += data
            if len(self.content) > self._most_bytes:
                self.overflowed = True
                self.content.clear()
                self._loop.remove_reader(self._read_end)
                self.on_overflow()
                return

    def close_write_end(self) -> None:
        """The program has its own; twice is no harm."""
        end, self.write_end = self.write_end, -1
        if end >= 0:
            os.close(end)

    def __enter__(self) -> _Pipe:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.remove_reader(self._read_end)
        os.close(self._read_end)
        if not self.lent:
            self.close_write_end()
