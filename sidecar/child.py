"""A command that runs beside us: at our terminal, in our process group, and with what was left open for it.

It is started as a shell would start it: every descriptor that was passed to us is passed on (`<(...)` is one), our own
are closed by the kernel. It stays in our process group, because whatever else is in the same pipeline does too: a
group of its own would have to take the terminal, and `sidecar exec -- cmd | less` would have no keyboard. So the
terminal's Ctrl-C and Ctrl-Z reach it and us; `signals.py` says what we make of that.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress

# As shells say it: POSIX.1-2017, XCU 2.8.2.
NOT_EXECUTABLE, NOT_FOUND, SIGNALLED = 126, 127, 128
# What Python ignores for itself.
_IGNORED_BY_PYTHON = [signal.SIGPIPE, signal.SIGXFSZ]


class NotStarted(Exception):
    """The command cannot be run; the text says why, `code` is what a shell would end with."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


def find(word: str, environ: Mapping[str, str]) -> str:
    """Return the path of a program, as a shell finds it.

    Args:
        word: a path, or a name that is looked for on PATH.
        environ: where PATH is.

    Raises:
        NotStarted: there is none, or it is not executable.
    """
    folders = [""] if "/" in word else os.get_exec_path(dict(environ))
    paths = [os.path.join(folder, word) for folder in folders] if word else []
    for path in paths:
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    if found := next(filter(os.path.exists, paths), None):
        what = "is a directory" if os.path.isdir(found) else "is not executable (chmod +x)"
        raise NotStarted(f"{found} {what}", NOT_EXECUTABLE)
    where = "there is no such file" if "/" in word else "it is not on PATH"
    raise NotStarted(f"cannot find {word!r}: {where}", NOT_FOUND)


def start(
    path: str,
    argv: tuple[str, ...],
    environ: Mapping[str, str],
    *,
    mask: Iterable[int],
    hidden: Collection[str] = (),
    core_limit: tuple[int, int] | None = None,
) -> int:
    """Start it and return its process id.

    Args:
        path: the program.
        argv: its name and arguments.
        environ: its environment.
        mask: the signals that it blocks.
        hidden: files that it must not find open.
        core_limit: its limits of core files; None: ours.

    Raises:
        NotStarted: the system would not.
    """
    _hide(hidden)
    ours = resource.getrlimit(resource.RLIMIT_CORE)
    try:
        if core_limit is not None:
            resource.setrlimit(resource.RLIMIT_CORE, core_limit)
        return os.posix_spawn(path, argv, environ, setsigmask=mask, setsigdef=_IGNORED_BY_PYTHON)
    except OSError as error:
        is_script = error.errno == errno.ENOEXEC
        what = "is no program, and as a script lacks a first line such as #!/bin/sh" if is_script else error.strerror
        raise NotStarted(f"{path}: {what}", NOT_EXECUTABLE) from None
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, ours)


def wait(pid: int) -> int:
    """Wait until it ends; return its exit code, or 128 and the number of the signal that ended it."""
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else SIGNALLED - code


def _hide(paths: Collection[str]) -> None:
    """Pass on no descriptor of these files: `--api-key-file /dev/fd/3 3<key` has left one open.

    What a terminal or a device gives is not kept there.
    """
    kept = []
    for path in paths:
        try:
            kept.append(os.stat(path))
        except OSError:
            continue
    for number in _inheritable() if kept else ():
        held = os.fstat(number)
        if stat.S_ISCHR(held.st_mode) or not any(os.path.samestat(held, one) for one in kept):
            continue
        if number == 0:
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            os.close(nothing)
        else:
            os.set_inheritable(number, False)


def _inheritable() -> list[int]:
    """Return the descriptors that a child gets, but for those it writes its output to."""
    found = []
    for number in map(int, os.listdir("/dev/fd")):
        with suppress(OSError):  # the one by which the listing was made
            if number not in (1, 2) and os.get_inheritable(number):
                found.append(number)
    return found
