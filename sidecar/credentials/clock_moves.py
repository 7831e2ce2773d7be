"""Whether the wall clock has moved by itself: it was set, or the machine slept.

The monotonic clock does neither, so the two drift apart when that happens. Less than a
second is not looked at, but adds up: a clock that is slowed down is noticed once a second is missing.
"""

from __future__ import annotations

from sidecar.clock import Clock

LEAST_MOVE_S = 1.0


class ClockMoves:
    """Tells how far the wall clock has moved against the monotonic one.

    Args:
        clock: both of them.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._apart_s = self._now_apart()

    def since_last_s(self) -> float:
        """Return the seconds it has moved since it was last asked: forward > 0, back < 0, 0 for less than a second."""
        apart_s = self._now_apart()
        moved_s = apart_s - self._apart_s
        if abs(moved_s) < LEAST_MOVE_S:
            return 0.0
        self._apart_s = apart_s
        return moved_s

    def _now_apart(self) -> float:
        return self._clock.wall() - self._clock.monotonic()
