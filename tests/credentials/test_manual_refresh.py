"""Somebody asks for an exchange."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.errors import KeyRejected, NoToken
from tests.credentials.kept import DOWN, HOUR_S, REFUSED, FakeKeySource, Says, keeping
from tests.credentials.virtual_time import in_virtual_time


@in_virtual_time
async def test_a_refresh_brings_a_new_token_now() -> None:
    """Though the old one is fresh."""
    async with keeping() as kept:
        old = await kept.credential.wait()
        await kept.credential.refresh()
        assert kept.valid() is not old
        assert kept.records.triggers == ["start", "manual"]


@in_virtual_time
async def test_a_refresh_does_not_wait_for_the_back_off() -> None:
    """Nor for Retry-After, nor for the probe of a refused key."""
    for held_back in (Says(fails="rate_limited", retry_after_s=HOUR_S), REFUSED):
        async with keeping(held_back) as kept:
            await asyncio.sleep(10)
            assert kept.count == 1
            async with asyncio.timeout(1):
                await kept.credential.refresh()
            kept.valid()
            assert kept.records.triggers == ["start", "manual"]


@in_virtual_time
async def test_a_refresh_tells_how_it_failed() -> None:
    """The old token stays."""
    async with keeping(Says(), DOWN, REFUSED) as kept:
        old = await kept.credential.wait()
        with pytest.raises(NoToken, match="it was a network"):
            await kept.credential.refresh()
        with pytest.raises(KeyRejected):
            await kept.credential.refresh()
        assert kept.valid() is old


@in_virtual_time
async def test_a_refresh_that_failed_is_tried_again_by_itself() -> None:
    """As it says."""
    async with keeping(Says(), DOWN) as kept:
        old = await kept.credential.wait()
        with pytest.raises(NoToken) as failed:
            await kept.credential.refresh()
        assert "tried again by itself" in (failed.value.remedy or "")
        await asyncio.sleep(2)
        assert kept.valid() is not old
        assert kept.credential.status().error is None


@in_virtual_time
async def test_a_refresh_joins_the_exchange_that_runs() -> None:
    """Two at a time there are never."""
    async with keeping(Says(takes_s=2)) as kept:
        await asyncio.gather(*(kept.credential.refresh() for _ in range(20)))
        assert kept.count == 1


@in_virtual_time
async def test_a_storm_of_refreshes_stays_within_the_budget() -> None:
    """Those beyond it are told so, with the time."""
    async with keeping() as kept:
        await kept.credential.wait()
        refused = []
        for _ in range(1200):
            try:
                await kept.credential.refresh()
            except NoToken as error:
                refused.append(error)
            await asyncio.sleep(0.1)
        assert kept.exchanger.began_within(60) == 12
        assert {error.reason for error in refused} == {"budget"}
        assert all(0 < (error.retry_after_s or 0) <= 60 for error in refused)


@in_virtual_time
async def test_a_refresh_without_a_key_says_so_at_once() -> None:
    """It does not wait for one."""
    async with keeping(source=FakeKeySource(None)) as kept:
        await asyncio.sleep(1.5)
        with pytest.raises(NoToken) as refused:
            async with asyncio.timeout(0.1):
                await kept.credential.refresh()
        assert refused.value.reason == "no_key"


@in_virtual_time
async def test_a_refresh_in_a_crowd_is_a_failure_of_the_credential() -> None:
    """Whoever asked handles one kind of error."""
    async with keeping(Says(takes_s=2), most_waiting=1) as kept:
        waiting = asyncio.create_task(kept.credential.wait())
        await asyncio.sleep(1)
        with pytest.raises(NoToken) as refused:
            await kept.credential.refresh()
        assert refused.value.reason == "waiting"
        await waiting
