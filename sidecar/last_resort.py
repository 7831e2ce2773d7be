"""Ends the process when it does not end by itself."""

from __future__ import annotations

import os
import threading

# What a stop may take beyond what its configuration says.
SPARE_S = 0.9


def leave_within(seconds: float, code: int) -> None:
    """End the process after this time, whatever holds it up: a file system that hangs in a thread, or in the loop.

    Until then it ends by itself, without a thread to do it.
    """
    timer = threading.Timer(seconds, os._exit, [code])
    timer.daemon = True
    timer.start()
