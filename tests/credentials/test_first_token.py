"""The first token: everybody waits for one exchange, which belongs to none of them."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.credentials.rules import RefreshRules
from sidecar.credentials.token import Token
from sidecar.credentials.waiters import Waiters
from sidecar.errors import KeyRejected, NoToken, Overloaded
from tests.credentials.kept import DOWN, GOOD_KEY, HANGS, REFUSED, FakeKeySource, Says, keeping, outcome, settled, timed
from tests.credentials.virtual_time import in_virtual_time


@in_virtual_time
async def test_a_start_brings_a_token_without_being_asked() -> None:
    """One exchange, made due by the start."""
    async with keeping() as kept:
        assert kept.state == "empty"
        await asyncio.sleep(1)
        assert kept.valid().secret.reveal() == b"token-1"
        assert kept.records.triggers == ["start"]
        assert kept.state == "fresh"


@in_virtual_time
async def test_500_requests_on_a_cold_cache_share_one_exchange() -> None:
    """All of them get the same token."""
    async with keeping(Says(takes_s=2)) as kept:
        tokens = await asyncio.gather(*(kept.credential.wait() for _ in range(500)))
        assert kept.count == 1
        assert set(map(id, tokens)) == {id(kept.valid())}


@in_virtual_time
async def test_the_exchange_that_runs_is_joined_though_the_budget_is_used_up() -> None:
    """By those who come while it runs."""
    async with keeping(Says(takes_s=2), rules=RefreshRules(budget_count=1)) as kept:
        await asyncio.sleep(1)
        assert await kept.credential.wait() is kept.valid()


@in_virtual_time
async def test_one_who_leaves_takes_nobody_along() -> None:
    """Nor the exchange that was made due by it: the first of 500 leaves, and then every other one."""
    async with keeping(Says(takes_s=2)) as kept:
        waiting = [asyncio.create_task(outcome(kept.credential.wait())) for _ in range(500)]
        await asyncio.sleep(0.001)
        for task in waiting[::2]:
            task.cancel()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [isinstance(each, Token) for each in outcomes[1::2]] == [True] * 250
        assert [isinstance(each, asyncio.CancelledError) for each in outcomes[::2]] == [True] * 250
        assert kept.count == 1


@in_virtual_time
async def test_one_who_leaves_as_the_failure_comes_is_no_loose_end() -> None:
    """Told of an error and cancelled in the same turn of the loop: no exception is left that nobody retrieves."""
    waiters = Waiters(1)
    waiting = asyncio.create_task(waiters.token(1))
    await settled()
    waiters.tell(NoToken("no"))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(waiters) == 0


@in_virtual_time
async def test_one_who_leaves_just_before_is_not_told() -> None:
    """Cancelled, and an outcome comes before that has taken effect: the others are told."""
    waiters = Waiters(2)
    waiting = [asyncio.create_task(waiters.token(1)) for _ in range(2)]
    await settled()
    waiting[0].cancel()
    waiters.tell(NoToken("no"))
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert list(map(type, outcomes)) == [asyncio.CancelledError, NoToken]


@in_virtual_time
async def test_a_failed_first_exchange_is_told_to_all_who_wait() -> None:
    """With the time of the next try; whoever comes later is told at once."""
    async with keeping(DOWN, Says(takes_s=5)) as kept:
        for error in await asyncio.gather(*(outcome(kept.credential.wait()) for _ in range(10))):
            assert isinstance(error, NoToken)
            assert error.retry_after_s == 0.5
        error, took_s = await timed(kept.credential.wait())
        assert isinstance(error, NoToken)
        assert took_s == 0
        assert kept.count == 1


@in_virtual_time
async def test_each_who_is_told_gets_an_error_of_their_own() -> None:
    """A shared instance would collect the tracebacks of all."""
    async with keeping(DOWN) as kept:
        errors = await asyncio.gather(*(outcome(kept.credential.wait()) for _ in range(10)))
        assert len(set(map(id, errors))) == 10


@in_virtual_time
async def test_more_than_may_wait_are_turned_away() -> None:
    """At once; those who wait are served."""
    async with keeping(Says(takes_s=2), most_waiting=3) as kept:
        outcomes = await asyncio.gather(*(timed(kept.credential.wait()) for _ in range(5)))
        assert [isinstance(each, Token) for each, _ in outcomes] == [True] * 3 + [False] * 2
        assert all(isinstance(each, Overloaded) and took_s == 0 for each, took_s in outcomes[3:])


@in_virtual_time
async def test_one_who_leaves_makes_room_for_another() -> None:
    """Where as many wait as may: disconnected clients must not keep others out until the exchange ends."""
    async with keeping(Says(takes_s=2), most_waiting=3) as kept:
        waiting = [asyncio.create_task(outcome(kept.credential.wait())) for _ in range(3)]
        await asyncio.sleep(0.1)
        for task in waiting[:2]:
            task.cancel()
        await settled()
        outcomes = await asyncio.gather(*(outcome(kept.credential.wait()) for _ in range(3)), waiting[2])
        assert [type(each) for each in outcomes] == [Token, Token, Overloaded, Token]


@in_virtual_time
async def test_nobody_waits_longer_than_the_limit() -> None:
    """An endpoint that hangs: 503 after `wait_s`, while the exchange goes on."""
    async with keeping(Says(takes_s=8), wait_s=3) as kept:
        error, took_s = await timed(kept.credential.wait())
        assert isinstance(error, NoToken)
        assert (took_s, error.retry_after_s) == (3, 1)
        await asyncio.sleep(6)
        kept.valid()
        assert kept.count == 1


@in_virtual_time
async def test_an_endpoint_that_hangs_is_a_failure_like_another() -> None:
    """Its own time-out ends the exchange; then nobody waits for the next that hangs."""
    async with keeping(then=HANGS, wait_s=30) as kept:
        error, took_s = await timed(kept.credential.wait())
        assert isinstance(error, NoToken)
        assert took_s == 10
        await asyncio.sleep(5)
        assert kept.exchanger.running == 1
        error, took_s = await timed(kept.credential.wait())
        assert isinstance(error, NoToken)
        assert took_s == 0


@in_virtual_time
async def test_a_refused_key_is_told_as_such() -> None:
    """At the start already."""
    async with keeping(REFUSED) as kept:
        error = await outcome(kept.credential.wait())
        assert isinstance(error, KeyRejected)
        assert error.retry_after_s == 60
        assert "file /keys/key" in (error.remedy or "")


@in_virtual_time
async def test_a_key_that_cannot_be_read_yet_is_used_when_it_appears() -> None:
    """Within two looks, a second apart; until then nobody waits and nothing is exchanged."""
    source = FakeKeySource(None)
    async with keeping(source=source) as kept:
        error = await outcome(kept.credential.wait())
        assert isinstance(error, NoToken)
        assert error.reason == "no_key"
        await asyncio.sleep(100)
        assert kept.count == 0
        assert kept.credential.status().consecutive_failures == 0
        assert isinstance(await outcome(kept.credential.wait()), NoToken)
        source.key = GOOD_KEY
        kept.exchanger.then = Says(takes_s=3)
        await asyncio.sleep(2.1)
        assert kept.credential.status().error is None
        assert await kept.credential.wait() is kept.valid()


@in_virtual_time
async def test_a_first_key_that_is_being_written_is_not_exchanged() -> None:
    """Half of it, at one look, is not enough."""
    source = FakeKeySource(None)
    async with keeping(source=source, good_keys=[GOOD_KEY]) as kept:
        await asyncio.sleep(5.5)
        source.key = type(GOOD_KEY)(b"good")
        await asyncio.sleep(1)
        source.key = GOOD_KEY
        await asyncio.sleep(5)
        assert kept.exchanger.keys == [GOOD_KEY]


@in_virtual_time
async def test_a_source_that_is_not_watched_is_asked_again_rarely() -> None:
    """A program that a person has to unlock: a few times a minute, until there is a key, and never after."""
    source = FakeKeySource(None, watched=False)
    async with keeping(source=source) as kept:
        await asyncio.sleep(61)
        assert source.reads == 5
        source.key = GOOD_KEY
        await asyncio.sleep(30)
        kept.valid()
        reads = source.reads
        await asyncio.sleep(600)
        assert source.reads == reads


@in_virtual_time
async def test_a_key_source_that_hangs_at_the_start_holds_nobody_for_ever() -> None:
    """Requests wait as long as they may."""
    source = FakeKeySource()
    source.takes_s = 1e6
    async with keeping(source=source) as kept:
        error, took_s = await timed(kept.credential.wait())
        assert isinstance(error, NoToken)
        assert took_s == 10
