"""Whether this process has stood still: the machine slept, or it was stopped (SIGSTOP, a frozen container or VM).

While a machine sleeps the monotonic clock stands still and the wall clock does not; a stopped process
finds both ahead. So whichever has moved further says how long it was. A wall clock that somebody sets
forward looks the same, which costs a few new connections.

What was true before may not be: upstreams have closed what was idle, and may have said so to nobody.
And deadlines have passed in which nobody could read what had arrived.
"""

from __future__ import annotations

from sidecar.clock import Clock

# Far more than a busy machine keeps the sweep waiting, and less than any server keeps an idle connection.
LONGEST_GAP_S = 3.0


class Standstill:
    """Tells whether time was lost between two looks, which have to come every half second or so.

    Args:
        clock: wall and monotonic.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._looked_at = clock.wall(), clock.monotonic()

    def is_over(self) -> bool:
        """Return whether it has stood still since the last look."""
        before, self._looked_at = self._looked_at, (self._clock.wall(), self._clock.monotonic())
        return any(now - then > LONGEST_GAP_S for now, then in zip(self._looked_at, before, strict=True))
