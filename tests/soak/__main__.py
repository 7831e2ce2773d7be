"""`python -m tests.soak`: two million requests with all that befalls them; exit code 1 where a bound is broken."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from tests.soak.report import report
from tests.soak.run import Options, on_terminal, soak


def main() -> int:
    """Run it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=2_000_000)
    parser.add_argument("--apps", type=int, default=64, help="connections at a time")
    parser.add_argument("--most-seconds", type=float, default=1500.0, help="after these it is broken off")
    asked = parser.parse_args()
    # SIGTERM unwinds like Ctrl-C, so that the sidecar is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = Options(asked.requests, asked.apps, asked.most_seconds)
    with TemporaryDirectory(prefix="soak-") as directory, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            result = runner.run(soak(options, Path(directory), on_terminal))
        except KeyboardInterrupt:
            return 1
    print(report(result))
    return 1 if result.broken else 0


sys.exit(main())
