"""How long and how much the data plane may wait and hold, as values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long each phase of an upstream request may take."""

    connect_s: float = 5.0
    head_s: float = 60.0
    idle_s: float = 60.0


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """Upstream connections: the most at a time, and how long an idle one is kept."""

    most: int = 256
    idle_s: float = 90.0
