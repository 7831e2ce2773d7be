"""The program's metrics as they are, names and labels: what queries may ask for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from sidecar.metrics import Metrics
from tests.fakes import Tokens, always, response
from tests.wire.running import with_tokens

# Metric, then label, then its values.
Exposition = Mapping[str, Mapping[str, set[str]]]

# What Prometheus adds to every series.
TARGET_LABELS = frozenset(("job", "namespace", "pod", "instance"))


async def exposition() -> Exposition:
    """Return what a sidecar with one route and one credential exposes, and Prometheus' own `up`."""
    async with with_tokens(always(response()), Tokens()) as (running, _):
        await running.ask()
        text, _content_type = Metrics(running.app).render(None)
    found: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            labels = found[sample.name]
            for label, value in sample.labels.items():
                labels[label].add(value)
    return {**found, "up": {}}
