"""An address that swallows every attempt to connect, as one behind a firewall does: no answer, no refusal."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

# A queue of length 0 holds one connection that nobody has taken; the kernel drops what comes then.
_FILLERS = 4


class Blackhole:
    """A listening socket whose queue is full.

    Args:
        address: of this machine.
    """

    def __init__(self, address: str) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.sock = socket.create_server((address, 0), family=family, backlog=0)
        self.address: tuple[str, int] = self.sock.getsockname()[:2]
        self._fillers = [socket.socket(family) for _ in range(_FILLERS)]
        for filler in self._fillers:
            filler.setblocking(False)
            filler.connect_ex(self.address)

    def close(self) -> None:
        """End it."""
        for sock in (self.sock, *self._fillers):
            sock.close()

    def open_up(self) -> socket.socket:
        """Let go of what is in the queue, and return the listening socket to somebody who takes connections."""
        for filler in self._fillers:
            filler.close()
        self.sock.setblocking(False)
        self.sock.listen(1024)
        return self.sock


@contextmanager
def blackhole(address: str = "127.0.0.1") -> Iterator[Blackhole]:
    """Have such an address for a while."""
    hole = Blackhole(address)
    try:
        yield hole
    finally:
        hole.close()
