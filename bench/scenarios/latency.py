"""Added latency: one connection through a proxy, against one straight to the upstream, in the same round."""

from __future__ import annotations

import time
from statistics import quantiles

from bench.client import Connection
from bench.samples import DIRECT
from bench.scenarios import Bench
from bench.site import SMALL

WARM_UP = 100


def measure(bench: Bench) -> None:
    """Adds `added_p50_s` and `added_p99_s`, and the direct `p50_s` and `p99_s`."""
    count = bench.plan.latency_requests
    for order in bench.rounds():
        with Connection(bench.site.plain_port, token=bench.site.token) as connection:
            direct = _percentiles(connection, count)
        bench.samples.add("p50_s", DIRECT, direct[0])
        bench.samples.add("p99_s", DIRECT, direct[1])
        for proxy in order:
            with Connection(proxy.port) as connection:
                p50_s, p99_s = _percentiles(connection, count)
            bench.samples.add("added_p50_s", proxy.name, p50_s - direct[0])
            bench.samples.add("added_p99_s", proxy.name, p99_s - direct[1])


def _percentiles(connection: Connection, count: int) -> tuple[float, float]:
    for _ in range(WARM_UP):
        connection.get(SMALL)
    times_s = []
    for _ in range(count):
        begin_s = time.perf_counter()
        if connection.get(SMALL).status != 200:
            raise RuntimeError("latency: not 200")
        times_s.append(time.perf_counter() - begin_s)
    cuts = quantiles(times_s, n=100)
    return cuts[49], cuts[98]
