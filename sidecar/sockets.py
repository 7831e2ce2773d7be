"""Listening sockets: made first, so that a start is quick and an address in use is said at once."""

from __future__ import annotations

import errno
import os
import socket
import stat

from sidecar.errors import StartError

BACKLOG = 1024


def listen_tcp(host: str, port: int, key: str) -> socket.socket:
    """Return a listening TCP socket; port 0 takes a free one.

    Args:
        key: where the address comes from, for the error.

    Raises:
        StartError: the address is in use, or is not ours to take.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise StartError(f"{key}: cannot listen on {host}:{port}: {error.strerror}") from None
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise StartError(f"{key}: {_reason(error, f'{host}:{port}')}") from None
    sock.setblocking(False)
    return sock


def _reason(error: OSError, address: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{address} is in use; end what listens there, or choose another address"
    if error.errno == errno.EACCES:
        return f"{address} may not be used by this user; ports below 1024 are root's: choose another"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{address} is not an address of this machine"
    return f"cannot listen on {address}: {error.strerror}"


def listen_unix(path: str, mode: int, key: str) -> socket.socket:
    """Return a listening unix socket that has its mode from the first instant.

    A socket that nobody listens on any more is replaced; anything else at that path is left alone.

    Args:
        mode: permission bits.
        key: where the path comes from, for the error.

    Raises:
        StartError: the path is taken, or cannot be made.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path, key)
        umask = os.umask(0o777 & ~mode)
        try:
            sock.bind(path)
        finally:
            os.umask(umask)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise StartError(f"{key}: cannot listen on {path}: {error.strerror}") from None
    except StartError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def _remove_stale(path: str, key: str) -> None:
    try:
        kind = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise StartError(f"{key}: {path} is there and is not a socket; choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise StartError(f"{key}: {path} is in use; end what listens there, or choose another path")
