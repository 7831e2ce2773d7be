"""What has gone through in the last quarter of an hour, for the page's charts: `BUCKETS` sums of `BUCKET_S` each.

Nothing is counted here: the counters of the request path are read when a bucket is over, and
what they have grown by is its sum. The bucket that is not over yet is read when somebody looks.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from sidecar.stats import CODE_CLASSES, Stats

BUCKET_S: Final = 15.0
BUCKETS: Final = 60
# What is summed: requests that took a route by how they ended, refusals of all kinds, and rejected tokens.
COLUMNS: Final = ("ok", "client_error", "server_error", "aborted", "refused", "rejected")

Sums = tuple[int, ...]
_NOTHING: Sums = (0,) * len(COLUMNS)


class Traffic:
    """The ring of buckets.

    Args:
        stats: the counters.
        now: monotonic seconds.
    """

    def __init__(self, stats: Stats, now: float) -> None:
        self._stats = stats
        self._over: deque[Sums] = deque([_NOTHING] * (BUCKETS - 1), maxlen=BUCKETS - 1)
        self._before = totals(stats)
        self._ends_at = now + BUCKET_S

    def sample(self, now: float) -> None:
        """Close the bucket whose time is over; cheap where none is, so that a sweep may call it.

        Args:
            now: monotonic seconds. Where many buckets are over, as after a stop of the process, all of the growth
                is the first one's, and the others are empty.
        """
        if now < self._ends_at:
            return
        after = totals(self._stats)
        self._over.append(_grown(self._before, after))
        self._before = after
        missed = int((now - self._ends_at) / BUCKET_S)
        self._over.extend([_NOTHING] * min(missed, BUCKETS))
        self._ends_at += (missed + 1) * BUCKET_S

    def columns(self, now: float) -> dict[str, list[int]]:
        """Return the sums by column, the oldest bucket first; the last one is the one that is not over.

        Args:
            now: monotonic seconds.
        """
        self.sample(now)
        rows = [*self._over, _grown(self._before, totals(self._stats))]
        return {name: [row[at] for row in rows] for at, name in enumerate(COLUMNS)}

    def ends_in_s(self, now: float) -> float:
        """Return how long the last bucket still lasts."""
        return self._ends_at - now


def totals(stats: Stats) -> Sums:
    """Return the counters' sums over all routes, in the order of `COLUMNS`."""
    stats.count()
    routes = stats.routes.values()
    # By columns, in the interpreter's own loops: of a thousand routes this takes a millisecond and not ten.
    by_class = list(map(sum, zip(*(counts for route in routes for counts in route.requests.values()), strict=True)))
    classes = dict(zip(CODE_CLASSES, by_class or [0] * len(CODE_CLASSES), strict=True))
    rejected = sum(sum(route.rejections.values()) for route in routes)
    ok = classes["2xx"] + classes["3xx"]
    refused = sum(stats.refusals.by_reason.values())
    return ok, classes["4xx"], classes["5xx"], classes["aborted"], refused, rejected


def _grown(before: Sums, after: Sums) -> Sums:
    return tuple(late - early for early, late in zip(before, after, strict=True))
