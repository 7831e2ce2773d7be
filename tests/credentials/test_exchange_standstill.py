"""The process stands still within an exchange: its time-out passes while nobody is there to read the answer."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.credentials.exchange import HTTPExchanger
from sidecar.credentials.rules import Injection, RejectedRules
from sidecar.dataplane.standstill import LONGEST_GAP_S
from sidecar.errors import ExchangeFailed
from tests.credentials.endpoint import endpoint
from tests.credentials.exchanging import GOOD, KEY, rules
from tests.credentials.manual_clock import ManualClock

TIMEOUT_S = 0.1


@pytest.mark.parametrize(("stood_still_s", "requests"), [(LONGEST_GAP_S + 1.0, 2), (LONGEST_GAP_S - 1.0, 1)])
async def test_it_is_made_once_more(stood_still_s: float, requests: int) -> None:
    """Where far more time has passed than its time-out; one that was only slow has failed."""
    clock = ManualClock()

    async def script(writer: asyncio.StreamWriter) -> None:
        if clock.monotonic_s:
            writer.write(GOOD)
            return
        clock.monotonic_s += TIMEOUT_S + stood_still_s
        await asyncio.sleep(2 * TIMEOUT_S)

    async with endpoint(script) as server:
        of = rules(server.port, json={"apiKey": "{api_key}"}, timeout_s=TIMEOUT_S)
        exchanger = HTTPExchanger(of, RejectedRules(), Injection(), 300, clock)
        try:
            token = await exchanger.exchange(KEY)
            assert token.secret.reveal() == b"abc"
        except ExchangeFailed as failed:
            assert failed.outcome == "timeout"
        finally:
            await exchanger.close()
        assert len(server.requests) == requests
