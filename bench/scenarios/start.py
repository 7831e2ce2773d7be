"""How long the sidecar takes from exec to listening, and to its first answered request. Files are in the page cache."""

from __future__ import annotations

import time

from bench.process import wait_listening
from bench.proxy import launched, wait_answering
from bench.scenarios import Bench
from bench.site import SMALL


def measure(bench: Bench) -> None:
    """Adds `listening_s` and `answered_s`, of the sidecar alone."""
    if all(proxy.name != "sidecar" for proxy in bench.proxies):
        return
    for _ in range(bench.plan.starts):
        begin_s = time.monotonic()
        with launched("sidecar", bench.site, bench.cores.proxy) as proxy:
            wait_listening(proxy.process, proxy.port)
            bench.samples.add("listening_s", proxy.name, time.monotonic() - begin_s)
            wait_answering(proxy, SMALL)
            bench.samples.add("answered_s", proxy.name, time.monotonic() - begin_s)
