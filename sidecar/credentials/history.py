"""What became of a credential's exchanges: the last of them, and how many have failed in a row."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from sidecar.clock import Clock
from sidecar.credentials.status import ExchangeRecord, Trigger
from sidecar.errors import ExchangeOutcome

RECENT_EXCHANGES = 32


class Watcher(Protocol):
    """Told of each exchange, to count it."""

    def exchanged(self, record: ExchangeRecord) -> None:
        """One exchange was made."""


class History:
    """Remembers the last exchanges.

    Args:
        clock: for when they were made.
        watcher: told of each.
    """

    def __init__(self, clock: Clock, watcher: Watcher) -> None:
        self._clock = clock
        self._watcher = watcher
        self._recent: deque[ExchangeRecord] = deque(maxlen=RECENT_EXCHANGES)
        self.failures = 0

    def add(self, trigger: Trigger, outcome: ExchangeOutcome, detail: str, started_s: float) -> None:
        """Add one that has just ended.

        Args:
            detail: why it failed; "" for a success.
            started_s: when it began, monotonic seconds.
        """
        self.failures = 0 if outcome == "ok" else self.failures + 1
        record = ExchangeRecord(self._clock.wall(), trigger, outcome, self._clock.monotonic() - started_s, detail)
        self._recent.append(record)
        self._watcher.exchanged(record)

    @property
    def recent(self) -> tuple[ExchangeRecord, ...]:
        """The last ones, the newest at the end."""
        return tuple(self._recent)

    @property
    def last(self) -> ExchangeRecord | None:
        """The newest."""
        return self._recent[-1] if self._recent else None
