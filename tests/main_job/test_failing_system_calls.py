"""System calls that fail, by strace's fault injection: it serves, and says what is wrong where that can be mended.

ptrace is denied in some containers: there these are skipped with the reason, or fail where `CI=true`.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from sidecar.vendor.server import DEMO_KEY
from tests.main_job.client import Admin, Client
from tests.main_job.configuration import Section, route, vendor_credential
from tests.main_job.process import SidecarProcess
from tests.main_job.vendors import vendor
from tests.servers import programs

# In it the key's file is looked at more than once.
LOOKS_S = 2.2


def injecting(*arguments: str) -> list[str]:
    """Return what to put before a command; the command stays the process that is started.

    Raises:
        pytest.skip.Exception, or pytest.fail.Exception where `CI=true`: strace is missing, or may not trace.
    """
    strace = str(programs.require("strace"))
    tried = subprocess.run(
        [strace, "-f", "-qq", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        programs.unavailable(f"strace may not trace here: {tried.stderr.strip()}")
    return [strace, "-D", "-f", "-qq", "-o", "/dev/null", *arguments]


async def serves_under(faults: Sequence[str], directory: Path, configuration: Section, seconds: float) -> str:
    """Start with these faults, serve requests for so long, end by a signal; return what it has said."""
    process = SidecarProcess(directory, configuration)
    process.command = [*faults, *process.command]
    await asyncio.to_thread(process.start)
    try:
        client, admin = Client(process.port), Admin(process.admin_port)
        await admin.ready()
        for _ in range(5):
            assert (await client.ask("GET", "/crm/me")).status == 200
            await asyncio.sleep(seconds / 5)
        assert (await admin.ask("GET", "/readyz")).status == 200
        process.signal(signal.SIGTERM)
        assert await process.ended(within_s=5.0) == 0
    finally:
        await asyncio.to_thread(process.stop)
    return process.output()


@pytest.mark.parametrize("fault", ["log", "key", "random"])
async def test_it_serves_on(fault: str, tmp_path: Path) -> None:
    """A log on a full disk; a key file that cannot be read any more; a kernel without getrandom."""
    file = tmp_path / "key"
    file.write_text(DEMO_KEY)
    file.chmod(0o600)
    faults = {
        "log": ("-P", str(tmp_path / "output.log"), "-e", "inject=write:error=ENOSPC:when=5+"),
        "key": ("-P", str(file), "-e", "inject=openat:error=EIO:when=2+"),
        "random": ("--seccomp-bpf", "-e", "trace=getrandom", "-e", "inject=getrandom:error=ENOSYS"),
    }
    async with vendor() as server:
        credential = vendor_credential(server, api_key={"file": str(file)})
        configuration = {"credentials": {"crm": credential}, "routes": [route("crm", server.url, "crm")]}
        seconds = LOOKS_S if fault == "key" else 0.1
        said = await serves_under(injecting(*faults[fault]), tmp_path, configuration, seconds)
        assert server.journal.counters.exchanges == 1
    assert "Traceback" not in said
    if fault == "key":
        assert said.count("Input/output error") == 1
    if fault == "log":
        assert len(said.splitlines()) == 4
