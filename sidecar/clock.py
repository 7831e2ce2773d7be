"""What time it is: the only place that asks the machine.

Wall-clock time says when a token expires and moves when the machine sleeps or
its clock is set; monotonic time measures time-outs, back-off and hold-down and
does neither. Everything else is handed a `Clock`, so that a test need not wait.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """The two kinds of time."""

    def wall(self) -> float:
        """Return seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Return seconds since some moment that stays the same for this process."""
        ...


class SystemClock:
    """The machine's clocks."""

    # The functions themselves: a call in between would be paid for by every request.
    wall = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)
