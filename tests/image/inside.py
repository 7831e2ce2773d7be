"""Clients in a container's network: it has loopback and nothing else, and they use that loopback from here.

A socket belongs to the network namespace that its thread was in when it was made. Source: network_namespaces(7).
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from tests.fakes import Wire
from tests.main_job.client import Admin

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


class Inside(Admin):
    """Asks one port of 127.0.0.1 in the network of a process; an app beside it, or a probe.

    Args:
        pid: a process of the container or the pod, by its number on this machine.
        port: of its loopback.
    """

    def __init__(self, pid: int, port: int) -> None:
        super().__init__(port)
        self._pid = pid

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Wire]:
        """Connect for the length of a block."""
        with _network_of(self._pid):
            connection = socket.socket()
        connection.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", self.port))
            wire = Wire(*await asyncio.open_connection(sock=connection, limit=2**20))
        except OSError:
            connection.close()
            raise
        try:
            yield wire
        finally:
            wire.writer.transport.abort()


@contextmanager
def _network_of(pid: int) -> Iterator[None]:
    """Make sockets in another network during a block."""
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    other = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        _enter(other)
        yield
    finally:
        _enter(own)
        os.close(own)
        os.close(other)


def _enter(namespace: int) -> None:
    if _LIBC.setns(namespace, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
