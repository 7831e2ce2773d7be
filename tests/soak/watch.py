"""What the soaked process holds: memory over time, descriptors, connections and tasks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from tests.main_job.client import Admin

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds at a moment; all but `descriptors` as its metrics have it."""

    descriptors: int
    connections: float
    upstream_connections: float
    in_flight: float
    tasks: float

    def exceeds(self, other: Held) -> bool:
        """Whether there is more of anything than there."""
        return any(ours > theirs for ours, theirs in zip(astuple(self), astuple(other), strict=True))


async def held(pid: int, admin_port: int) -> Held:
    """Return what a sidecar holds now; the connection that asks is not counted."""
    figures = await Admin(admin_port).figures()
    return Held(
        descriptors=len(os.listdir(f"/proc/{pid}/fd")),
        connections=figures.sum("sidecar_connections"),
        upstream_connections=figures.sum("sidecar_upstream_connections"),
        in_flight=figures.sum("sidecar_requests_in_flight"),
        tasks=figures.sum("sidecar_tasks"),
    )


def resident_bytes(pid: int) -> int:
    """Return how much memory a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


def slope(samples: Sequence[tuple[int, int]]) -> float:
    """Return how many bytes memory grows per request, by least squares.

    Args:
        samples: at least two, of requests done and bytes held.
    """
    mean_x = sum(done for done, _ in samples) / len(samples)
    mean_y = sum(size for _, size in samples) / len(samples)
    spread = sum((done - mean_x) ** 2 for done, _ in samples)
    return sum((done - mean_x) * (size - mean_y) for done, size in samples) / spread
