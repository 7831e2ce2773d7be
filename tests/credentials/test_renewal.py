"""Renewal: behind the requests, in time, and never more often than needed."""

from __future__ import annotations

import asyncio
import math
from itertools import pairwise

import pytest

from sidecar.credentials.rules import RefreshRules
from sidecar.credentials.token import Token
from sidecar.errors import NoToken
from tests.credentials.kept import HOUR_S, FakeKeySource, Says, keeping, timed
from tests.credentials.virtual_time import in_virtual_time, virtual_loop


@in_virtual_time
async def test_a_token_is_renewed_behind_the_requests() -> None:
    """The exchange takes five seconds; every request meanwhile has a valid token at once."""
    async with keeping(Says(life_s=300), Says(life_s=300, takes_s=5), rng=lambda: 0.0) as kept:
        first = await kept.credential.wait()
        await asyncio.sleep(241)
        assert kept.state == "stale"
        assert kept.exchanger.running == 1
        for _ in range(100):
            token, took_s = await timed(kept.credential.wait())
            assert (token, took_s) == (first, 0)
            await asyncio.sleep(0.01)
        await asyncio.sleep(5)
        assert kept.valid() is not first
        assert kept.records.triggers == ["start", "expiry"]
        assert kept.state == "fresh"


@in_virtual_time
async def test_a_day_of_tokens_costs_one_exchange_each() -> None:
    """Each is renewed between 50 and 60 % of the way where the window is a third, and there is always one."""
    async with keeping(then=Says(life_s=900), source=FakeKeySource(watched=False)) as kept:
        await kept.credential.wait()
        end_s = virtual_loop().time() + 24 * HOUR_S
        while virtual_loop().time() < end_s:
            assert kept.credential.current() is not None
            await asyncio.sleep(29)
        assert 24 * HOUR_S / 840 <= kept.count <= 24 * HOUR_S / 755 + 2


@pytest.mark.parametrize("watched", [True, False])
@in_virtual_time
async def test_nothing_is_done_while_nothing_is_due(watched: bool) -> None:
    """A token for ever: no exchange in an hour, and no more wake-ups than looks at the key and the clock."""
    async with keeping(Says(life_s=math.inf), source=FakeKeySource(watched=watched)) as kept:
        await kept.credential.wait()
        before = virtual_loop().wake_ups
        await asyncio.sleep(HOUR_S)
        assert kept.count == 1
        assert virtual_loop().wake_ups - before <= (HOUR_S if watched else HOUR_S / 15) + 2
        assert kept.credential.status().next_refresh_at is None


@pytest.mark.parametrize("life_s", [0.1, 1.0, 3.0, 5.0, 6.0, 8.0, 12.0, 40.0])
@in_virtual_time
async def test_a_token_shorter_than_the_window_makes_no_loop(life_s: float) -> None:
    """However short, the budget holds in any minute, and nobody who waits is refused."""
    async with keeping(then=Says(life_s=life_s)) as kept:
        for _ in range(600):
            token = await kept.credential.wait()
            assert isinstance(token, Token)
            assert kept.clock.wall() < token.expires_at
            await asyncio.sleep(0.5)
        assert kept.exchanger.began_within(60) <= 12


@in_virtual_time
async def test_tokens_of_five_seconds_are_renewed_at_the_budgets_pace() -> None:
    """One in five seconds is all that 12 in a minute allow: evenly, so that nobody ever waits for longer than one."""
    async with keeping(then=Says(life_s=5)) as kept:
        waits = []
        for _ in range(6000):
            _, took_s = await timed(kept.credential.wait())
            waits.append(took_s)
            await asyncio.sleep(0.02)
        assert max(waits[1:]) <= 0.02
        assert {round(later - start, 3) for start, later in pairwise(kept.exchanger.began_s)} == {5.0}


@in_virtual_time
async def test_a_larger_budget_renews_tokens_of_five_seconds_in_time() -> None:
    """Then nobody waits at all."""
    async with keeping(then=Says(life_s=5, takes_s=0.5), rules=RefreshRules(budget_count=60)) as kept:
        await kept.credential.wait()
        for _ in range(6000):
            assert kept.credential.current() is not None
            await asyncio.sleep(0.02)
        assert kept.exchanger.began_within(60) <= 20


@in_virtual_time
async def test_a_token_that_expires_on_its_way_is_not_used() -> None:
    """An answer that drips for longer than its token lives: a failure, with a back-off."""
    async with keeping(Says(life_s=3), then=Says()) as kept:
        exchange = kept.exchanger.exchange

        async def drip(key: object) -> Token:
            token = await exchange(kept.source.key)  # type: ignore[arg-type]
            if kept.count == 1:
                await asyncio.sleep(4)
            return token

        kept.exchanger.exchange = drip  # type: ignore[method-assign]
        await asyncio.sleep(4.2)
        assert kept.credential.current() is None
        assert kept.records.told[0].outcome == "bad_response"
        await asyncio.sleep(1)
        assert kept.valid().secret.reveal() == b"token-2"


@in_virtual_time
async def test_a_long_request_begins_with_a_token_that_lasts() -> None:
    """Inside the window it waits for the exchange; outside it takes the token at once."""
    async with keeping(Says(life_s=300), Says(takes_s=1), rng=lambda: 0.0) as kept:
        old = await kept.credential.wait()
        assert await timed(kept.credential.lasting(old)) == (old, 0)
        await asyncio.sleep(240.1)
        token, took_s = await timed(kept.credential.lasting(old))
        assert token is kept.valid()
        assert token is not old
        assert took_s <= 1


@in_virtual_time
async def test_a_long_request_does_not_wait_in_vain() -> None:
    """Two seconds where the exchange is slow, and not at all where it fails or the budget holds it back."""
    slow = Says(takes_s=9, fails="network")
    async with keeping(Says(life_s=300), slow, then=Says(takes_s=9), rng=lambda: 0.0) as kept:
        old = await kept.credential.wait()
        await asyncio.sleep(240.1)
        token, took_s = await timed(kept.credential.lasting(old))
        assert token is old
        assert took_s == pytest.approx(2)
        await asyncio.sleep(9)
        assert kept.credential.status().error is not None
        assert await timed(kept.credential.lasting(old)) == (old, 0)
    async with keeping(then=Says(life_s=60), rules=RefreshRules(budget_count=1)) as kept:
        old = await kept.credential.wait()
        await asyncio.sleep(45)
        assert await timed(kept.credential.lasting(old)) == (old, 0)


@in_virtual_time
async def test_a_long_request_never_gets_a_token_that_expired_while_it_waited() -> None:
    """The next one then, or an error."""
    async with keeping(Says(life_s=30), Says(takes_s=9), then=Says(takes_s=9)) as kept:
        old = await kept.credential.wait()
        kept.exchanger.script = [Says(takes_s=25)]
        await asyncio.sleep(29)
        token, took_s = await timed(kept.credential.lasting(old))
        assert isinstance(token, Token | NoToken)
        assert token is not old
        assert took_s <= 12.001
