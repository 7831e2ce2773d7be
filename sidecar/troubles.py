"""The requests that were refused or failed, for a person who looks: the last of each kind, and how often.

Not a log, and not the counters of `stats.py`. One kind is a method, a route, a status and our own words for why,
so that a flood of one takes one place of `MOST_KINDS` and pushes nothing else out. The rule: nothing of a
request is kept but a method that is one of ours; no path, no query, no field, no byte of a body.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from sidecar.errors import Answerable
from sidecar.stats import METHODS, OTHER_METHOD

MOST_KINDS: Final = 50
# What is said of an upstream's rejection that an app was shown.
REJECTED = "rejected"

_Kind = tuple[bytes, str, int, str, str]


class Trouble(NamedTuple):
    """One kind of request that went wrong.

    `route` is "" where it came to none; `status` 0 where an answer was cut. `first_at` and `last_at` are wall-clock
    seconds. `remedy` is None where the error names none.
    """

    method: str
    route: str
    status: int
    reason: str
    detail: str
    remedy: str | None
    times: int
    first_at: float
    last_at: float


class Troubles:
    """The last kinds of trouble.

    Args:
        wall: wall-clock seconds.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._kinds: OrderedDict[_Kind, tuple[int, float, float, str | None]] = OrderedDict()

    def note(self, error: Answerable, *, method: bytes = b"", route: str = "", cut: bool = False) -> None:
        """Note a request that got an answer of ours.

        Args:
            method: the request's; b"" where none could be read.
            cut: an answer had begun, and its connection was cut instead.
        """
        self._add((_known(method), route, 0 if cut else error.status, error.reason, error.detail), error.remedy)

    def note_rejection(self, method: bytes, route: str, status: int, remedy: str) -> None:
        """Note that an upstream's rejection of our token was passed on to the app."""
        detail = "the upstream rejected the token, and its answer was passed on"
        self._add((_known(method), route, status, REJECTED, detail), remedy)

    def _add(self, kind: _Kind, remedy: str | None) -> None:
        now = self._wall()
        known = self._kinds.get(kind)
        if known is None:
            if len(self._kinds) >= MOST_KINDS:
                self._kinds.popitem(last=False)
            self._kinds[kind] = (1, now, now, remedy)
        else:
            self._kinds[kind] = (known[0] + 1, known[1], now, remedy)
            self._kinds.move_to_end(kind)

    def last(self) -> list[Trouble]:
        """Return each kind, the newest first."""
        return [
            Trouble(method.decode(), route, status, reason, detail, remedy, times, first_at, last_at)
            for (method, route, status, reason, detail), (times, first_at, last_at, remedy) in reversed(
                self._kinds.items()
            )
        ]


def _known(method: bytes) -> bytes:
    """Return a method that may be shown: what a request calls one could be anything."""
    return method if not method or method in METHODS else OTHER_METHOD
