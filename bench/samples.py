"""What a run has measured: for each figure and proxy the values of its rounds."""

from __future__ import annotations

from statistics import median

DIRECT = "direct"  # in place of a proxy's name: no proxy in between


class Samples:
    """Values by figure and proxy, in the order in which they came."""

    def __init__(self) -> None:
        self.values: dict[str, dict[str, list[float]]] = {}

    def add(self, figure: str, proxy: str, value: float) -> None:
        """Keep one more value."""
        self.values.setdefault(figure, {}).setdefault(proxy, []).append(value)

    def median(self, figure: str, proxy: str) -> float | None:
        """The median of the rounds; None where nothing was measured."""
        values = self.values.get(figure, {}).get(proxy)
        return median(values) if values else None
