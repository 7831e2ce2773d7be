"""How much is measured: the whole run, or a trial. Not what: that is `figures`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Counts and times of one run."""

    rounds: int
    load_s: int  # one run of 32 connections
    bodies: int  # 10 MB bodies per round, each way
    latency_requests: int
    idle_connections: int
    starts: int
    slow_s: float  # how long the slow reader reads


FULL = Plan(rounds=5, load_s=3, bodies=10, latency_requests=2000, idle_connections=2000, starts=7, slow_s=4.0)
QUICK = Plan(rounds=2, load_s=1, bodies=5, latency_requests=1000, idle_connections=1000, starts=2, slow_s=1.5)
