"""The report: a table for people (`RESULTS.md`) and the same values for programs (`results.json`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bench.figures import FIGURES, MUSTS, Figure, Must
from bench.plan import Plan
from bench.samples import DIRECT, Samples

_VERDICT = {True: "met", False: "**not met**", None: "not measured"}
_METHOD = """\
The proxies are pinned to {proxy_core}, where only the one under load has work; the load, the upstreams and the token
endpoint are pinned to {rest_core}. The proxies take turns, {rounds} rounds; a value is the median of its rounds,
memory is measured once. Everything is on: gate, metrics, time-outs. The upstream refuses requests without a bearer
token: the sidecar and Envoy (`credential_injector`) exchange one, nginx and haproxy put on a fixed one. CPU is what the
scheduler charged to all threads of the proxy. Memory is PSS; the row below it counts what is shared with other programs
in full."""


@dataclass(frozen=True, slots=True)
class Report:
    """One run, ready to be written."""

    date: str  # UTC, ISO 8601
    machine: dict[str, str]
    versions: dict[str, str]
    proxies: Sequence[str]
    cores: dict[str, int]
    plan: Plan
    samples: Samples

    def missed(self) -> bool:
        """Whether a must was measured and not met."""
        return any(must.met(self.samples) is False for must in MUSTS)

    def markdown(self) -> str:
        """The text of `RESULTS.md`."""
        method = _METHOD.format(
            proxy_core=f"core {self.cores['proxy']}", rest_core=f"core {self.cores['rest']}", rounds=self.plan.rounds
        )
        parts = ["# Benchmark", f"Written by `make bench` on {self.date}.", method]
        parts += ["## What must be reached", self._musts(), "## All figures", self._figures(), self._direct()]
        parts += ["## Machine and versions", _list(self.machine), _list(self.versions)]
        return "\n\n".join(part for part in parts if part) + "\n"

    def json(self) -> str:
        """The text of `results.json`; values in seconds and bytes."""
        musts = [asdict(must) | {"limit": must.limit(self.samples), "met": must.met(self.samples)} for must in MUSTS]
        medians = {
            figure: {name: self.samples.median(figure, name) for name in values}
            for figure, values in self.samples.values.items()
        }
        result = {
            "date": self.date,
            "machine": self.machine,
            "versions": self.versions,
            "plan": asdict(self.plan),
            "medians": medians,
            "musts": musts,
            "samples": self.samples.values,
        }
        return json.dumps(result, indent=1, ensure_ascii=False) + "\n"

    def _musts(self) -> str:
        rows = [self._must(must) for must in MUSTS]
        return _table(["figure", "must", "sidecar", "that is", "verdict"], rows)

    def _must(self, must: Must) -> list[str]:
        figure = _figure(must.figure)
        ours = self.samples.median(must.figure, "sidecar")
        theirs = self.samples.median(must.figure, must.of) if must.of else None
        limit = f"≤ {must.most} x {must.of}" if must.of else f"≤ {figure.show(must.most)}"
        ratio = f"{ours / theirs:.2f} x {must.of}" if ours is not None and theirs else ""
        return [figure.title, limit, figure.show(ours), ratio, _VERDICT[must.met(self.samples)]]

    def _figures(self) -> str:
        rows = [
            [figure.title, *(figure.show(self.samples.median(figure.key, name)) for name in self.proxies)]
            for figure in FIGURES
        ]
        return _table(["", *self.proxies], rows)

    def _direct(self) -> str:
        p50_s, p99_s = (self.samples.median(key, DIRECT) for key in ("p50_s", "p99_s"))
        if p50_s is None or p99_s is None:
            return ""
        return f"Straight to the upstream: p50 {p50_s * 1e6:.0f} µs, p99 {p99_s * 1e6:.0f} µs."


def _figure(key: str) -> Figure:
    return next(figure for figure in FIGURES if figure.key == key)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _list(values: dict[str, str]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in values.items())
