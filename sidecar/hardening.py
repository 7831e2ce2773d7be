"""Keeps what is in this process's memory in it: no core file, no debugger, no `/proc/PID/environ` for its own user.

A process that is "not dumpable" has its /proc entries owned by root, cannot be attached to (ptrace, and so gdb, strace
or py-spy), and writes no core, whatever the limits and the machine's core pattern say. Root can do all of it still.
It costs the debugging of a running process, so there is a switch. Source: prctl(2), PR_SET_DUMPABLE; core(5); proc(5).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress

# Set to 1 by whoever wants to attach a debugger as the same user, or a core.
SWITCH = "SIDECAR_DUMPABLE"
_PR_SET_DUMPABLE = 4


def harden(environ: Mapping[str, str]) -> None:
    """Have the process keep its memory to itself; harmless where the system knows no such thing.

    To be called before a secret is read. What it starts is not affected but for the limit of core files.
    """
    if environ.get(SWITCH) == "1":
        return
    with suppress(ImportError, OSError, ValueError):
        import resource

        # The soft limit alone: a child that wants cores may have them again.
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if sys.platform == "linux":
        _not_dumpable()


def _not_dumpable() -> None:
    # A libc that is not to be had leaves the limit above; there is nothing else to be done about it.
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
