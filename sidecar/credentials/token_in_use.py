"""The token that a credential hands out, and the moments at which it is renewed and let go.

Whether it is valid costs one reading of the wall clock, for that is asked by every request. A
timer on the monotonic clock ends it as well, at the end of the life that it had when it came: a
wall clock that is set back, or stands, keeps no dead token alive, not even until it is noticed.
The wall clock ends it earlier where that moves forward: the machine slept.
"""

from __future__ import annotations

import asyncio
import math

from sidecar.clock import Clock
from sidecar.credentials.status import State
from sidecar.credentials.token import Token, refresh_at
from sidecar.errors import ExchangeFailed


class TokenInUse:
    """None at first, then the newest.

    Args:
        clock: for whether it is valid.
        window_s: the refresh window.
    """

    def __init__(self, clock: Clock, window_s: float) -> None:
        self._clock = clock
        self._window_s = window_s
        self._timer: asyncio.TimerHandle | None = None
        # Until when it is handed out, wall-clock seconds; nobody is given one whose life is over.
        self._valid_until = -math.inf
        self.token: Token | None = None
        # By the wall clock as it is now.
        self.expires_at = -math.inf
        self.refresh_at = math.inf

    def current(self) -> Token | None:
        """Return the token if it is still valid. Costs a clock reading: this is on the request path."""
        return self.token if self._clock.wall() < self._valid_until else None

    @property
    def left_s(self) -> float:
        """For how long it is still valid; not positive: it is not."""
        return self._valid_until - self._clock.wall()

    def take(self, token: Token, share: float, moved_s: float) -> None:
        """Hand this one out from now on.

        Args:
            token: a new one.
            share: a random number in [0, 1), for its renewal.
            moved_s: how far the wall clock was set forward during its exchange. It may be older by that.
        """
        late_s = 0.0
        if token.expires_at != math.inf:
            # Set back during the exchange, the clock would make its life longer than it was when it came.
            gained_s = token.obtained_at - self._clock.wall()
            late_s = max(0.0, moved_s, gained_s)
        self.token = token
        self.expires_at = self._valid_until = token.expires_at - late_s
        self.refresh_at = refresh_at(token, self._window_s, share) - late_s
        self.close()
        if self.left_s != math.inf:
            self._timer = asyncio.get_running_loop().call_later(self.left_s, self._end)

    def set_back(self, by_s: float) -> None:
        """Have its moments follow a wall clock that was set back.

        Args:
            by_s: how far, > 0.
        """
        self._valid_until -= by_s
        self.expires_at -= by_s
        self.refresh_at -= by_s

    def state(self) -> State:
        """Return how it stands."""
        if self.token is None:
            return "empty"
        now = self._clock.wall()
        if now >= self._valid_until:
            return "expired"
        return "stale" if now >= self.refresh_at else "fresh"

    def close(self) -> None:
        """Let the timer go; the wall clock alone counts from here on."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        self._valid_until = -math.inf


def check_age(token: Token, now: float, moved_s: float) -> None:
    """Refuse a token that is dead already.

    Args:
        now: wall-clock seconds.
        moved_s: how far the wall clock was set forward during the exchange. A machine that slept in the middle of it
            has an answer whose life counts from before.

    Raises:
        ExchangeFailed: its life is over, or may be.
    """
    if now >= token.expires_at:
        text = "the token had expired by the time its answer was complete"
        raise ExchangeFailed("bad_response", text, cause="slow")
    if moved_s > 0 and now >= token.expires_at - moved_s:
        text = "the machine slept, or its clock was set forward, while the exchange ran"
        raise ExchangeFailed("timeout", text, cause="slept")
