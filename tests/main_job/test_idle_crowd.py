"""A crowd of idle connections costs little memory and no time, harms nobody, and is closed when its time is over.

1,000 of them here; 10,000 for a minute with `SIDECAR_LONG=1` (`make long`).
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from tests.attack.test_no_descriptors_left import cpu_s
from tests.attack.test_slow_clients import p99_s
from tests.fakes import Wire, response, upstream
from tests.main_job.client import Admin, Client
from tests.main_job.process import running

LONG = bool(os.environ.get("SIDECAR_LONG"))
COUNT = 9_500 if LONG else 1_000  # the limit is half of the file descriptors, and 10,000 at most
IDLE_TIMEOUT_S = 40.0 if LONG else 3.0
AT_ONCE = 50
# At most 150 MiB for 10,000 are wanted; it is about 3.5 KiB for each, and what the first of them make once.
MOST_BYTES_EACH = 6 * 1024
MOST_BYTES_ONCE = 4 * 1024 * 1024


async def use_once(app: Client, count: int) -> list[Wire]:
    """Make this many connections and one request on each."""
    wires = []
    for _ in range(count):
        wires.append(Wire(*await asyncio.open_connection("127.0.0.1", app.port)))
        await wires[-1].send(app.request())
        assert (await wires[-1].response()).status == 200
    return wires


async def patient(wire: Wire) -> None:
    """Answer, however long it takes until the next request."""
    while True:
        await wire.reader.readuntil(b"\r\n\r\n")
        await wire.send(response())


@pytest.mark.timeout(120)
async def test_an_idle_crowd(tmp_path: Path) -> None:
    """Memory, the time of others, the time of the sweep over all of them, and the end."""
    async with upstream(patient) as server:
        configuration = {
            "upstream": f"http://127.0.0.1:{server.port}",
            "credential": {"preset": "static", "api_key": {"env": "CROWD_KEY"}},
            "limits": {"idle_timeout": f"{IDLE_TIMEOUT_S:g}s"},
            "log": {"level": "info"},
        }
        async with running(tmp_path, configuration, {"CROWD_KEY": "key-of-the-crowd-tests"}) as process:
            app, admin = Client(process.port), Admin(process.admin_port)
            for wire in await use_once(app, AT_ONCE):
                wire.close()
            alone_s = await p99_s(app, 0.5)
            before_bytes = process.resident_bytes()
            groups = await asyncio.gather(*(use_once(app, COUNT // AT_ONCE) for _ in range(AT_ONCE)))
            wires = [wire for group in groups for wire in group]
            idle_since_s = time.monotonic()
            grown_bytes = process.resident_bytes() - before_bytes
            among_s = await p99_s(app, 0.5)
            await admin.until(len(wires), "sidecar_connections")
            began_s, used_s = time.monotonic(), cpu_s(process)
            await asyncio.sleep(10 if LONG else 1)
            idle_share = (cpu_s(process) - used_s) / (time.monotonic() - began_s)
            async with asyncio.timeout(IDLE_TIMEOUT_S + 2):
                await asyncio.gather(*(wire.rest() if not LONG else wire.reader.read() for wire in wires))
            ended_after_s = time.monotonic() - idle_since_s
            await admin.until(0, "sidecar_connections")
            print(f"{len(wires)} connections, {grown_bytes / len(wires):.0f} B each; idle {idle_share:.2%} of a core")
            print(f"p99 alone {alone_s * 1000:.2f} ms, among them {among_s * 1000:.2f} ms")
            for wire in wires:
                wire.close()
        assert grown_bytes < MOST_BYTES_ONCE + MOST_BYTES_EACH * len(wires)
        assert among_s < max(2 * alone_s, 0.02)
        assert IDLE_TIMEOUT_S - 2 < ended_after_s < IDLE_TIMEOUT_S + 2
        assert idle_share < 0.03  # a tick is 1 % of a second: 0.5 % is held where it is measured for long enough
