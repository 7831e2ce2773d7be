"""Listening sockets that a service manager has made and passed: socket activation, sd_listen_fds(3).

They let one process take another's place without a connection refused: the sockets live on in whoever passed them, and
who connects meanwhile waits there. So an address of the configuration that one of them is bound to is not bound anew,
a drain leaves its queue alone, and a reload that drops the address and another that brings it back find it again.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

from sidecar.errors import StartError

_FIRST = 3
# The names that say which key a socket is for; others, such as the unit's, say nothing.
_KEYS = {"listen": "listen", "admin": "admin.listen"}


class PassedSockets:
    """The sockets that were passed to this process, if any; the variables that say so are taken out.

    Args:
        environ: the process's own environment.

    Raises:
        StartError: what was passed is no listening socket.
    """

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        process, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
        names = environ.pop("LISTEN_FDNAMES", "").split(":")
        self._sockets: list[tuple[str, socket.socket]] = []
        self._taken: set[socket.socket] = set()
        if process != str(os.getpid()) or not count.isdecimal():
            return  # meant for another, such as the shell that has started this
        for place in range(int(count)):
            name = names[place] if place < len(names) else ""
            self._sockets.append((name, _listening(_FIRST + place)))

    def take(self, key: str, host: str, port: int, path: str | None) -> socket.socket | None:
        """Return a socket that is bound there and meant for this key, or None.

        Args:
            key: `listen` or `admin.listen`.
            host, port: of a TCP address.
            path: of a unix one, else None.
        """
        for name, sock in self._sockets:
            if _KEYS.get(name, key) == key and _is_at(sock, host, port, path):
                self._taken.add(sock)
                return sock.dup()
        return None

    def check_all_taken(self) -> None:
        """Raise StartError where one was passed that no key names: who connects to it would wait for ever."""
        for name, sock in self._sockets:
            if sock not in self._taken:
                wanted = _KEYS.get(name, "listen or admin.listen")
                raise StartError(
                    f"{wanted}: the service manager has passed a socket at {_place(sock)}, and no address here is that:"
                    " name it in the configuration, or take it out of the socket unit"
                )


def _listening(number: int) -> socket.socket:
    try:
        os.set_inheritable(number, False)
        sock = socket.socket(fileno=number)
        if sock.type == socket.SOCK_STREAM and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            sock.setblocking(False)
            return sock
        sock.detach()
    except OSError:
        pass
    raise StartError(
        f"LISTEN_FDS: what was passed as descriptor {number} is no listening stream socket;"
        " use ListenStream with Accept=no"
    )


def _is_at(sock: socket.socket, host: str, port: int, path: str | None) -> bool:
    if path is not None or sock.family == socket.AF_UNIX:
        return sock.family == socket.AF_UNIX and sock.getsockname() == path
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        return False
    return sock.family == family and sock.getsockname()[:2] == address[:2]


def _place(sock: socket.socket) -> str:
    at = sock.getsockname()
    return f"unix:{at}" if sock.family == socket.AF_UNIX else f"{at[0]}:{at[1]}"
