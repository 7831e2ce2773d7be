"""The scenarios: each measures one kind of figure on every proxy, and adds to the samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.machine import Cores
from bench.plan import Plan
from bench.proxy import Proxy
from bench.samples import Samples
from bench.site import Site


@dataclass(frozen=True, slots=True)
class Bench:
    """What a scenario works with: the running proxies, their site, and where the values go."""

    site: Site
    cores: Cores
    plan: Plan
    proxies: Sequence[Proxy]
    samples: Samples

    def rounds(self) -> Iterator[list[Proxy]]:
        """The proxies, once per round, each round beginning with the next one."""
        for number in range(self.plan.rounds):
            begin = number % len(self.proxies)
            yield [*self.proxies[begin:], *self.proxies[:begin]]
