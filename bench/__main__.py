"""`python -m bench`: measure, print the report, and after a whole run write it beside this file.

Exit codes: 0 done, 1 a must was measured and not met, 2 it could not be run.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import machine, proxy, site
from bench.plan import FULL, QUICK, Plan
from bench.report import Report
from bench.samples import Samples
from bench.scenarios import Bench, bodies, growth, latency, memory, small, start

SCENARIOS = (memory.measure, small.measure, bodies.measure, latency.measure, memory.measure_end)
ON_NEW_PROXIES = (start.measure, growth.measure)


def main() -> int:
    """Run the benchmark; returns the exit code."""
    options = _options()
    names: list[str] = options.only
    plan = QUICK if options.quick else FULL
    absent = machine.missing(names)
    if absent:
        print(f"bench: not installed: {', '.join(absent)}", file=sys.stderr)
        return 2
    # SIGTERM unwinds like Ctrl-C, so that every started program is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        report = _run(names, plan)
    except KeyboardInterrupt:
        print("bench: stopped", file=sys.stderr)
        return 2
    except (RuntimeError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    print(report.markdown())
    out = options.out or (Path(__file__).parent if plan is FULL and names == list(proxy.COMMANDS) else None)
    if out:
        (out / "RESULTS.md").write_text(report.markdown(), encoding="utf-8")
        (out / "results.json").write_text(report.json(), encoding="utf-8")
    return 1 if report.missed() else 0


def _run(names: list[str], plan: Plan) -> Report:
    cores = machine.cores()
    os.sched_setaffinity(0, {cores.rest})
    _allow_many_files()
    samples = Samples()
    begin_s = time.monotonic()
    with TemporaryDirectory(prefix="bench-") as directory, site.started(Path(directory), cores.rest) as behind:
        with ExitStack() as stack:
            running = [stack.enter_context(proxy.started(name, behind, cores.proxy)) for name in names]
            bench = Bench(behind, cores, plan, running, samples)
            for scenario in SCENARIOS:
                _progress(begin_s, scenario.__module__)
                scenario(bench)
        for scenario in ON_NEW_PROXIES:
            _progress(begin_s, scenario.__module__)
            scenario(bench)
    date = datetime.now(UTC).isoformat(timespec="minutes")
    return Report(date, machine.description(), machine.versions(names), names, asdict(cores), plan, samples)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the sidecar beside other proxies.")
    parser.add_argument("--quick", action="store_true", help="a trial of about a minute; writes nothing without --out")
    parser.add_argument("--only", type=_names, default=list(proxy.COMMANDS), help="of " + ",".join(proxy.COMMANDS))
    parser.add_argument("--out", type=Path, help="the directory for RESULTS.md and results.json")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in proxy.COMMANDS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}")
    return names


def _allow_many_files() -> None:
    """Raise the limit on open files to the most that is allowed; started programs inherit it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _progress(begin_s: float, module: str) -> None:
    print(f"bench: {time.monotonic() - begin_s:4.0f} s  {module.rpartition('.')[2]}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
