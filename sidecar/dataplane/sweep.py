"""The look at each connection for deadlines that have passed: one that breaks is ended, and the rest looked at.

The sweep is one task for all connections of the process: a defect in one of them must not leave the others without
time-outs for ever.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

_log = logging.getLogger(__name__)


class Swept(Protocol):
    """What has deadlines."""

    transport: asyncio.Transport

    def check(self, now: float) -> None:
        """Do what is due at `now`, a moment of the loop's clock."""


def look_after(connection: Swept, now: float) -> None:
    """Check a connection; end it where that breaks."""
    try:
        connection.check(now)
    except Exception as error:
        # The type alone: its text could hold what the connection carries.
        _log.error("a check of a connection broke (%s); please report this", type(error).__name__)
        connection.transport.abort()
