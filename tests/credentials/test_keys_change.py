"""A key that is refused, and a key that takes another's place."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from sidecar.credentials.pace import PROBE_MOST_S
from sidecar.credentials.rules import RefreshRules
from sidecar.credentials.token import Token
from sidecar.errors import KeyRejected, NoToken
from sidecar.secret import Secret
from tests.credentials.kept import (
    DOWN,
    GOOD_KEY,
    HANGS,
    HOUR_S,
    REFUSED,
    FakeKeySource,
    Says,
    keeping,
    outcome,
    timed,
)
from tests.credentials.virtual_time import in_virtual_time

BAD_KEY = Secret("bad-key")
NEXT_KEY = Secret("next-key")


@in_virtual_time
async def test_a_refused_key_is_probed_slowly() -> None:
    """After 60 s, each time half as long again, at most every 5 min; nobody waits meanwhile."""
    async with keeping(then=REFUSED) as kept:
        for _ in range(36_000):
            error, took_s = await timed(kept.credential.wait())
            assert isinstance(error, KeyRejected)
            assert took_s <= 0.01
            await asyncio.sleep(0.1)
        waits = [round(later - start) for start, later in pairwise(kept.exchanger.began_s)]
        assert waits[:5] == [60, 90, 135, 203, 300]
        assert set(waits[4:]) == {PROBE_MOST_S}


@in_virtual_time
async def test_the_probe_is_slow_after_failures_too() -> None:
    """A first refusal is followed by the first wait, however long the endpoint had been down."""
    async with keeping(*[DOWN] * 10, then=REFUSED) as kept:
        await asyncio.sleep(HOUR_S / 4)
        began_s = kept.exchanger.began_s
        assert [round(later - start) for start, later in pairwise(began_s[10:13])] == [60, 90]


@in_virtual_time
async def test_a_refused_key_stays_refused_when_the_endpoint_fails() -> None:
    """Another failure of a probe does not make it fast, nor the state another."""
    async with keeping(REFUSED, then=DOWN) as kept:
        for _ in range(600):
            await asyncio.sleep(1)
            assert kept.state == "key_rejected"
            assert isinstance(await outcome(kept.credential.wait()), KeyRejected)
        assert kept.exchanger.began_within(60) == 1


@in_virtual_time
async def test_a_probe_obeys_retry_after() -> None:
    """Where that is longer."""
    async with keeping(REFUSED, Says(fails="rate_limited", retry_after_s=1000), then=REFUSED) as kept:
        await asyncio.sleep(1100)
        assert [round(later - start) for start, later in pairwise(kept.exchanger.began_s)] == [60, 1000]


@in_virtual_time
async def test_a_key_that_is_enabled_again_is_found_by_the_probe() -> None:
    """Its text has not changed."""
    async with keeping(REFUSED, REFUSED, Says()) as kept:
        await asyncio.sleep(151)
        kept.valid()
        assert kept.state == "fresh"
        assert kept.credential.status().error is None


@in_virtual_time
async def test_a_new_key_is_used_within_three_seconds() -> None:
    """Whatever held the old one back; and requests wait for it instead of being told of the old one."""
    source = FakeKeySource(BAD_KEY)
    async with keeping(source=source, good_keys=[GOOD_KEY], then=Says(takes_s=2)) as kept:
        await asyncio.sleep(1000)
        source.key = GOOD_KEY
        await asyncio.sleep(2.5)
        assert kept.state == "empty"
        token, took_s = await timed(kept.credential.wait())
        assert isinstance(token, Token)
        assert took_s <= 2
        assert kept.records.told[-1].trigger == "key_change"


@in_virtual_time
async def test_the_old_token_stays_until_the_new_key_has_brought_one() -> None:
    """A rotation in the middle of a token's life: no request is without one."""
    async with keeping(Says(), Says(takes_s=5)) as kept:
        old = await kept.credential.wait()
        kept.source.key = NEXT_KEY
        for _ in range(60):
            assert kept.credential.current() is not None
            await asyncio.sleep(0.1)
        assert kept.valid() is old
        await asyncio.sleep(3)
        assert kept.valid() is not old
        assert kept.exchanger.keys == [GOOD_KEY, NEXT_KEY]
        assert kept.credential.status().fingerprint == NEXT_KEY.fingerprint()


@in_virtual_time
async def test_a_refused_new_key_leaves_the_old_token_in_use() -> None:
    """To its expiry, and says so all the time; then requests are told at once."""
    async with keeping(Says(life_s=300), good_keys=[GOOD_KEY]) as kept:
        old = await kept.credential.wait()
        kept.source.key = BAD_KEY
        await asyncio.sleep(4)
        while kept.clock.monotonic() < 299:
            assert await kept.credential.wait() is old
            assert kept.state == "key_rejected"
            assert kept.credential.status().usable
            await asyncio.sleep(1)
        await asyncio.sleep(2)
        error, took_s = await timed(kept.credential.wait())
        assert isinstance(error, KeyRejected)
        assert took_s == 0
        kept.source.key = GOOD_KEY
        await asyncio.sleep(3)
        kept.valid()


@in_virtual_time
async def test_a_new_key_whose_exchange_fails_is_tried_again_soon() -> None:
    """Not only when the token's time comes."""
    async with keeping(Says(), DOWN, HANGS) as kept:
        old = await kept.credential.wait()
        kept.source.key = NEXT_KEY
        await asyncio.sleep(20)
        assert kept.valid() is not old
        assert kept.records.triggers == ["start", "key_change", "key_change", "key_change"]


@in_virtual_time
async def test_a_new_key_after_a_refused_one_is_not_punished_for_it() -> None:
    """Its first failure is followed by the first back-off, not by the probe."""
    source = FakeKeySource(BAD_KEY)
    async with keeping(REFUSED, DOWN, source=source) as kept:
        await asyncio.sleep(10)
        source.key = GOOD_KEY
        await asyncio.sleep(4)
        kept.valid()


@in_virtual_time
async def test_a_new_key_waits_for_the_budget_and_is_not_forgotten() -> None:
    """It comes when there is none left."""
    async with keeping(rules=RefreshRules(budget_count=2, budget_per_s=60)) as kept:
        await kept.credential.wait()
        await kept.credential.refresh()
        kept.source.key = NEXT_KEY
        await asyncio.sleep(50)
        assert kept.count == 2
        await asyncio.sleep(15)
        assert kept.exchanger.keys[2:] == [NEXT_KEY]


@in_virtual_time
async def test_a_key_that_is_being_written_is_never_exchanged() -> None:
    """However much goes on at the same time: looks are a second apart."""
    async with keeping() as kept:
        token = await kept.credential.wait()
        written = b"the-new-key-in-full"
        for length in range(1, len(written) + 1):
            kept.source.key = Secret(written[:length])
            for _ in range(9):
                kept.credential.renew_after(token)
                await asyncio.sleep(0.1)
        await asyncio.sleep(30)
        assert set(kept.exchanger.keys) == {GOOD_KEY, Secret(written)}


@in_virtual_time
async def test_the_source_is_read_once_a_second_whatever_happens() -> None:
    """A storm of rejections does not read it more often."""
    async with keeping(then=Says(life_s=60)) as kept:
        for _ in range(1000):
            kept.credential.renew_after(kept.credential.current() or await kept.credential.wait())
            await asyncio.sleep(0.1)
        assert kept.source.reads <= 102


@in_virtual_time
async def test_a_source_that_goes_away_is_no_change() -> None:
    """The key in use stays, and a token is renewed with it."""
    async with keeping(then=Says(life_s=60)) as kept:
        await kept.credential.wait()
        kept.source.key = None
        await asyncio.sleep(HOUR_S)
        kept.valid()
        assert kept.state == "fresh"
        assert set(kept.exchanger.keys) == {GOOD_KEY}


@in_virtual_time
async def test_a_source_that_hangs_holds_up_no_renewal() -> None:
    """A network disk that does not answer: there is one read and no more, and every request has its token."""
    async with keeping(then=Says(life_s=60)) as kept:
        await kept.credential.wait()
        kept.source.takes_s = 1e5
        await asyncio.sleep(1)
        reads = kept.source.reads
        for _ in range(3600):
            assert kept.credential.current() is not None
            await asyncio.sleep(1)
        assert kept.source.reads <= reads + 1


@in_virtual_time
async def test_an_unwatched_key_that_is_refused_is_probed_and_never_read_again() -> None:
    """The remedy says that it takes a start."""
    async with keeping(then=REFUSED, source=FakeKeySource(BAD_KEY, watched=False)) as kept:
        error = await outcome(kept.credential.wait())
        assert isinstance(error, KeyRejected)
        assert "start again" in (error.remedy or "")
        await asyncio.sleep(HOUR_S)
        assert kept.source.reads == 1
        assert kept.count == pytest.approx(14, abs=1)


@in_virtual_time
async def test_a_key_that_cannot_be_sent_is_a_bad_key() -> None:
    """The exchanger says so, and nothing has been sent."""
    from sidecar.errors import KeyUnavailable

    async with keeping(then=Says(fails=KeyUnavailable("the API key is empty"))) as kept:
        error = await outcome(kept.credential.wait())
        assert isinstance(error, KeyRejected)
        assert not isinstance(error, NoToken)
        assert kept.state == "key_rejected"
