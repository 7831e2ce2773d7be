"""Rejections: tied to their token, one exchange for all, and no storm whatever an upstream says."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from sidecar.credentials.rules import RefreshRules
from sidecar.credentials.token import Token
from tests.credentials.kept import DOWN, HANGS, REFUSED, Kept, Says, keeping, settled, timed
from tests.credentials.virtual_time import in_virtual_time, virtual_loop


async def replaced(kept: Kept, rejected: Token, count: int) -> Sequence[Token | None]:
    """Have a number of requests meet a rejection at the same time."""
    return await asyncio.gather(*(kept.credential.replacement(rejected) for _ in range(count)))


@in_virtual_time
async def test_200_rejections_of_one_token_share_one_exchange() -> None:
    """All get the same replacement."""
    async with keeping() as kept:
        old = await kept.credential.wait()
        kept.credential.accepted(old)
        tokens = await replaced(kept, old, 200)
        assert set(tokens) == {kept.valid()}
        assert kept.valid() is not old
        assert kept.records.triggers == ["start", "rejection"]


@in_virtual_time
async def test_rejections_that_trickle_in_share_it_too() -> None:
    """Over two seconds, while the exchange takes one; a late one of the old token gets the current one, no exchange."""
    async with keeping(Says(), Says(takes_s=1)) as kept:
        old = await kept.credential.wait()

        async def late(by_s: float) -> Token | None:
            await asyncio.sleep(by_s)
            return await kept.credential.replacement(old)

        tokens = await asyncio.gather(*(late(number / 100) for number in range(200)))
        assert set(tokens) == {kept.valid()}
        assert kept.count == 2


@in_virtual_time
async def test_a_late_rejection_costs_no_wait() -> None:
    """The token that took the rejected one's place is there."""
    async with keeping() as kept:
        old = await kept.credential.wait()
        await kept.credential.refresh()
        token, took_s = await timed(kept.credential.replacement(old))
        assert (token, took_s) == (kept.valid(), 0)
        assert kept.count == 2


@in_virtual_time
async def test_the_same_token_again_is_no_replacement() -> None:
    """An endpoint that hands out one token until it expires: nobody replays with it, and nobody asks twice."""
    async with keeping(then=Says(text="always-the-same")) as kept:
        old = await kept.credential.wait()
        kept.credential.accepted(old)
        assert await replaced(kept, old, 20) == [None] * 20
        assert kept.count == 2
        for _ in range(1000):
            assert await kept.credential.replacement(kept.valid()) is None
            assert await kept.credential.replacement(old) is None
            await asyncio.sleep(0.02)
        assert kept.count == 2


@in_virtual_time
async def test_rejections_for_ever_cost_one_exchange_in_a_hold_down() -> None:
    """A thousand in half a minute, each of the token that is current: the start's, one more, and then none."""
    async with keeping() as kept:
        await kept.credential.wait()
        for _ in range(1000):
            await kept.credential.replacement(kept.valid())
            await asyncio.sleep(0.03)
        assert kept.count <= 3


@in_virtual_time
async def test_requests_that_cannot_be_replayed_make_no_storm_either() -> None:
    """They ask for a renewal each, and get one in a hold-down."""
    async with keeping() as kept:
        await kept.credential.wait()
        for _ in range(1000):
            kept.credential.renew_after(kept.valid())
            await asyncio.sleep(0.03)
        assert kept.count <= 3


@in_virtual_time
async def test_a_renewal_that_is_asked_for_while_it_runs_is_not_made_twice() -> None:
    """The one that runs will do."""
    async with keeping(Says(), Says(takes_s=2)) as kept:
        old = await kept.credential.wait()
        for _ in range(10):
            kept.credential.renew_after(old)
            await asyncio.sleep(0.1)
        await asyncio.sleep(60)
        assert kept.count == 2


@in_virtual_time
async def test_a_token_that_was_taken_is_always_worth_an_exchange() -> None:
    """Revoked right after it took a rejected one's place, and after a request had gone well with it."""
    async with keeping() as kept:
        first = await kept.credential.wait()
        second = await kept.credential.replacement(first)
        assert second is not None
        kept.credential.accepted(second)
        assert kept.credential.may_be_replaced(second, taken_there=True)
        tokens = await replaced(kept, second, 50)
        assert set(tokens) == {kept.valid()} - {second}
        assert kept.count == 3


@in_virtual_time
async def test_which_rejections_may_be_mended_though_exchanging_has_not_helped() -> None:
    """Of the current token where it was taken before; of an old one while nothing speaks against the current one."""
    async with keeping() as kept:
        token = await kept.credential.wait()
        assert not kept.credential.may_be_replaced(token, taken_there=True)
        kept.credential.accepted(token)
        assert kept.credential.may_be_replaced(token, taken_there=True)
        assert not kept.credential.may_be_replaced(token, taken_there=False)
        kept.credential.note_rejected(token)
        assert not kept.credential.may_be_replaced(token, taken_there=True)
        await kept.credential.refresh()
        kept.credential.accepted(token)
        assert kept.credential.may_be_replaced(token, taken_there=True)
        assert not kept.credential.may_be_replaced(kept.valid(), taken_there=True)
        kept.credential.note_rejected(kept.valid())
        assert not kept.credential.may_be_replaced(token, taken_there=True)


@in_virtual_time
async def test_the_verdict_on_a_token_is_told_and_ends() -> None:
    """While it is the one in use: with the hold-down, or with the next token."""
    async with keeping() as kept:
        token = await kept.credential.wait()
        assert kept.credential.status().hopeless_for_s == 0
        kept.credential.note_rejected(token)
        await asyncio.sleep(10)
        assert kept.credential.status().hopeless_for_s == pytest.approx(20)
        await asyncio.sleep(21)
        assert kept.credential.status().hopeless_for_s == 0
        kept.credential.note_rejected(token)
        await kept.credential.refresh()
        assert kept.credential.status().hopeless_for_s == 0


@in_virtual_time
async def test_a_rejection_inside_the_hold_down_shares_an_exchange_that_runs_anyway() -> None:
    """It would cause none itself."""
    async with keeping(Says(), Says(), Says(takes_s=2)) as kept:
        second = await kept.credential.replacement(await kept.credential.wait())
        assert second is not None
        refreshing = asyncio.create_task(kept.credential.refresh())
        await asyncio.sleep(1)
        third = await kept.credential.replacement(second)
        await refreshing
        assert third is kept.valid()
        assert kept.count == 3


@in_virtual_time
async def test_a_late_success_of_an_old_token_says_nothing_of_the_current_one() -> None:
    """Nor does it make it unproven."""
    async with keeping() as kept:
        old = await kept.credential.wait()
        await kept.credential.refresh()
        kept.credential.accepted(kept.valid())
        kept.credential.accepted(old)
        assert kept.credential.may_be_replaced(kept.valid(), taken_there=True)


@in_virtual_time
async def test_a_storm_on_tokens_that_others_take_stays_within_the_budget() -> None:
    """One route accepts every token and another one rejects every token."""
    async with keeping() as kept:
        await kept.credential.wait()
        for _ in range(20_000):
            token = kept.valid()
            kept.credential.accepted(token)
            await kept.credential.replacement(token)
            await asyncio.sleep(0.01)
        assert kept.exchanger.began_within(60) <= 12


@in_virtual_time
async def test_a_rejection_does_not_wait_for_the_budget() -> None:
    """It is relayed; the answer is in hand."""
    async with keeping(rules=RefreshRules(budget_count=1, budget_per_s=5)) as kept:
        token = await kept.credential.wait()
        assert await timed(kept.credential.replacement(token)) == (None, 0)


@in_virtual_time
async def test_a_failed_replacement_relays_the_rejection_and_stays_due() -> None:
    """The old token goes on being used; the renewal is tried again by itself, behind the back-off."""
    async with keeping(Says(), DOWN, DOWN) as kept:
        old = await kept.credential.wait()
        assert await kept.credential.replacement(old) is None
        assert kept.valid() is old
        assert await timed(kept.credential.replacement(old)) == (None, 0)
        assert kept.count == 2
        await asyncio.sleep(3)
        assert kept.valid() is not old
        assert kept.records.triggers == ["start", "rejection", "rejection", "rejection"]


@in_virtual_time
async def test_a_rejection_waits_no_longer_than_a_request_may() -> None:
    """An endpoint that hangs."""
    async with keeping(Says(), HANGS, wait_s=2) as kept:
        old = await kept.credential.wait()
        token, took_s = await timed(kept.credential.replacement(old))
        assert token is None
        assert took_s == pytest.approx(2)


@in_virtual_time
async def test_a_rejection_beyond_those_who_may_wait_is_relayed() -> None:
    """It is an answer, and better than one of ours."""
    async with keeping(Says(), Says(takes_s=1), most_waiting=3) as kept:
        old = await kept.credential.wait()
        tokens = await replaced(kept, old, 5)
        assert tokens == [kept.valid()] * 3 + [None] * 2


@in_virtual_time
async def test_a_rejection_of_an_expired_token_brings_one() -> None:
    """It expired on the way."""
    async with keeping(Says(life_s=300), DOWN, Says()) as kept:
        old = await kept.credential.wait()
        await asyncio.sleep(239)
        kept.clock.move(+100)
        assert kept.credential.is_expired(old)
        kept.exchanger.script.clear()
        assert await kept.credential.replacement(old) is kept.valid()


@in_virtual_time
async def test_rejections_do_not_wear_out_a_refused_key() -> None:
    """The slow probe it is, whatever the load."""
    async with keeping(Says(), then=REFUSED) as kept:
        old = await kept.credential.wait()
        end_s = virtual_loop().time() + 600
        while virtual_loop().time() < end_s:
            assert await kept.credential.replacement(old) is None
            kept.credential.renew_after(old)
            await asyncio.sleep(0.1)
        assert kept.exchanger.began_within(59) <= 2
        assert kept.count <= 6


@pytest.mark.parametrize("hold_down_s", [0.0, 5.0])
@in_virtual_time
async def test_the_hold_down_ends(hold_down_s: float) -> None:
    """Then a rejection is worth an exchange again."""
    async with keeping(rules=RefreshRules(hold_down_s=hold_down_s)) as kept:
        token = await kept.credential.wait()
        for number in (2, 3):
            token = await kept.credential.replacement(token) or token
            assert kept.count == number
            await asyncio.sleep(hold_down_s)
        await settled()
