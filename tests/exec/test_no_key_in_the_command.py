"""A canary key is nowhere in the command: its environment, its arguments, its open files, its memory."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sidecar.secret import Secret
from sidecar.vendor.server import Vendor, VendorOptions
from tests.exec.executing import PATIENCE_S, command_line, configuration, started, written
from tests.main_job.canary import found

pytestmark = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks where Linux shows a process")

KEY = "gct_Zq81xVt5-canary-Wm30Rk77"
# Keeps the answer and says its process id once it has used the sidecar, and then waits.
USING = 'got=$(curl -sf "$SIDECAR_URL/me"); echo $$; read line; test "$got"'


def memory_of(pid: int) -> bytes:
    """Return all that a process can read of its own memory."""
    parts = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            start, end = (int(number, 16) for number in span.split("-"))
            if "r" in rights and "[v" not in line:  # not the kernel's own
                memory.seek(start)
                parts.append(memory.read(end - start))
    return b"".join(parts)


def open_files_of(pid: int) -> bytes:
    """Return what is in the regular files that a process holds open."""
    folder = Path(f"/proc/{pid}/fd")
    return b"".join(file.read_bytes() for file in folder.iterdir() if file.is_file())


@asynccontextmanager
async def running(
    folder: Path, api_key: Mapping[str, str], environ: Mapping[str, str], passed: int
) -> AsyncIterator[int]:
    """Run a command that has made a request; yield its process id."""
    vendor = Vendor(VendorOptions(api_key=Secret(KEY)))
    await vendor.start()
    content = configuration(vendor.url)
    content["credential"]["api_key"] = api_key
    words = command_line(written(folder, content), "sh", "-c", USING)
    try:
        with started(words, environ, stdin=subprocess.PIPE, pass_fds=[passed]) as process:
            assert process.stdout is not None
            line = await asyncio.to_thread(process.stdout.readline)
            assert line, await asyncio.to_thread(process.communicate)
            yield int(line)
            _, err = await asyncio.to_thread(process.communicate, timeout=PATIENCE_S)
            assert (process.returncode, err) == (0, b"")
    finally:
        await vendor.stop()
    assert vendor.journal.counters.requests == 1


@pytest.mark.parametrize(
    ("source", "environ"),
    [
        pytest.param({"env": "CANARY"}, {"CANARY": KEY, "SAME": KEY}, id="a variable"),
        pytest.param({"file": "/dev/fd/{fd}"}, {"SAME": KEY}, id="an open file"),
    ],
)
async def test_it_is_nowhere(tmp_path: Path, source: Mapping[str, str], environ: Mapping[str, str]) -> None:
    """Looked for in whatever spelling, while the command runs and after it has used the sidecar."""
    key_file = tmp_path / "key"
    key_file.write_text(KEY)
    with key_file.open() as passed:
        api_key = {name: value.format(fd=passed.fileno()) for name, value in source.items()}
        number = passed.fileno() if "file" in source else 2
        async with running(tmp_path, api_key, environ, number) as pid:
            places = {
                "environ": Path(f"/proc/{pid}/environ").read_bytes(),
                "cmdline": Path(f"/proc/{pid}/cmdline").read_bytes(),
                "open files": open_files_of(pid),
                "memory": memory_of(pid),
            }
    findings = {name: found([KEY.encode()], content) for name, content in places.items()}
    assert findings == {name: [] for name in places}
    # The search finds what is there.
    assert b"SIDECAR_URL=" in places["environ"] and b"acc_demo" in places["memory"]
