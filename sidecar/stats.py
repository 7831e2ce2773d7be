"""What is counted on the request path: plain integers, so that counting costs next to nothing.

`metrics.py` turns them into Prometheus' words when it is asked. (A counter of
its client library costs 1 us an increment, a histogram 3; a request has five
of them.) The path itself only notes what it measured; the notes are counted
`BATCH` at a time, in a loop that is warm in the processor's caches, which
costs a third of counting each by itself.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from sidecar.credentials.status import TRIGGERS, ExchangeRecord
from sidecar.errors import EXCHANGE_OUTCOMES

# OpenTelemetry's buckets for HTTP durations, in seconds.
DURATION_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
# Our own part of a request is some ten microseconds.
OVERHEAD_BOUNDS_S = (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1, 1.0)

REASONS_BEFORE_A_ROUTE = (
    *("malformed", "framing", "target", "host", "origin", "head_too_large", "too_slow", "expect", "method"),
    *("http2_preface", "require_header", "require_token", "peer", "connections", "descriptors", "no_route"),
)
REASONS_ON_A_ROUTE = (
    *("rule", "path", "agent_safe", "no_token", "no_key", "key_rejected", "budget", "waiting", "stopping"),
    *("upstream_pool_full", "descriptors", "framing", "too_slow", "rejected"),
)
# How many notes are held at most before they are counted.
BATCH = 256

METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS")
OTHER_METHOD = b"_OTHER"
CODE_CLASSES = ("2xx", "3xx", "4xx", "5xx", "aborted")
REJECTION_KINDS = ("expired", "revoked", "forbidden")
REPLAY_OUTCOMES = ("ok", "rejected", "failed")
FAILURE_PHASES = ("connect", "tls", "send", "head", "body")


class Histogram:
    """Counts by bucket.

    Args:
        bounds: the buckets' upper bounds, ascending; one without bound is added.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


# A request that is done: its method and status (0: none, or not whole); then when it began, how long it waited for a
# token or a connection, when it was sent, answered and relayed (0 where it was not), and when it was done, in seconds
# of one clock.
Note = tuple[bytes, int, float, float, float, float, float, float]


class RouteStats:
    """What is counted for one route; `count()` brings it up to date."""

    __slots__ = (
        "_notes",
        "duration",
        "failures",
        "in_flight",
        "overhead",
        "rejections",
        "replays",
        "requests",
        "token_wait",
        "ttfb",
    )

    def __init__(self) -> None:
        self._notes: list[Note] = []
        # By method, then by code class.
        self.requests = {method: [0] * len(CODE_CLASSES) for method in (*METHODS, OTHER_METHOD)}
        self.duration = Histogram(DURATION_BOUNDS_S)
        self.ttfb = Histogram(DURATION_BOUNDS_S)
        self.overhead = Histogram(OVERHEAD_BOUNDS_S)
        self.token_wait = Histogram(DURATION_BOUNDS_S)
        self.in_flight = 0
        self.rejections = dict.fromkeys(REJECTION_KINDS, 0)
        self.replays = dict.fromkeys(REPLAY_OUTCOMES, 0)
        self.failures = dict.fromkeys(FAILURE_PHASES, 0)

    def note(self, note: Note) -> None:
        """Take in a request that is done."""
        self.in_flight -= 1
        self._notes.append(note)
        if len(self._notes) >= BATCH:
            self.count()

    def count(self) -> None:
        """Count what was noted. `Histogram.observe` is written out here: three calls a request cost 0.4 us."""
        notes, self._notes = self._notes, []
        duration, ttfb, overhead, requests = self.duration, self.ttfb, self.overhead, self.requests
        durations, ttfbs, overheads = duration.counts, ttfb.counts, overhead.counts
        duration_s = ttfb_s = overhead_s = 0.0
        for method, status, began_at, waited_s, sent_at, answered_at, relayed_at, done_at in notes:
            value = done_at - began_at
            durations[bisect_left(DURATION_BOUNDS_S, value)] += 1
            duration_s += value
            if answered_at:
                value = answered_at - sent_at
                ttfbs[bisect_left(DURATION_BOUNDS_S, value)] += 1
                ttfb_s += value
            if relayed_at:
                value = own_part_s(began_at, waited_s, sent_at, answered_at, relayed_at)
                overheads[bisect_left(OVERHEAD_BOUNDS_S, value)] += 1
                overhead_s += value
            code_class = status // 100 - 2 if 200 <= status < 600 else _odd_class(status)
            (requests.get(method) or requests[OTHER_METHOD])[code_class] += 1
        duration.total += duration_s
        ttfb.total += ttfb_s
        overhead.total += overhead_s


def own_part_s(began_at: float, waited_s: float, sent_at: float, answered_at: float, relayed_at: float) -> float:
    """Return our own part of a request's time: not the waiting for a token, a connection or the upstream."""
    return sent_at - began_at - waited_s + relayed_at - answered_at


def _odd_class(status: int) -> int:
    """Return the class of a status that names none: 101 is a success, 0 was aborted, past 599 is a server's error."""
    return 0 if status == 101 else len(CODE_CLASSES) - (2 if status else 1)


class CredentialStats:
    """What is counted for one credential."""

    __slots__ = ("duration", "exchanges")

    def __init__(self) -> None:
        self.exchanges = {(outcome, trigger): 0 for outcome in EXCHANGE_OUTCOMES for trigger in TRIGGERS}
        self.duration = Histogram(DURATION_BOUNDS_S)

    def exchanged(self, record: ExchangeRecord) -> None:
        """Count one exchange."""
        self.exchanges[record.outcome, record.trigger] += 1
        self.duration.observe(record.duration_s)


class Refusals:
    """How often requests were refused, by reason. Reasons are words of ours, never of a request."""

    def __init__(self) -> None:
        self.by_reason: dict[tuple[str, str], int] = {(reason, ""): 0 for reason in REASONS_BEFORE_A_ROUTE}

    def expect(self, route: str) -> None:
        """Have a zero for everything that can be refused on a route: a first refusal is then seen as an increase."""
        for reason in REASONS_ON_A_ROUTE:
            self.by_reason.setdefault((reason, route), 0)

    def count(self, reason: str, route: str) -> None:
        """Count one refusal."""
        key = (reason, route)
        self.by_reason[key] = self.by_reason.get(key, 0) + 1


class Stats:
    """All that is counted. It outlives a reload: what keeps its name goes on counting."""

    def __init__(self) -> None:
        self.routes: dict[str, RouteStats] = {}
        self.credentials: dict[str, CredentialStats] = {}
        self.refusals = Refusals()

    def route(self, name: str) -> RouteStats:
        """Return what is counted for a route."""
        self.refusals.expect(name)
        return self.routes.setdefault(name, RouteStats())

    def count(self) -> None:
        """Bring every route up to date."""
        for route in self.routes.values():
            route.count()

    def credential(self, name: str) -> CredentialStats:
        """Return what is counted for a credential."""
        return self.credentials.setdefault(name, CredentialStats())
