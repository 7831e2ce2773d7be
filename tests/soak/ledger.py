"""What has happened to each request of the soak, and whatever nobody can explain."""

from __future__ import annotations

from collections import Counter

MOST_TEXTS = 20
# What the upstream has made of a request so far.
UNSEEN, DONE, REJECTED, RESET = range(4)


class Ledger:
    """The book of one run.

    Args:
        count: how many requests there will be.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.done = 0
        self.outcomes: Counter[str] = Counter()
        self.arrivals = bytearray(count)
        self.unexplained = 0
        self.texts: list[str] = []

    def note(self, outcome: str) -> None:
        """One request has ended as it should have."""
        self.done += 1
        self.outcomes[outcome] += 1

    def ended_wrong(self, text: str) -> None:
        """One request has ended as it should not have."""
        self.done += 1
        self.outcomes["unexplained"] += 1
        self.wrong(text)

    def wrong(self, text: str) -> None:
        """Something is as it must not be."""
        self.unexplained += 1
        if len(self.texts) < MOST_TEXTS:
            self.texts.append(text)
