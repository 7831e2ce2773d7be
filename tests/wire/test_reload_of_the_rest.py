"""What a reload takes of listeners that stay, what it names because it takes a restart, and where there is none."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from sidecar.config.values import Config, GateConfig, LimitsConfig, LogConfig
from sidecar.errors import NothingToReload
from tests.fakes import Wire, always, response, upstream
from tests.wire.running import Running, config, in_front_of, route_to, sidecar
from tests.wire.test_reload import Loads

ASK = b"GET / HTTP/1.1\r\nHost: crm.local\r\n\r\n"


async def status(wire: Wire, ask: bytes = ASK) -> int:
    """Ask once, and return the answer's status."""
    await wire.send(ask)
    return (await wire.response()).status


async def admin_status(running: Running) -> int:
    """Ask the admin listener by that name."""
    wire = Wire(*await asyncio.open_connection(*running.app.admin_address))
    try:
        return await status(wire, ASK.replace(b"/ ", b"/livez "))
    finally:
        wire.close()


async def test_hosts_of_a_listener_that_stays() -> None:
    """They hold for new connections; one that is there keeps the names it came by. The admin listener follows."""
    async with upstream(always(response())) as server:
        with_name = config(route_to(server.port), gate=GateConfig(hosts=("crm.local",)))
        loads = Loads(with_name)
        async with sidecar(route_to(server.port), load=loads) as running:
            before = await running.connect()
            assert await status(before) == 403
            assert await admin_status(running) == 403
            await running.app.reload()
            assert await status(before) == 403
            after = await running.connect()
            assert await status(after) == 200
            assert await admin_status(running) == 200
            loads.loaded = config(route_to(server.port))
            await running.app.reload()
            assert await status(after) == 200
            assert await status(await running.connect()) == 403
            assert await admin_status(running) == 403


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was warned about, and forget it."""
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    caplog.clear()
    return told


async def test_what_takes_a_restart_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """In one warning, at every reload until the file is as the process was started; what is taken is not named."""
    route = route_to(1)
    changed: dict[str, Any] = {
        "gate": GateConfig(socket_mode=0o600, origins=("https://app.example.com",)),
        "limits": LimitsConfig(connections=9, replay_memory_bytes=1, waiting=2, wait_for_token_s=1, fields=50),
        "log": LogConfig(level="error", format="json", access=True),
    }
    started: Config = config(route)
    loads = Loads(started)
    async with sidecar(route, load=loads) as running:
        await running.app.reload()
        assert warnings(caplog) == []
        loads.loaded = config(route, **changed)
        for _ in range(2):
            await running.app.reload()
            (warning,) = warnings(caplog)
            assert warning.endswith(
                "restart is needed for it to count everywhere: gate.socket_mode, limits.connections, "
                "limits.replay_memory, limits.waiting, limits.wait_for_token, log.level, log.format, log.access"
            )
        loads.loaded = started
        await running.app.reload()
        assert warnings(caplog) == []


async def test_where_there_is_nothing_to_reload() -> None:
    """As in the demo: it is said, and is no failed reload."""
    async with in_front_of(always(response())) as (running, _):
        with pytest.raises(NothingToReload):
            await running.app.reload()
        assert running.app.last_reload is None
        assert running.app.gauges().reload_successful
