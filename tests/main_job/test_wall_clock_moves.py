"""The wall clock of a real process moves under load, as where a laptop slept or somebody sets the time.

Two jumps in the suite; with `SIDECAR_LONG` more of them, and a minute of load.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from sidecar.vendor.faults import Fault
from sidecar.vendor.server import Vendor
from tests.main_job.client import Admin, Client
from tests.main_job.configuration import ENVIRON, SHORT_LIVES, Section, route, vendor_credential
from tests.main_job.load import steady_load
from tests.main_job.moving_clock import MovingClock
from tests.main_job.process import running
from tests.main_job.vendors import vendor

LONG = bool(os.environ.get("SIDECAR_LONG"))
HOUR_S = 3600.0
REQUESTS_PER_S = 100
SHORT_LIFE_S = 2.0
# How far ahead of the machine's the clock is set, and how long it stays so. A clock that is set back may make a token
# last: that shows once its life is over.
SHORT_JUMPS = ((2 * HOUR_S, 0.4), (0.0, SHORT_LIFE_S + 0.2))
JUMPS = ((2 * HOUR_S, 20.0), (0.0, 20.0), (-2 * HOUR_S, 20.0)) if LONG else SHORT_JUMPS
DAY_S = 24 * HOUR_S


@asynccontextmanager
async def vendors() -> AsyncIterator[tuple[Vendor, Vendor]]:
    """Run two, whose clock is the machine's: one whose tokens live for an hour, and one whose tokens live for 2 s."""
    async with AsyncExitStack() as stack:
        lives = (HOUR_S, SHORT_LIFE_S)
        long, short = [await stack.enter_async_context(vendor(token_life_s=life_s)) for life_s in lives]
        yield long, short


def configuration(long: Vendor, short: Vendor) -> Section:
    """Return a configuration with a credential and a route for each."""
    refresh = {**SHORT_LIVES["refresh"], "backoff": {"first": "200ms", "most": "400ms"}}
    return {
        "credentials": {
            "long": vendor_credential(long, refresh={}),
            "short": vendor_credential(short, refresh=refresh),
        },
        "routes": [route("long", long.url, "long"), route("short", short.url, "short")],
    }


@pytest.mark.timeout(120)
async def test_a_clock_that_jumps_under_load(tmp_path: Path) -> None:
    """By two hours, forward and back: every request is right, the vendors see no dead token, at most 3 exchanges."""
    clock = MovingClock(tmp_path)
    async with vendors() as (long, short):
        async with running(tmp_path, configuration(long, short), ENVIRON, preload=clock.preload) as sidecar:
            client = Client(sidecar.port)
            await Admin(sidecar.admin_port).ready()
            async with (
                steady_load(client, "/long/echo/", REQUESTS_PER_S) as on_long,
                steady_load(client, "/short/echo/", REQUESTS_PER_S) as on_short,
            ):
                await on_long.goes_on(0.3)
                for by_s, seconds in JUMPS:
                    clock.move_to(by_s)
                    await on_short.goes_on(seconds)
        for load, server in ((on_long, long), (on_short, short)):
            assert load.statuses == {(200, ""): load.begun}
            counters = server.journal.counters
            assert (counters.rejected, counters.expired_tokens_seen) == (0, 0)
        assert 2 <= long.journal.counters.exchanges <= 3


@pytest.mark.parametrize("by_s", [2 * HOUR_S, -2 * HOUR_S])
async def test_the_first_request_after_a_jump(by_s: float, tmp_path: Path) -> None:
    """Nothing else has woken it meanwhile: it is 200, and one exchange is made where the token is too old by now."""
    clock = MovingClock(tmp_path)
    async with vendors() as (long, short):
        async with running(tmp_path, configuration(long, short), ENVIRON, preload=clock.preload) as sidecar:
            client = Client(sidecar.port)
            await Admin(sidecar.admin_port).ready()
            clock.move_to(by_s)
            assert (await client.ask("GET", "/long/me")).status == 200
            assert (await client.ask("GET", "/short/me")).status == 200
            assert long.journal.counters.exchanges == (2 if by_s > 0 else 1)
        for server in (long, short):
            assert server.journal.counters.expired_tokens_seen == server.journal.counters.rejected == 0


@pytest.mark.parametrize("by_s", [DAY_S, -DAY_S] if LONG else [DAY_S])
async def test_a_clock_that_is_a_day_off_at_the_start(by_s: float, tmp_path: Path) -> None:
    """The vendor's Date says so: tokens are worn as long as they live and not longer, and somebody may set it right.

    The endpoint of the short-lived ones fails meanwhile, so that they are worn to their end.
    """
    clock = MovingClock(tmp_path, by_s)
    async with vendors() as (long, short):
        async with running(tmp_path, configuration(long, short), ENVIRON, preload=clock.preload) as sidecar:
            client = Client(sidecar.port)
            await Admin(sidecar.admin_port).ready()
            short.faults.add(Fault("token", "down"))
            assert (await client.ask("GET", "/long/me")).status == 200
            await client.until_answered("/short/me", 503, SHORT_LIFE_S + 1)
            short.faults.clear()
            await client.until_answered("/short/me", 200)
            clock.move_to(0)
            assert (await client.ask("GET", "/long/me")).status == 200
            assert (await client.ask("GET", "/short/me")).status == 200
            assert long.journal.counters.exchanges <= 2
        for server in (long, short):
            assert server.journal.counters.expired_tokens_seen == server.journal.counters.rejected == 0
