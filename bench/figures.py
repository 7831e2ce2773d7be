"""The figures that are reported, and what the sidecar must reach. Values here, no arithmetic but the comparison."""

from __future__ import annotations

from dataclasses import dataclass

from bench.samples import Samples


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. A value times `scale` is shown in `unit` with `digits` decimals."""

    key: str
    title: str
    unit: str
    scale: float = 1.0
    digits: int = 1

    def show(self, value: float | None) -> str:
        """The value with its unit, or a dash."""
        return "-" if value is None else f"{value * self.scale:,.{self.digits}f} {self.unit}"


@dataclass(frozen=True, slots=True)
class Must:
    """The sidecar's `figure` is at most `most`: an amount, or where `of` names a proxy, so many times its."""

    figure: str
    most: float
    of: str | None = None

    def limit(self, samples: Samples) -> float | None:
        """The amount allowed in this run; None where the other proxy was not measured."""
        if self.of is None:
            return self.most
        theirs = samples.median(self.figure, self.of)
        return None if theirs is None else self.most * theirs

    def met(self, samples: Samples) -> bool | None:
        """Whether it is reached; None where it was not measured."""
        ours, limit = samples.median(self.figure, "sidecar"), self.limit(samples)
        return None if ours is None or limit is None else ours <= limit


FIGURES = (
    Figure("cpu_small_s", "CPU per small request, plain upstream, 32 connections", "µs", 1e6),
    Figure("cpu_small_unlike_s", "the same, no two heads alike on either side", "µs", 1e6),
    Figure("cpu_small_tls_s", "CPU per small request, TLS upstream, 32 connections", "µs", 1e6),
    Figure("rate_small", "requests per second, plain upstream, 32 connections", "/s", 1.0, 0),
    Figure("cpu_download_s", "CPU per 10 MB download", "ms", 1e3, 2),
    Figure("cpu_upload_s", "CPU per 10 MB upload", "ms", 1e3, 2),
    Figure("added_p50_s", "added latency, p50, 1 connection", "µs", 1e6),
    Figure("added_p99_s", "added latency, p99, 1 connection", "µs", 1e6),
    Figure("memory_bytes", "memory (PSS) serving 32 connections", "MB", 1e-6),
    Figure("memory_unshared_bytes", "memory serving 32 connections, nothing shared with other programs", "MB", 1e-6),
    Figure("idle_connection_bytes", "memory per idle connection", "KB", 1e-3),
    Figure("memory_end_bytes", "memory (PSS) after the whole run", "MB", 1e-6),
    Figure("listening_s", "`run` to listening", "s", 1.0, 3),
    Figure("answered_s", "`run` to the first answered request", "s", 1.0, 3),
    Figure("growth_download_bytes", "memory growth, 256 MB download", "MB", 1e-6, 2),
    Figure("growth_upload_bytes", "memory growth, 256 MB upload", "MB", 1e-6, 2),
    Figure("growth_slow_bytes", "memory growth, slow reader (20 MB/s)", "MB", 1e-6, 2),
)

MUSTS = (
    Must("cpu_small_s", 0.6, of="envoy"),
    Must("cpu_small_s", 1.7, of="nginx"),
    Must("cpu_small_tls_s", 0.9, of="envoy"),
    Must("cpu_download_s", 1.2, of="envoy"),
    Must("cpu_upload_s", 1.2, of="envoy"),
    Must("added_p50_s", 1.5, of="nginx"),
    Must("memory_bytes", 40e6),
    Must("memory_unshared_bytes", 40e6),
    Must("idle_connection_bytes", 12e3),
    Must("listening_s", 0.4),
    Must("answered_s", 0.9),
    Must("growth_download_bytes", 4e6),
    Must("growth_upload_bytes", 4e6),
    Must("growth_slow_bytes", 4e6),
)
