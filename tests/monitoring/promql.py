"""What a PromQL expression reads: as much of its grammar as the dashboard and the alerts use."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# `up` is Prometheus' own; the client library adds the process's.
_SELECTOR = re.compile(r"\b(?P<name>sidecar_\w+|process_\w+|up)\b(?:\{(?P<matchers>[^}]*)\})?")
_MATCHER = re.compile(r'(?P<label>\w+)\s*(?P<how>=~|!~|!=|=)\s*"(?P<value>[^"]*)"')


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label; `how` is `=`, `!=`, `=~` or `!~`."""

    label: str
    how: str
    value: str

    @property
    def alternatives(self) -> Sequence[str]:
        """The values that it names."""
        return self.value.split("|") if self.how in ("=~", "!~") else [self.value]


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric and the conditions on its labels; `text` is how it is written."""

    text: str
    name: str
    matchers: Sequence[Matcher]


def selectors(expression: str) -> list[Selector]:
    """Return what an expression reads, in its order."""
    return [
        Selector(
            found[0],
            found["name"],
            [Matcher(one["label"], one["how"], one["value"]) for one in _MATCHER.finditer(found["matchers"] or "")],
        )
        for found in _SELECTOR.finditer(expression)
    ]
