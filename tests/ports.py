"""Ports for servers that are started by their number. Below those that the system gives to others meanwhile."""

from __future__ import annotations

import os
import random
import socket

# Linux takes the ports of outgoing connections, and for `port 0`, from 32768 on.
_FIRST, _LAST = 10_000, 32_000
# The test processes that run at once have each their own part of them.
_PARTS = 16
_part = int("".join(filter(str.isdigit, os.environ.get("PYTEST_XDIST_WORKER", ""))) or 0) % _PARTS
_size = (_LAST - _FIRST) // _PARTS
_given: set[int] = set()


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens, and that was not returned before."""
    while True:
        port = _FIRST + _part * _size + random.randrange(_size)
        if port in _given:
            continue
        _given.add(port)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
