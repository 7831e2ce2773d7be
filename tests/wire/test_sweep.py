"""A connection that breaks under the look for deadlines takes no other's time-outs away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sidecar.dataplane.limits import PoolLimits
from tests.fakes import always, response, until
from tests.wire.running import in_front_of


async def test_an_app_connection_whose_check_breaks(caplog: pytest.LogCaptureFixture) -> None:
    """It is ended and reported; whoever was to be looked at with it, or later, is."""
    limits = {"idle_timeout_s": 0.6, "head_timeout_s": 0.6}
    async with in_front_of(always(response()), limits=limits) as (sidecar, _):
        wires = [await sidecar.connect() for _ in range(4)]
        for wire in wires:
            await wire.send(sidecar.ask_bytes())
            assert (await wire.response()).status == 200
        broken: Any = sidecar.app_connections()[0]

        def break_down(now: float) -> None:
            raise ZeroDivisionError("the-key")

        broken.check = break_down
        await until(lambda: not sidecar.app_connections(), within_s=2.5)
        later = await sidecar.connect()
        assert await later.ended(2.5) == b""
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "ZeroDivisionError" in record.message and "the-key" not in record.message


async def test_an_upstream_connection_whose_check_breaks() -> None:
    """The same on the other side."""
    route = {"upstream": {"pool": PoolLimits(idle_s=0.6)}}
    async with in_front_of(always(response()), route=route) as (sidecar, _):
        await asyncio.gather(*(sidecar.ask() for _ in range(3)))
        broken: Any = sidecar.upstream_connections()[0]

        def break_down(now: float) -> None:
            raise ZeroDivisionError

        broken.check = break_down
        await until(lambda: not sidecar.upstream_connections(), within_s=2.5)
