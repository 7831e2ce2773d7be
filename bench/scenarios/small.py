"""CPU per small request, keep-alive, 32 connections; plain and TLS upstream."""

from __future__ import annotations

import time

from bench.client import answered
from bench.scenarios import Bench
from bench.site import SMALL, SMALL_TLS, SMALL_UNLIKE

_LOADS = (("cpu_small_s", SMALL), ("cpu_small_unlike_s", SMALL_UNLIKE), ("cpu_small_tls_s", SMALL_TLS))


def measure(bench: Bench) -> None:
    """Adds `cpu_small_s`, `cpu_small_unlike_s`, `cpu_small_tls_s` and `rate_small`."""
    for order in bench.rounds():
        for proxy in order:
            for figure, path in _LOADS:
                cpu_s, begin_s = proxy.process.cpu_s(), time.monotonic()
                requests = answered(proxy.port, path, seconds=bench.plan.load_s, unlike=path == SMALL_UNLIKE)
                bench.samples.add(figure, proxy.name, (proxy.process.cpu_s() - cpu_s) / requests)
                if path == SMALL:
                    bench.samples.add("rate_small", proxy.name, requests / (time.monotonic() - begin_s))
