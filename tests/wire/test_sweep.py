"""A connection that breaks under the look for deadlines takes no other's time-outs away."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.dataplane.limits import PoolLimits
from tests.fakes import always, response, until
from tests.wire.running import in_front_of


async def test_connections_whose_check_breaks(caplog: pytest.LogCaptureFixture) -> None:
    """They are ended and reported, on both sides; whoever was to be looked at with them, or later, is."""
    limits = {"idle_timeout_s": 1.0, "head_timeout_s": 1.0}
    route = {"upstream": {"pool": PoolLimits(idle_s=1.0)}}
    async with in_front_of(always(response()), route=route, limits=limits) as (sidecar, _):
        wires = [await sidecar.connect() for _ in range(4)]
        for wire in wires:
            await wire.send(sidecar.ask_bytes())
        for wire in wires:
            assert (await wire.response()).status == 200

        def break_down(now: float) -> None:
            raise ZeroDivisionError("the-key")

        for connections in (sidecar.app_connections(), sidecar.upstream_connections()):
            broken: Any = connections[0]
            broken.check = break_down
        await until(lambda: not sidecar.connections(), within_s=10)
    errors = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert ["ZeroDivisionError" in message and "the-key" not in message for message in errors] == [True, True]
