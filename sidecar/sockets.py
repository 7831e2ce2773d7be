"""Sockets: those that listen, made first so that a start is quick; and how the death of a peer shows.

A peer whose machine is gone sends nothing, no end either. TCP's keepalive asks
it: from 15 s of silence on, every 5 s, three times, so that it shows within
30 s. A listening socket hands these settings on to what it accepts. They matter
where nothing is expected soon, such as in a stream, or before an answer that
may take minutes; what was sent and is not acknowledged has the time-outs of the
request. TCP_USER_TIMEOUT is not set: it ends (measured on Linux 6) also a peer
that lives and just does not read, which is backpressure. But for the one case in
which a peer is likely to be gone, and a small request all that was sent to it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat

from sidecar.errors import StartError

BACKLOG = 1024
KEEPALIVE_IDLE_S = 15
KEEPALIVE_INTERVAL_S = 5
KEEPALIVE_PROBES = 3
UNACKNOWLEDGED_S = 2.5


def listen_tcp(host: str, port: int, key: str, *, loopback: bool = False) -> socket.socket:
    """Return a listening TCP socket; port 0 takes a free one.

    Args:
        key: where the address comes from, for the error.
        loopback: it must not be reachable from another machine: what a name leads to is looked at.

    Raises:
        StartError: the address is in use, or is not ours to take.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise StartError(f"{key}: cannot listen on {host}:{port}: {error.strerror}") from None
    try:
        if loopback and address[0] != "::1" and not str(address[0]).startswith("127."):
            raise StartError(f"{key}: {host} leads to another address than loopback here; name the address itself")
        if os.name == "posix":  # on Windows it would let another take the port away
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        notice_dead_peer(sock)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise StartError(f"{key}: {_reason(error, f'{host}:{port}')}") from None
    except StartError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def notice_dead_peer(sock: socket.socket) -> None:
    """Have the kernel find out whether a silent TCP peer is still there."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    idle = getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE", None)  # the latter on macOS
    interval, count = (getattr(socket, name, None) for name in ("TCP_KEEPINTVL", "TCP_KEEPCNT"))
    values = ((idle, KEEPALIVE_IDLE_S), (interval, KEEPALIVE_INTERVAL_S), (count, KEEPALIVE_PROBES))
    for option, value in values:
        if option is not None:  # what the system has
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def give_up_soon(sock: socket.socket | None) -> None:
    """Have the kernel end a connection whose peer does not acknowledge, within a few seconds, what was sent to it."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)  # Linux alone
    if sock is not None and option is not None:
        with contextlib.suppress(OSError):  # it has ended already
            sock.setsockopt(socket.IPPROTO_TCP, option, round(UNACKNOWLEDGED_S * 1000))


def _reason(error: OSError, address: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{address} is in use; end what listens there, or choose another address"
    if error.errno == errno.EACCES:
        return f"{address} may not be used by this user; ports below 1024 are root's: choose another"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{address} is not an address of this machine"
    return f"cannot listen on {address}: {error.strerror}"


class UnixSocket(socket.socket):
    """A socket with a file of its own, which it can tell from one that somebody else has put there since."""

    __slots__ = ("_file", "_path")

    def __init__(self) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        self._path = ""
        self._file: tuple[int, int, int] | None = None

    def bind_with_mode(self, path: str, mode: int) -> None:
        """Make the file, with these permission bits from its first instant."""
        # The umask is the process's. Nothing else here makes files, and there is no `await` until it is back.
        umask = os.umask(0o777 & ~mode)
        try:
            self.bind(path)
        finally:
            os.umask(umask)
        self._path, self._file = path, _identity(path)

    def remove(self) -> None:
        """Remove the file, if it still is this socket's: another sidecar may listen there by now."""
        if self._file is not None and _identity(self._path) == self._file:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
        self._file = None

    def close(self) -> None:
        """Close it, and leave no file behind that nobody listens on."""
        self.remove()
        super().close()


def _identity(path: str) -> tuple[int, int, int] | None:
    """Return what tells this file from any other at the same path; inode numbers are used again, moments are not."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


def listen_unix(path: str, mode: int, key: str) -> UnixSocket:
    """Return a listening unix socket that has its mode from the first instant.

    A socket that nobody listens on any more is replaced; anything else at that path is left alone.

    Args:
        mode: permission bits.
        key: where the path comes from, for the error.

    Raises:
        StartError: the path is taken, or cannot be made.
    """
    sock = UnixSocket()
    try:
        _remove_stale(path, key)
        sock.bind_with_mode(path, mode)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise StartError(f"{key}: {_unix_reason(error, path)}") from None
    except StartError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def _unix_reason(error: OSError, path: str) -> str:
    if error.errno == errno.ENOENT:
        return f"cannot listen on {path}: its folder is not there; make it"
    if error.errno == errno.EACCES:
        return f"cannot listen on {path}: this user may not make it, or not connect to the socket that is there"
    return f"cannot listen on {path}: {error.strerror}"


def _remove_stale(path: str, key: str) -> None:
    before = _identity(path)
    if before is None:
        return
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise StartError(f"{key}: {path} is there and is not a socket; choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # whoever listens and accepts no one is there too
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            if _identity(path) == before:
                os.unlink(path)
                return
        except BlockingIOError:
            pass
    raise StartError(f"{key}: {path} is in use; end what listens there, or choose another path")
