"""When the next exchange may begin: everything that can hold back one that is due.

Pure arithmetic over monotonic seconds; it neither sleeps nor exchanges.

| what | holds back | for how long |
|---|---|---|
| back-off | every exchange, after a passing failure | a random share of `first` x 2^(failures - 1), at most `most` |
| Retry-After | the same, where the endpoint asks for longer | as long as it asks, at most an hour, and up to 1 s |
| probe | every exchange, after the key was refused | 60 s, each time half as much again, at most 5 min |
| budget | every exchange | so that no `per_s` seconds see more than `count` begin |
| spread | renewals of a token too short-lived for the budget | `per_s` / `count` from one to the next |

The share is cut at `most` after it is drawn: in a long outage nearly every wait is `most`, 120 tries
an hour by the default, and a fleet stays as far apart as its first waits have put it. A fleet that was
told the same Retry-After does not come back in one instant, but within that second.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from sidecar.credentials.rules import RefreshRules

# After a refused key the endpoint is asked again, rarely: a key can be re-enabled without its text changing.
PROBE_FIRST_S = 60.0
PROBE_MOST_S = 300.0
_PROBE_GROWTH = 1.5
# A failing renewal is tried once more this long before the token's expiry, whatever the back-off says.
LAST_TRY_S = 2.0
# An endpoint that asks to be left alone for longer is not believed.
MOST_RETRY_AFTER_S = 3600.0
# Not before it ends, and no second after it.
RETRY_AFTER_SPREAD_S = 0.99
# Beyond this many doublings every wait is the longest one.
_MOST_DOUBLINGS = 30


class Pace:
    """Says when the next exchange may begin.

    Args:
        rules: back-off and budget.
        rng: random numbers in [0, 1).
    """

    def __init__(self, rules: RefreshRules, rng: Callable[[], float]) -> None:
        self._rules = rules
        self._rng = rng
        self._began: deque[float] = deque(maxlen=rules.budget_count)
        self._not_before = -math.inf
        self._renewal_not_before = -math.inf
        self._failures = 0
        self._refusals = 0

    def free_at(self, *, renewal: bool = False) -> float:
        """Return the moment from which an exchange may begin; -inf where nothing holds it back.

        Args:
            renewal: it is made because the token's time has come, and for no other reason.
        """
        free_at = max(self._not_before, self._budget_free_at())
        return max(free_at, self._renewal_not_before) if renewal else free_at

    def began(self, now_s: float) -> None:
        """Note that an exchange begins."""
        self._began.append(now_s)

    def succeeded(self, renewal_in_s: float) -> None:
        """Note that it brought a token.

        Args:
            renewal_in_s: how long after it was obtained the token asks to be renewed.
        """
        self.start_over()
        spread_s = self._rules.budget_per_s / self._rules.budget_count
        self._renewal_not_before = self._began[-1] + spread_s if renewal_in_s < spread_s else -math.inf

    def failed(self, now_s: float, retry_after_s: float | None, left_s: float) -> float:
        """Note that it failed in a way that passes by itself; return the seconds until the next may begin.

        Args:
            retry_after_s: what the endpoint asked for, or None. It is obeyed even past the token's expiry.
            left_s: how long the token is still valid; not positive where there is none.
        """
        self._failures += 1
        ceiling_s = self._rules.backoff_first_s * 2.0 ** min(self._failures - 1, _MOST_DOUBLINGS)
        share = self._rng()
        wait_s = min(ceiling_s * share, self._rules.backoff_most_s)
        if retry_after_s is not None:
            wait_s = max(wait_s, min(retry_after_s, MOST_RETRY_AFTER_S) + share * RETRY_AFTER_SPREAD_S)
        elif 0 < left_s - LAST_TRY_S < wait_s:
            wait_s = left_s - LAST_TRY_S
        self._not_before = now_s + wait_s
        return wait_s

    def refused(self, now_s: float, retry_after_s: float | None) -> float:
        """Note that it failed with a key that was refused; return the seconds until the next may begin."""
        wait_s = min(PROBE_FIRST_S * _PROBE_GROWTH ** min(self._refusals, _MOST_DOUBLINGS), PROBE_MOST_S)
        wait_s = max(wait_s, min(retry_after_s or 0.0, MOST_RETRY_AFTER_S))
        self._refusals += 1
        self._not_before = now_s + wait_s
        return wait_s

    def take_over(self, other: Pace) -> None:
        """Hold back what was held back there."""
        self._began.extend(other._began)
        self._not_before, self._failures, self._refusals = other._not_before, other._failures, other._refusals

    def start_over(self) -> None:
        """Forget the failures: another key, or a token. The budget forgets nothing."""
        self._failures = self._refusals = 0
        self.release()

    def release(self) -> None:
        """Let the next exchange begin as soon as the budget allows, as somebody asked for it."""
        self._not_before = self._renewal_not_before = -math.inf

    def slept(self, slept_s: float) -> None:
        """Count time during which the machine slept as waited: the monotonic clock stood still."""
        self._not_before -= slept_s
        self._renewal_not_before -= slept_s

    def _budget_free_at(self) -> float:
        if len(self._began) < self._rules.budget_count:
            return -math.inf
        return self._began[0] + self._rules.budget_per_s
