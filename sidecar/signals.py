"""Signals: those that are for us, and those for a command which runs beside us, passed on to it once.

What the terminal sends (Ctrl-C, Ctrl-\\, a hang-up) goes to every process in the foreground, so the command has it
already; what somebody sends to us alone (`kill`, a supervisor) it has not. The kernel says which it was, to whoever
waits for the signal instead of handling it. Where there is no such waiting (macOS), what comes from a keyboard is
taken for the terminal's while we are in its foreground. Precedent: sudo(8), which tells them apart in the same way.

Ctrl-Z is left to the kernel: it stops all of us, and the shell's `fg` continues all of us. So is whatever was ignored
when we were started, as after `nohup`: the command ignores it too.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

# By name: Windows has few of them.
_FORWARDED = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2")
_OF_A_KEYBOARD = ("SIGINT", "SIGQUIT")
_blocked: set[signal.Signals] = set()


def on_signal(loop: asyncio.AbstractEventLoop, name: str, call: Callable[[], None]) -> None:
    """Have the loop call this when the signal of that name comes; nothing where the system has none of that name.

    To be called in the process's first thread.
    """
    number = getattr(signal, name, None)
    if number is None:
        return
    try:
        loop.add_signal_handler(number, call)
    except NotImplementedError:  # Windows
        signal.signal(number, lambda _number, _frame: loop.call_soon_threadsafe(call))


class Signals:
    """Takes the signals of this process from its beginning to its end. To be made in its first thread.

    Args:
        heard: called in a thread of its own with each signal's number, and the sender's process id, or 0 where the
            terminal has sent it.
    """

    def __init__(self, heard: Callable[[int, int], None]) -> None:
        self._heard = heard
        numbers = [signal.Signals[name] for name in _FORWARDED]
        self._taken = {number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN}
        for number in self._taken:
            signal.signal(number, self._delivered)
        # Before there is any other thread: each begins with the mask of the one that has started it.
        self.mask_before: Iterable[int] = signal.pthread_sigmask(signal.SIG_BLOCK, self._taken)
        _blocked.update(self._taken)
        threading.Thread(target=self._listen, name="signals", daemon=True).start()

    def _listen(self) -> None:
        while True:
            self._heard(*_next(self._taken))

    def _delivered(self, number: int, _frame: object) -> None:
        """Take one that came while it was not blocked, as `not_blocked` has it for a moment."""
        self._heard(number, _likely_sender(number))


@contextmanager
def not_blocked() -> Iterator[None]:
    """Have what this thread starts meanwhile not block what we do: it would never end by SIGTERM."""
    if not _blocked:
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, _blocked)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _next(taken: set[signal.Signals]) -> tuple[int, int]:
    if hasattr(signal, "sigwaitinfo"):
        info = signal.sigwaitinfo(taken)
        # SI_USER and its like are not positive; what the kernel sends by itself is.
        return info.si_signo, 0 if info.si_code > 0 else info.si_pid
    number = signal.sigwait(taken)
    return number, _likely_sender(number)


def _likely_sender(number: int) -> int:
    return 0 if signal.Signals(number).name in _OF_A_KEYBOARD and _in_the_foreground() else -1


def _in_the_foreground() -> bool:
    for stream in range(3):
        try:
            return os.tcgetpgrp(stream) == os.getpgrp()
        except OSError:
            continue  # no terminal
    return False
