"""The three standard streams: each descriptor below 3 is in use, whatever the process was started with."""

from __future__ import annotations

import os


def occupy() -> None:
    """Put /dev/null where a standard stream was closed: else a connection would get its number.

    libuv aborts the process when it closes a descriptor below 3, and what some library prints would go to a peer.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free, which is this one
