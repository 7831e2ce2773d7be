"""Its outputs closed, full, or read by nobody any more: it serves, and what it cannot write it does without."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.command import environment
from tests.fakes import always, response, until, upstream
from tests.main_job.client import Admin, Client
from tests.main_job.process import SidecarProcess
from tests.servers.process import accepts

# What a shell does with both outputs before it becomes the sidecar.
OUTPUTS = {
    "closed": 'exec "$@" >&- 2>&-',
    "all closed": 'exec "$@" <&- >&- 2>&-',
    "full": 'exec "$@" >/dev/full 2>&1',
    "nobody reads": 'exec "$@" 2>&1',
}


@contextmanager
def started(process: SidecarProcess, how: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start it with such outputs."""
    reading, writing = os.pipe()
    command = ["sh", "-c", OUTPUTS[how], "sh", sys.executable, "-m", "sidecar", "run", "-c", str(process.file)]
    begun = subprocess.Popen(command, env=environment({"MUTE_KEY": "key-of-the-mute"}), stdin=0, stdout=writing)
    os.close(writing)
    os.close(reading)
    try:
        yield begun
    finally:
        if begun.poll() is None:
            begun.kill()
        begun.wait()


@pytest.mark.parametrize("how", OUTPUTS)
async def test_it_serves_without_its_outputs(how: str, tmp_path: Path) -> None:
    """From its start to its end by a signal, which is a good one; with a log that has a line for each request."""
    async with upstream(always(response())) as server:
        process = SidecarProcess(
            tmp_path,
            {
                "upstream": f"http://127.0.0.1:{server.port}",
                "credential": {"preset": "static", "api_key": {"env": "MUTE_KEY"}},
            },
        )
        app, admin = Client(process.port), Admin(process.admin_port)
        with started(process, how) as begun:
            await until(lambda: accepts(process.admin_port), within_s=10)
            await admin.ready()
            for target in ("/", "/nowhere", "/"):
                assert (await app.ask("GET", target)).status == 200
            assert (await app.ask("TRACE")).status == 405
            targets = {os.readlink(f"/proc/{begun.pid}/fd/{number}") for number in (0, 1, 2)}
            assert not any(target.startswith("socket:") for target in targets), targets
            begun.send_signal(signal.SIGTERM)
            await until(lambda: begun.poll() is not None, within_s=5)
            assert begun.returncode == 0
