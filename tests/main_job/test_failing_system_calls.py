"""System calls that fail, by strace's fault injection: it serves, and says what is wrong where that can be mended.

ptrace is denied in some containers: there these are skipped with the reason. Where strace itself cannot be had, that is
a failure with `CI=true`.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from sidecar.credentials.key_in_use import SETTLE_S
from sidecar.vendor.server import DEMO_KEY, Vendor
from tests.fakes import until
from tests.main_job.client import Admin, Client
from tests.main_job.configuration import Section, route, vendor_credential
from tests.main_job.process import SidecarProcess, running
from tests.main_job.vendors import vendor
from tests.servers import programs


def injecting(*arguments: str) -> list[str]:
    """Return what to put before a command; the command stays the process that is started.

    Raises:
        pytest.skip.Exception: strace may not trace, or is missing (where `CI=true` pytest.fail.Exception).
    """
    strace = str(programs.require("strace"))
    tried = subprocess.run(
        [strace, "-f", "-qq", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        pytest.skip(f"strace may not trace here: {tried.stderr.strip()}")
    return [strace, "-D", "-f", "-qq", "-o", "/dev/null", *arguments]


async def serves_under(faults: Sequence[str], directory: Path, configuration: Section) -> str:
    """Start with these faults, serve requests, end by a signal; return what it has said."""
    process = SidecarProcess(directory, configuration)
    process.command = [*faults, *process.command]
    await asyncio.to_thread(process.start)
    try:
        client, admin = Client(process.port), Admin(process.admin_port)
        await admin.ready()
        for _ in range(5):
            assert (await client.ask("GET", "/crm/me")).status == 200
        assert (await admin.ask("GET", "/readyz")).status == 200
        process.signal(signal.SIGTERM)
        assert await process.ended(within_s=5.0) == 0
    finally:
        await asyncio.to_thread(process.stop)
    return process.output()


@pytest.mark.parametrize("fault", ["log", "random"])
async def test_it_serves_on(fault: str, tmp_path: Path) -> None:
    """A log on a full disk; a kernel without getrandom."""
    faults = {
        "log": ("-P", str(tmp_path / "output.log"), "-e", "inject=write:error=ENOSPC:when=5+"),
        "random": ("--seccomp-bpf", "-e", "trace=getrandom", "-e", "inject=getrandom:error=ENOSYS"),
    }
    async with vendor() as server:
        said = await serves_under(injecting(*faults[fault]), tmp_path, with_key_file(server, tmp_path))
        assert server.journal.counters.exchanges == 1
    assert "Traceback" not in said
    if fault == "log":
        assert len(said.splitlines()) == 4


async def test_a_key_file_that_cannot_be_opened_any_more(tmp_path: Path) -> None:
    """It is said once, after the second look in vain; the key in use stays, and so does its token."""
    async with vendor() as server, running(tmp_path, with_key_file(server, tmp_path)) as process:
        client, admin = Client(process.port), Admin(process.admin_port)
        await admin.ready()
        # Counted from here on, and by thread: each look has one of its own, so that `when=2+` would never come.
        faults = injecting("-P", str(tmp_path / "key"), "-e", "inject=openat:error=EIO", "-p", str(process.pid))
        tracer = subprocess.Popen([*faults[:1], *faults[2:]])
        try:
            await until(lambda: "Input/output error" in process.output() or tracer.poll() is not None, within_s=10)
            if tracer.poll() is not None:
                pytest.skip("strace may not attach to a process here")
            assert (await client.ask("GET", "/crm/me")).status == 200
            assert (await admin.ask("GET", "/readyz")).status == 200
            await asyncio.sleep(2 * SETTLE_S)  # it is looked at again, and again in vain
            assert (await client.ask("GET", "/crm/me")).status == 200
        finally:
            tracer.terminate()
            await asyncio.to_thread(tracer.wait)
        assert process.output().count("Input/output error") == 1
        assert server.journal.counters.exchanges == 1


def with_key_file(server: Vendor, directory: Path) -> Section:
    """Return a configuration whose key lies in a file."""
    file = directory / "key"
    file.write_text(DEMO_KEY)
    file.chmod(0o600)
    credential = vendor_credential(server, api_key={"file": str(file)})
    return {"credentials": {"crm": credential}, "routes": [route("crm", server.url, "crm")]}
