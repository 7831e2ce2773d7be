"""Nothing to do: hardly any time of the processor, and nobody is asked for anything."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from sidecar.vendor.server import DEMO_KEY
from tests.main_job.client import Admin, Client
from tests.main_job.configuration import route, vendor_credential
from tests.main_job.process import running
from tests.main_job.vendors import vendor

WATCHED_S = 30.0 if os.environ.get("SIDECAR_LONG") else 1.2
MOST_SHARE = 0.005


def processor_s(pid: int) -> float:
    """Return how much of the processor's time all threads of a process have had, in seconds."""
    spent = (int(file.read_text().split()[0]) for file in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return sum(spent) / 1e9


async def watches(pid: int) -> None:
    """Wait until the key's file is watched: a second after the start, what that takes is loaded and maybe compiled."""
    async with asyncio.timeout(20):
        while not any("inotify" in str(Path(file).resolve()) for file in Path(f"/proc/{pid}/fd").iterdir()):  # noqa: ASYNC110  # /proc tells nobody
            await asyncio.sleep(0.1)
    await asyncio.sleep(0.5)


@pytest.mark.timeout(60)
async def test_an_idle_sidecar_costs_nothing(tmp_path: Path) -> None:
    """Half a hundredth of one processor at most, with a key file that is watched and an app that stays connected."""
    file = tmp_path / "key"
    file.write_text(DEMO_KEY)
    file.chmod(0o600)
    async with vendor() as server:
        credential = vendor_credential(server, api_key={"file": str(file)})
        configuration = {"credentials": {"crm": credential}, "routes": [route("crm", server.url, "crm")]}
        async with running(tmp_path, configuration) as sidecar:
            client = Client(sidecar.port)
            await Admin(sidecar.admin_port).ready()
            async with client.connected() as wire:
                await wire.send(client.request("GET", "/crm/me"))
                assert (await wire.response()).status == 200
                await watches(sidecar.pid)
                before_s, began_s = processor_s(sidecar.pid), time.monotonic()
                await asyncio.sleep(WATCHED_S)
                share = (processor_s(sidecar.pid) - before_s) / (time.monotonic() - began_s)
                assert server.journal.counters.exchanges == 1
                assert server.journal.counters.requests == 1
    assert share <= MOST_SHARE
