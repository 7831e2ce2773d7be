"""A token endpoint that takes seconds for a renewal: nobody notices.

0.4 s for it in the suite, 5 s where `SIDECAR_LONG` is set.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from pathlib import Path

import pytest

from sidecar.vendor.faults import Fault
from tests.fakes import until
from tests.main_job.client import Admin, Client
from tests.main_job.configuration import ENVIRON, route, vendor_credential
from tests.main_job.load import steady_load
from tests.main_job.process import running
from tests.main_job.vendors import vendor

LONG = bool(os.environ.get("SIDECAR_LONG"))
TAKES_S = 5.0 if LONG else 0.4
# The last third of it is the refresh window.
FIRST_LIFE_S = 18.0 if LONG else 3.0
REQUESTS_PER_S = 200
# What a busy machine may add to a request's time.
NOISE_S = 0.1


@pytest.mark.timeout(60)
async def test_nobody_notices_a_slow_renewal(tmp_path: Path) -> None:
    """One exchange, no request that waits for it or fails, and none that is slower than before."""
    async with vendor(token_life_s=FIRST_LIFE_S) as server:
        configuration = {
            "credentials": {"crm": vendor_credential(server)},
            "routes": [route("crm", server.url, "crm")],
        }
        async with running(tmp_path, configuration, ENVIRON) as sidecar:
            client, admin = Client(sidecar.port), Admin(sidecar.admin_port)
            await admin.ready()
            server.issuer.token_life_s = 3600
            server.faults.add(Fault("token", "slow", delay_s=TAKES_S))
            async with steady_load(client, "/crm/echo/", REQUESTS_PER_S) as load:
                await until(lambda: server.journal.counters.exchanges == 2, within_s=FIRST_LIFE_S)
                began_at = time.monotonic()
                await asyncio.sleep(TAKES_S)
                ended_at = time.monotonic()
                await load.goes_on(0.2)
            figures = await admin.figures()
    assert load.statuses == {(200, ""): load.begun}
    assert server.journal.counters.exchanges == 2
    assert figures.sum("sidecar_token_wait_seconds_count") == 0
    assert server.journal.counters.rejected == 0
    during = [asked.took_s for asked in load.asked if began_at < asked.at < ended_at]
    before = [asked.took_s for asked in load.asked if asked.at < began_at]
    assert percentile_99(during) <= percentile_99(before) + NOISE_S


def percentile_99(values: list[float]) -> float:
    """Return what 99 of 100 values do not exceed."""
    return statistics.quantiles(values, n=100)[98]
