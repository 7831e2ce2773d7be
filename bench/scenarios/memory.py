"""Memory of proxies that have just been started: serving 32 connections, and per idle connection."""

from __future__ import annotations

import time
from contextlib import ExitStack

from bench.client import Connection, Load
from bench.proxy import Proxy
from bench.scenarios import Bench
from bench.site import SMALL


def measure(bench: Bench) -> None:
    """Adds `memory_bytes`, `memory_unshared_bytes` and `idle_connection_bytes`."""
    for proxy in bench.proxies:
        with Load(proxy.port, SMALL, seconds=2) as load:
            time.sleep(1.5)
            bench.samples.add("memory_bytes", proxy.name, proxy.process.memory_bytes())
            bench.samples.add("memory_unshared_bytes", proxy.name, proxy.process.unshared_bytes())
            load.requests()
        count = bench.plan.idle_connections
        bench.samples.add("idle_connection_bytes", proxy.name, _idle_bytes(proxy, count) / count)


def measure_end(bench: Bench) -> None:
    """Adds `memory_end_bytes`: what is left after everything else."""
    for proxy in bench.proxies:
        bench.samples.add("memory_end_bytes", proxy.name, proxy.process.memory_bytes())


def _idle_bytes(proxy: Proxy, count: int) -> int:
    before = proxy.process.memory_bytes()
    with ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(Connection(proxy.port))
            if connection.get(SMALL).status != 200:
                raise RuntimeError(f"{proxy.name}: not 200 on a new connection")
        return proxy.process.memory_bytes() - before
