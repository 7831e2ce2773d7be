"""What goes wrong a thousand times is said a bounded number of times, whoever causes it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

from tests.main_job.client import Client
from tests.main_job.process import running
from tests.ports import free_port

ENVIRON = {"BOUNDED_KEY": "key-of-the-bounded"}
# Of one kind within a minute, and a few lines at start and end.
MOST_LINES = 20


async def test_floods_of_each_kind(tmp_path: Path) -> None:
    """Refused requests, requests that are none, an upstream that refuses connections: 300 of each, some lines."""
    configuration = {
        "upstream": f"http://127.0.0.1:{free_port()}",
        "credential": {"preset": "static", "api_key": {"env": "BOUNDED_KEY"}},
        "limits": {"connections": 20},
        "log": {"level": "debug"},
    }
    async with running(tmp_path, configuration, ENVIRON) as sidecar:
        client = Client(sidecar.port)

        async def flood(raw: bytes) -> None:
            async with client.connected() as wire:
                for _ in range(100):
                    await wire.send(raw)
                    await wire.response()

        refused = client.request("GET", "/", "Origin: https://foreign.example")
        await asyncio.gather(*(flood(raw) for raw in (refused, client.request()) * 3))
        for number in range(300):
            async with client.connected() as wire:
                await wire.send(b"\x00%d\r\n\r\n" % number)
                await wire.ended()
        # More than there may be: these are turned away.
        for _ in range(5):
            await asyncio.gather(*(client.ask() for _ in range(60)), return_exceptions=True)
    lines = [json.loads(line) for line in sidecar.output().splitlines()]
    assert len(lines) < 5 * MOST_LINES, Counter(line["message"][:40] for line in lines)
    kinds = Counter(line["message"].partition(":")[0] for line in lines if line["level"] == "warning")
    assert {"default", "refused", "turned away"} <= set(kinds), kinds
    assert max(kinds.values()) <= MOST_LINES
