"""The token endpoint fails: the old token is used, the endpoint is spared, and nobody waits in vain."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise

import pytest

from sidecar.credentials.pace import LAST_TRY_S, MOST_RETRY_AFTER_S
from sidecar.credentials.rules import RefreshRules
from sidecar.credentials.token import Token
from sidecar.errors import NoToken
from tests.credentials.kept import DOWN, HANGS, HOUR_S, Says, keeping, outcome, settled, timed
from tests.credentials.virtual_time import in_virtual_time, virtual_loop

NONSENSE = Says(fails="bad_response")
ERROR = Says(fails="server_error")
BUSY = Says(fails="rate_limited")


@in_virtual_time
async def test_a_valid_token_is_used_whatever_fails() -> None:
    """Refused, 500, hanging and garbage in turn: not one request is without a token until it expires."""
    async with keeping(Says(life_s=300), *[DOWN, ERROR, HANGS, NONSENSE, BUSY] * 20) as kept:
        token = await kept.credential.wait()
        while virtual_loop().time() < 299.9:
            assert (await kept.credential.wait(), kept.credential.current()) == (token, token)
            await asyncio.sleep(0.1)
        assert kept.count > 5
        assert kept.credential.status().usable
        await asyncio.sleep(0.2)
        assert kept.credential.current() is None
        assert isinstance(await outcome(kept.credential.wait()), NoToken)


@in_virtual_time
async def test_the_waits_grow_and_stop_growing() -> None:
    """1, 2, 4, 8, 16 s are the ceilings; the share is random, up to all of it; 30 s is the most."""
    async with keeping(then=DOWN, rng=lambda: 0.5) as kept:
        await asyncio.sleep(300)
        waits = [round(later - start - 0.01, 3) for start, later in pairwise(kept.exchanger.began_s)]
        assert waits[:9] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


@in_virtual_time
async def test_the_share_is_random_from_nothing_to_everything() -> None:
    """Full jitter."""
    shares = [0.0, 0.999, 0.25, 0.0, 0.75]
    async with keeping(then=DOWN, rng=iter([*shares, *[0.5] * 99]).__next__) as kept:
        await asyncio.sleep(60)
        waits = [round(later - start - 0.01, 3) for start, later in pairwise(kept.exchanger.began_s)]
        assert waits[:5] == [0, 1.998, 1, 0, 12]


@pytest.mark.parametrize("seed", range(5))
@in_virtual_time
async def test_an_hour_of_outage_costs_150_exchanges_at_most(seed: int) -> None:
    """Whatever the load; every request is told at once, with a time; and the first after the end is in time."""
    async with keeping(Says(life_s=60), then=DOWN, rng=random.Random(seed).random) as kept:
        first = await kept.credential.wait()
        await asyncio.sleep(60)
        assert kept.credential.current() is None
        before, wakes = kept.count, virtual_loop().wake_ups
        for _ in range(3600):
            error, took_s = await timed(kept.credential.wait())
            assert isinstance(error, NoToken)
            assert took_s == 0
            assert error.retry_after_s is not None
            assert 1 <= error.retry_after_s <= 30
            assert await kept.credential.replacement(first) is None
            await asyncio.sleep(1)
        assert kept.count - before <= 150
        assert virtual_loop().wake_ups - wakes <= 3 * 3600
        kept.exchanger.then = Says()
        await asyncio.sleep(30.1)
        kept.valid()


@in_virtual_time
async def test_a_recovery_is_one_exchange() -> None:
    """Requests that come while the one that succeeds is running make no other one due."""
    async with keeping(Says(life_s=60), then=DOWN) as kept:
        await kept.credential.wait()
        await asyncio.sleep(100)
        kept.exchanger.then = Says(takes_s=3)
        while kept.credential.current() is None:
            await outcome(kept.credential.wait())
            await asyncio.sleep(0.1)
        count = kept.count
        await asyncio.sleep(600)
        assert kept.count == count


@in_virtual_time
async def test_it_is_tried_once_more_before_the_expiry() -> None:
    """Where the back-off would sleep past it."""
    rules = RefreshRules(backoff_first_s=100, backoff_most_s=600)
    async with keeping(Says(life_s=180), DOWN, rules=rules, rng=lambda: 0.999) as kept:
        token = await kept.credential.wait()
        await asyncio.sleep(179)
        assert kept.count == 3
        assert kept.exchanger.began_s[2] == pytest.approx(180 - LAST_TRY_S, abs=0.1)
        assert kept.valid() is not token


@pytest.mark.parametrize(
    "outage", [Says(fails="rate_limited", retry_after_s=47), Says(fails="server_error", retry_after_s=47)]
)
@in_virtual_time
async def test_retry_after_is_obeyed_to_the_second(outage: Says) -> None:
    """Not earlier, and not a second later; requests and rejections do not hasten it."""
    async with keeping(outage) as kept:
        while kept.credential.current() is None:
            await outcome(kept.credential.wait())
            await asyncio.sleep(0.05)
        start, again = kept.exchanger.began_s
        assert 47.01 <= again - start < 48.01


@in_virtual_time
async def test_retry_after_is_told_to_requests() -> None:
    """What is left of it."""
    async with keeping(Says(fails="server_error", retry_after_s=47)) as kept:
        await outcome(kept.credential.wait())
        await asyncio.sleep(20)
        error = await outcome(kept.credential.wait())
        assert isinstance(error, NoToken)
        assert error.retry_after_s is not None
        assert 27 <= error.retry_after_s < 28


@in_virtual_time
async def test_a_retry_after_of_days_is_not_believed() -> None:
    """An hour is the most."""
    async with keeping(Says(fails="server_error", retry_after_s=5 * 24 * HOUR_S)) as kept:
        await asyncio.sleep(MOST_RETRY_AFTER_S - 1)
        assert kept.count == 1
        await asyncio.sleep(2)
        kept.valid()


@in_virtual_time
async def test_a_retry_after_of_nothing_is_no_hot_loop() -> None:
    """The back-off stays."""
    async with keeping(then=Says(fails="rate_limited", retry_after_s=0)) as kept:
        await asyncio.sleep(3600)
        assert kept.count <= 130


@in_virtual_time
async def test_a_defect_of_the_exchanger_is_a_failure_like_another() -> None:
    """The task goes on; nothing of the exception's text is told."""
    async with keeping(Says(fails=RuntimeError("canary"))) as kept:
        error = await outcome(kept.credential.wait())
        assert isinstance(error, NoToken)
        assert "canary" not in error.detail
        await asyncio.sleep(1)
        kept.valid()


@in_virtual_time
async def test_no_luck_with_the_dice_is_no_storm() -> None:
    """If every random share were nothing, the budget would still hold."""
    async with keeping(then=Says(fails="network", takes_s=0), rng=lambda: 0.0) as kept:
        await asyncio.sleep(600)
        assert kept.exchanger.began_within(60) == 12
        error = await outcome(kept.credential.wait())
        assert isinstance(error, NoToken)


@in_virtual_time
async def test_who_has_no_token_waits_for_the_budget_where_that_is_soon() -> None:
    """And is told the time where it is not."""
    async with keeping(then=Says(life_s=10), rules=RefreshRules(budget_count=2, budget_per_s=40)) as kept:
        await kept.credential.wait()
        await kept.credential.refresh()
        await asyncio.sleep(15)
        assert kept.credential.current() is None
        error, took_s = await timed(kept.credential.wait())
        assert isinstance(error, NoToken)
        assert took_s == 0
        assert error.reason == "budget"
        assert error.retry_after_s == pytest.approx(25, abs=0.1)
        await asyncio.sleep(16)
        token, took_s = await timed(kept.credential.wait())
        assert isinstance(token, Token)
        assert took_s == pytest.approx(9, abs=0.1)
        await settled()
        assert kept.exchanger.began_within(40) == 2
