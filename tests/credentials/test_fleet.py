"""Fifty processes that do the same at the same time must not go on doing so: renewals and retries spread out."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.credentials.kept import DOWN, GOOD, HOUR_S, FakeKeySource, Kept, Says, keeping
from tests.credentials.virtual_time import in_virtual_time

SIZE = 50
# Of those who do something, in any one second.
MOST_SHARE = 0.15


@asynccontextmanager
async def fleet(seed: int, *script: Says, then: Says = GOOD) -> AsyncIterator[list[Kept]]:
    """Start them all in the same instant, each with dice of its own."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                keeping(
                    *script,
                    then=then,
                    rng=random.Random(f"{seed} {number}").random,
                    source=FakeKeySource(watched=False),
                )
            )
            for number in range(SIZE)
        ]


def crowding(began: list[float], window_s: float = 1.0) -> float:
    """Return the share of these moments that lie in the fullest second, wherever it begins."""
    return max(sum(start <= other < start + window_s for other in began) for start in began) / len(began)


def begun(members: list[Kept], counts: Callable[[float], bool]) -> list[float]:
    """Return when exchanges began, of those moments that count."""
    return [began_s for kept in members for began_s in kept.exchanger.began_s if counts(began_s)]


@pytest.mark.parametrize("seed", range(2))
@in_virtual_time
async def test_renewals_of_tokens_obtained_together_are_spread(seed: int) -> None:
    """Lives of an hour: no second holds more than 15 % of them, neither of the first renewals nor of the later ones."""
    async with fleet(seed) as members:
        await asyncio.sleep(2.05 * HOUR_S)
        for number in (1, 2):
            began = [kept.exchanger.began_s[number] for kept in members]
            assert crowding(began) <= MOST_SHARE
        assert {kept.count for kept in members} == {3}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("outage_s", "most_share"), [(20.0, 0.25), (120.0, MOST_SHARE), (600.0, MOST_SHARE)])
@in_virtual_time
async def test_an_endpoint_that_comes_back_is_not_met_by_all_at_once(
    seed: int, outage_s: float, most_share: float
) -> None:
    """A start into an outage: their tries are spread while it lasts, and when it ends for all at the same moment."""
    async with fleet(seed, then=DOWN) as members:
        await asyncio.sleep(outage_s)
        for kept in members:
            kept.exchanger.then = Says()
        await asyncio.sleep(31)
        for kept in members:
            kept.valid()
        assert crowding(begun(members, lambda began_s: began_s >= outage_s)) <= most_share
        if outage_s >= 60:
            assert crowding(begun(members, lambda began_s: outage_s - 30 <= began_s < outage_s)) <= most_share


@in_virtual_time
async def test_a_fleet_that_was_told_the_same_retry_after_does_not_return_in_one_instant() -> None:
    """Nobody comes too early, nor a second too late; and within that second they are spread."""
    async with fleet(1, Says(fails="rate_limited", retry_after_s=60)) as members:
        await asyncio.sleep(100)
        began = begun(members, lambda began_s: began_s > 1)
        assert len(began) == SIZE
        assert 60 <= min(began) < max(began) < 61.1
        assert crowding(began, 0.1) <= 0.3
