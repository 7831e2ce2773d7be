"""Prometheus' words for what is counted and held. The only place that imports its client library.

Nothing here is on the request path: counts are plain integers (`stats.py`), and
are turned into metrics when somebody scrapes. Every labelled child is there
from the start, so that a zero can be seen and `rate()` misses no first event;
label values come from the configuration and from small fixed sets only.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sidecar import __version__
from sidecar.credentials.status import STATES, CredentialStatus
from sidecar.stats import CODE_CLASSES, Histogram, Stats


@dataclass(frozen=True, slots=True)
class Gauges:
    """What is held right now.

    `ready` is what `/readyz` would say. `upstream_connections` is by route: idle, busy. `reload_at` is
    wall-clock seconds.
    """

    ready: bool
    connections: int
    upstream_connections: Sequence[tuple[str, int, int]]
    tasks: int
    reload_successful: bool
    reload_at: float
    insecure: int


class HeldDown(Protocol):
    """A route, and for how long rejections on it will cause no exchange; 0.0 where they do."""

    @property
    def name(self) -> str: ...

    @property
    def held_down_for_s(self) -> float: ...


class Source(Protocol):
    """Where the figures come from; `app.py` provides it."""

    stats: Stats

    @property
    def routes(self) -> Sequence[HeldDown]:
        """The routes."""
        ...

    def gauges(self) -> Gauges:
        """Return what is held right now."""
        ...

    def credentials(self) -> Sequence[CredentialStatus]:
        """Return a snapshot of every credential."""
        ...


class Metrics:
    """The exposition.

    Args:
        source: where the figures come from.
    """

    def __init__(self, source: Source) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Figures(source))
        ProcessCollector(registry=self._registry)

    def render(self, accept: str | None) -> tuple[bytes, str]:
        """Return the exposition and its content type.

        Args:
            accept: the Accept field of whoever asks; OpenMetrics where it asks for that.
        """
        encode, content_type = choose_encoder(accept or "")
        return encode(self._registry), content_type


class _Figures(Collector):
    def __init__(self, source: Source) -> None:
        self._source = source

    def collect(self) -> Iterable[Metric]:
        """Yield every metric (the client library calls this)."""
        stats = self._source.stats
        stats.count()
        yield _gauge("build_info", "What runs.", ("version", "python"), [((__version__, platform.python_version()), 1)])
        yield from _requests(stats)
        yield from _route_histograms(stats)
        yield from _rejections(stats)
        yield _gauge(
            "route_held_down",
            "1 while exchanging again does not help on a route: a new token was rejected too.",
            ("route",),
            [((route.name,), float(route.held_down_for_s > 0)) for route in self._source.routes],
        )
        yield _counter(
            "refused",
            "Requests that got an answer of ours, by reason.",
            ("reason", "route"),
            [(labels, count) for labels, count in stats.refusals.by_reason.items()],
        )
        yield from _exchanges(stats)
        yield from _credentials(self._source.credentials())
        yield from _gauges(stats, self._source.gauges())


def _counter(name: str, text: str, labels: Sequence[str], samples: Iterable[tuple[Sequence[str], float]]) -> Metric:
    family = CounterMetricFamily(f"sidecar_{name}", text, labels=labels)
    for values, count in samples:
        family.add_metric(values, count)
    return family


def _gauge(name: str, text: str, labels: Sequence[str], samples: Iterable[tuple[Sequence[str], float]]) -> Metric:
    family = GaugeMetricFamily(f"sidecar_{name}", text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _histogram(name: str, text: str, label: str, samples: Iterable[tuple[str, Histogram]]) -> Metric:
    family = HistogramMetricFamily(f"sidecar_{name}", text, labels=[label])
    for value, histogram in samples:
        buckets: list[tuple[str, float]] = []
        count = 0
        for bound, in_bucket in zip((*histogram.bounds, float("inf")), histogram.counts, strict=True):
            count += in_bucket
            buckets.append(("+Inf" if bound == float("inf") else str(bound), count))
        family.add_metric([value], buckets, histogram.total)
    return family


def _requests(stats: Stats) -> Iterator[Metric]:
    yield _counter(
        "requests",
        "Requests that took a route, by method and class of the answer's status.",
        ("route", "method", "code_class"),
        (
            ((name, method.decode(), code_class), count)
            for name, route in stats.routes.items()
            for method, counts in route.requests.items()
            for code_class, count in zip(CODE_CLASSES, counts, strict=True)
        ),
    )


def _route_histograms(stats: Stats) -> Iterator[Metric]:
    def of(attribute: str) -> list[tuple[str, Histogram]]:
        return [(name, getattr(route, attribute)) for name, route in stats.routes.items()]

    yield _histogram(
        "request_duration_seconds", "From a request's head to the end of its answer.", "route", of("duration")
    )
    yield _histogram("upstream_ttfb_seconds", "From sending a request to its answer's head.", "route", of("ttfb"))
    yield _histogram("overhead_seconds", "The part of a request that is spent in the sidecar.", "route", of("overhead"))
    yield _histogram("token_wait_seconds", "How long requests waited that found no token.", "route", of("token_wait"))


def _rejections(stats: Stats) -> Iterator[Metric]:
    def of(attribute: str) -> list[tuple[tuple[str, str], float]]:
        return [
            ((name, kind), count)
            for name, route in stats.routes.items()
            for kind, count in getattr(route, attribute).items()
        ]

    yield _counter("rejections", "Tokens of ours that the upstream did not take.", ("route", "kind"), of("rejections"))
    yield _counter("replays", "Requests sent again with another token.", ("route", "outcome"), of("replays"))
    yield _counter(
        "upstream_failures", "Requests that the upstream did not answer properly.", ("route", "phase"), of("failures")
    )


def _exchanges(stats: Stats) -> Iterator[Metric]:
    yield _counter(
        "exchanges",
        "Exchanges of an API key for a token.",
        ("credential", "outcome", "trigger"),
        (
            ((name, outcome, trigger), count)
            for name, credential in stats.credentials.items()
            for (outcome, trigger), count in credential.exchanges.items()
        ),
    )
    yield _histogram(
        "exchange_duration_seconds",
        "How long exchanges take.",
        "credential",
        [(name, credential.duration) for name, credential in stats.credentials.items()],
    )


def _credentials(credentials: Sequence[CredentialStatus]) -> Iterator[Metric]:
    label = ("credential",)
    yield _gauge(
        "exchange_consecutive_failures",
        "Exchanges that failed since the last that did not.",
        label,
        [((c.name,), c.consecutive_failures) for c in credentials],
    )
    yield _gauge(
        "credential_state",
        "1 for the state that a credential is in.",
        ("credential", "state"),
        [((c.name, state), float(c.state == state)) for c in credentials for state in STATES],
    )
    moments = (
        ("token_expiry_timestamp_seconds", "When the token expires.", "expires_at"),
        ("token_obtained_timestamp_seconds", "When the token was obtained.", "obtained_at"),
        ("token_next_refresh_timestamp_seconds", "When the next token is due.", "next_refresh_at"),
    )
    for name, text, attribute in moments:
        yield _gauge(name, text, label, [((c.name,), getattr(c, attribute) or 0.0) for c in credentials])
    # Not to be had from the expiry: a token without one has 0 there, and so has a credential without a token.
    yield _gauge(
        "token_valid",
        "1 while an unexpired token is held.",
        label,
        [((c.name,), float(c.usable)) for c in credentials],
    )
    yield _gauge(
        "credential_info",
        "Where the API key comes from, and the fingerprint of the one in use.",
        ("credential", "source", "fingerprint"),
        [((c.name, c.source, c.fingerprint), 1) for c in credentials],
    )


def _gauges(stats: Stats, now: Gauges) -> Iterator[Metric]:
    yield _gauge(
        "requests_in_flight",
        "Requests on their way.",
        ("route",),
        [((name,), route.in_flight) for name, route in stats.routes.items()],
    )
    yield _gauge("ready", "1 while /readyz answers 200.", (), [((), float(now.ready))])
    yield _gauge("connections", "Connections of apps.", (), [((), now.connections)])
    yield _gauge(
        "insecure_settings", "Upstreams and token endpoints that have `insecure: true`.", (), [((), now.insecure)]
    )
    yield _gauge(
        "tasks", "One for each connection to a listener of ours, and a few of the process's own.", (), [((), now.tasks)]
    )
    yield _gauge(
        "upstream_connections",
        "Connections to upstreams.",
        ("route", "state"),
        [
            ((name, state), count)
            for name, idle, busy in now.upstream_connections
            for state, count in (("idle", idle), ("busy", busy))
        ],
    )
    yield _gauge(
        "config_reload_successful",
        "Whether the configuration was taken when it was last read.",
        (),
        [((), float(now.reload_successful))],
    )
    yield _gauge(
        "config_last_reload_success_timestamp_seconds",
        "When a configuration was last taken.",
        (),
        [((), now.reload_at)],
    )
