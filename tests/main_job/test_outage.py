"""A token endpoint that is down for an hour, in every way: everything sixty times as fast, back-off included.

Less than half a second of each way in the suite; with `SIDECAR_LONG` the whole minute after the token's end.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sidecar.vendor.faults import Fault
from sidecar.vendor.server import Vendor, VendorOptions
from tests.fakes import always, response, until, upstream
from tests.main_job.client import Admin, Client
from tests.main_job.configuration import ENVIRON, route, vendor_credential
from tests.main_job.load import Asked, steady_load
from tests.main_job.process import running

LONG = bool(os.environ.get("SIDECAR_LONG"))
FASTER = 60
TIMEOUT_S = 10 / FASTER
# Longer than that; this test waits for the end of each.
HANGS_S = 2 * TIMEOUT_S
REQUESTS_PER_S = 100
TOKEN_LIFE_S = 18.0 if LONG else 1.8
# From one that answers to one that is not there.
WAYS = ("server_error", "html200", "slow", "refused")
# The last third of the token's life is when it should be renewed.
EACH_WAY_BEFORE_S = TOKEN_LIFE_S / 5
EACH_WAY_S = 15.0 if LONG else 0.3
BACKOFF_MOST_S = 30 / FASTER
REFRESH = {"backoff": {"first": "17ms", "most": "500ms"}, "budget": "12/1s"}
MOST_CALLS_AN_HOUR = 150
# The first ones come faster; in a whole hour they do not count.
FIRST_CALLS = 0 if LONG else 10
ANSWERED_WITHIN_S = 0.25
# An exchange, and the time between two looks.
MARGIN_S = 0.5
MOST_GROWTH_BYTES = 10 * 1024 * 1024


class Endpoint:
    """The pretend vendor as a token endpoint alone, which is down in one way after the other."""

    def __init__(self) -> None:
        self.vendor = Vendor(VendorOptions(token_life_s=TOKEN_LIFE_S))
        self._port = 0
        self._serves = False

    async def is_back(self) -> None:
        """Serve as one should, on the same port as before."""
        self.vendor.faults.clear()
        if not self._serves:
            await self.vendor.start(port=self._port)
            self._port = int(self.vendor.url.rpartition(":")[2])
            self._serves = True

    async def is_down(self, way: str) -> None:
        """Fail in this way from now on."""
        if way == "refused":
            await self.vendor.stop()
            self._serves = False
            return
        await self.is_back()
        self.vendor.faults.add(Fault("token", way, delay_s=HANGS_S))


@asynccontextmanager
async def token_endpoint() -> AsyncIterator[Endpoint]:
    """Run one that is not down yet."""
    endpoint = Endpoint()
    await endpoint.is_back()
    try:
        yield endpoint
    finally:
        await endpoint.vendor.stop()


@pytest.mark.timeout(180)
async def test_an_hour_without_token_endpoint(tmp_path: Path) -> None:
    """The token is worn to its end; then 503 with Retry-After, at once; few calls, no growth, and back in no time."""
    async with token_endpoint() as endpoint, upstream(always(response())) as api:
        exchange = {"url": f"{endpoint.vendor.url}/auth/token", "timeout": f"{round(TIMEOUT_S * 1000)}ms"}
        credential = vendor_credential(endpoint.vendor, exchange=exchange, refresh=REFRESH)
        # Idle connections are ended before this upstream loses its patience with them.
        route_to_api = route("crm", {"url": f"http://127.0.0.1:{api.port}", "pool": {"idle": "2s"}}, "crm")
        configuration = {"credentials": {"crm": credential}, "routes": [route_to_api], "log": {"level": "info"}}
        async with running(tmp_path, configuration, ENVIRON) as sidecar:
            client, admin = Client(sidecar.port), Admin(sidecar.admin_port)
            await admin.ready()
            async with steady_load(client, "/crm/", REQUESTS_PER_S) as load:
                await load.goes_on(0.3)
                calls, resident = (await admin.figures()).sum("sidecar_exchanges_total"), sidecar.resident_bytes()
                for way in WAYS:
                    await endpoint.is_down(way)
                    await load.goes_on(EACH_WAY_BEFORE_S)
                expires_at = await expiry_of_now(admin)
                await until(lambda: time.monotonic() > expires_at + 0.1, within_s=TOKEN_LIFE_S)
                for way in WAYS:
                    await endpoint.is_down(way)
                    await load.goes_on(EACH_WAY_S)
                    refused = await client.ask("GET", "/crm/")
                    assert (refused.status, refused.reason) == (503, "no_token")
                    assert int(refused.value("retry-after") or 0) >= 1
                calls = (await admin.figures()).sum("sidecar_exchanges_total") - calls
                growth = sidecar.resident_bytes() - resident
                back_at = time.monotonic()
                await endpoint.is_back()
                await admin.ready(within_s=BACKOFF_MOST_S + MARGIN_S)
                ready_at = time.monotonic()
                await load.goes_on(0.3)
    before, during, after = phases(load.asked, expires_at, back_at, ready_at)
    assert before == after == {200}
    assert during == {503}
    refusals = sorted(asked.took_s for asked in load.asked if asked.status == 503)
    assert refusals[int(0.99 * len(refusals))] <= ANSWERED_WITHIN_S
    assert len(api.requests) == load.statuses[200, ""], "nothing is sent without a token, or with a dead one"
    assert calls <= FIRST_CALLS + MOST_CALLS_AN_HOUR * (TOKEN_LIFE_S + EACH_WAY_S * len(WAYS)) / 3600 * FASTER
    assert growth <= MOST_GROWTH_BYTES


async def expiry_of_now(admin: Admin) -> float:
    """Return when the token of now expires, in monotonic seconds."""
    at = (await admin.figures()).sum("sidecar_token_expiry_timestamp_seconds")
    return at - time.time() + time.monotonic()


def phases(asked: list[Asked], expires_at: float, back_at: float, ready_at: float) -> list[set[int]]:
    """Return the statuses of what was asked before the token's end, during the outage, and after it."""
    # What was asked in a moment of change may have either.
    spans = (0.0, expires_at - 0.1), (expires_at + 0.1, back_at), (ready_at, math.inf)
    return [{one.status for one in asked if begin < one.at < end} for begin, end in spans]
