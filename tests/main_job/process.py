"""A sidecar as its users run it: `sidecar run -c FILE`, in a process of its own, on free ports."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import yaml

from tests.cli.command import environment
from tests.fakes import until
from tests.main_job.canary import found
from tests.ports import free_port
from tests.servers.process import ServerProcess, answers

# In base64: `{"`, with which every JWT begins.
JWT_START = "eyJ"


class SidecarProcess(ServerProcess):
    """One process, configured by a file of its own.

    Args:
        directory: an existing one, for the file and the output.
        configuration: what the file says; the two addresses are added to it, and a log that says all it can.
        environ: variables added to ours.
    """

    def __init__(
        self, directory: Path, configuration: Mapping[str, object], environ: Mapping[str, str] | None = None
    ) -> None:
        self.port, self.admin_port = free_port(), free_port()
        self.file = directory / "sidecar.yaml"
        self.admin = f"127.0.0.1:{self.admin_port}"
        command = [sys.executable, "-m", "sidecar", "run", "-c", str(self.file)]
        super().__init__(command, directory, ready=lambda: answers(f"http://{self.admin}/livez"))
        self._environment = environment(environ)
        self.configure(configuration)

    def configure(self, configuration: Mapping[str, object]) -> None:
        """Write the file anew; the process takes it at its start, and when it is told to reload."""
        whole = {
            "listen": f"127.0.0.1:{self.port}",
            "admin": {"listen": self.admin},
            "log": {"level": "debug", "access": True},
            **configuration,
        }
        # Through JSON: what is the same object twice would be written as an anchor and an alias.
        self.file.write_text(yaml.safe_dump(json.loads(json.dumps(whole)), sort_keys=False))

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    async def ended(self, within_s: float) -> int:
        """Wait for its end; return its exit code.

        Raises:
            TimeoutError: it has not ended in time.
        """
        assert self._process is not None, "not started"
        process = self._process
        await until(lambda: process.poll() is not None, within_s)
        return process.returncode

    async def said(self, text: str, within_s: float = 5.0) -> None:
        """Wait until its output holds this text."""
        await until(lambda: text in self.output(), within_s)

    # Memory, as Linux counts it

    def resident_bytes(self) -> int:
        """Return how much memory it holds now."""
        return self._status_bytes("VmRSS")

    def peak_bytes(self) -> int:
        """Return the most that it has held since its start, or since `forget_peak`."""
        return self._status_bytes("VmHWM")

    def forget_peak(self) -> None:
        """Count the peak anew, from what it holds now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def _status_bytes(self, name: str) -> int:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


@asynccontextmanager
async def running(
    directory: Path,
    configuration: Mapping[str, object],
    environ: Mapping[str, str] | None = None,
    *,
    preload: Mapping[str, str] | None = None,
) -> AsyncIterator[SidecarProcess]:
    """Run a sidecar until the block ends, however it ends; the test's own loop goes on meanwhile.

    At its end the process must have met no defect, and have said nothing of the keys in its environment or of a JWT.

    Args:
        preload: variables that are no secrets.
    """
    process = SidecarProcess(directory, configuration, {**(environ or {}), **(preload or {})})
    await asyncio.to_thread(process.start)
    try:
        yield process
    finally:
        await asyncio.to_thread(process.stop)
    output = process.output()
    assert "Traceback" not in output and "please report this" not in output, output
    assert found([value.encode() for value in (environ or {}).values()], output.encode()) == []
    assert JWT_START not in output
