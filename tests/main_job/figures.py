"""Metrics as they were scraped."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families


class Figures:
    """The samples of one scrape.

    Args:
        text: in Prometheus' text format.
    """

    def __init__(self, text: str) -> None:
        self._samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def sum(self, name: str, **labels: str) -> float:
        """Return the sum of all samples of a metric that have these labels; there must be one."""
        values = [
            sample.value
            for sample in self._samples
            if sample.name == name and all(sample.labels.get(label) == value for label, value in labels.items())
        ]
        assert values, f"no sample of {name} with {labels}"
        return float(sum(values))
