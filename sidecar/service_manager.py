"""What a service manager is told, by systemd's protocol: ready, reloading, stopping, still alive.

A datagram to a unix socket that the environment names; sd_notify(3) describes it. The rule: it is told what holds,
and nothing here can hold up or end the process, whether anybody listens there or not. Its variables are taken out
of the environment, so that nothing that the process starts speaks in its name.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping
from contextlib import suppress

_MOST_STATUS = 300


class ServiceManager:
    """The service manager that has started this process, or nobody.

    Args:
        environ: the process's own environment.
    """

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        address = environ.pop("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        watchdog, process = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        meant = process in ("", str(os.getpid())) and watchdog.isdecimal() and bool(self._address)
        # Twice as often as it has to be: one that comes late is not the end.
        self.alive_every_s: float | None = int(watchdog) / 2e6 or None if meant else None

    def ready(self, status: str) -> None:
        """It serves; also told after a reload, taken or not."""
        self._tell("READY=1", _status(status))

    def reloading(self) -> None:
        """A new configuration is being read, until `ready` is told again."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self, status: str) -> None:
        """It has begun to end."""
        self._tell("STOPPING=1", _status(status))

    def alive(self) -> None:
        """The event loop turns."""
        self._tell("WATCHDOG=1")

    def _tell(self, *assignments: str) -> None:
        if not self._address:
            return
        with suppress(OSError, ValueError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto("\n".join(assignments).encode(), self._address)


def _status(text: str) -> str:
    return f"STATUS={' '.join(text.split())[:_MOST_STATUS]}"
