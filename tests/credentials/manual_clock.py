"""A clock that a test sets."""

from __future__ import annotations

# 2030-01-01T00:00:00Z
NOW = 1_893_456_000.0


class ManualClock:
    """Both kinds of time; they move only when a test moves them."""

    def __init__(self, wall: float = NOW) -> None:
        self.wall_s = wall
        self.monotonic_s = 0.0

    def wall(self) -> float:
        """Return seconds since the epoch."""
        return self.wall_s

    def monotonic(self) -> float:
        """Return seconds since some moment."""
        return self.monotonic_s
