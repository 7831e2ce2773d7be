"""What a credential takes over from the one whose place it takes at a reload."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sidecar.credentials.credential import Credential
from sidecar.credentials.keys import Looks
from sidecar.credentials.rules import RefreshRules
from sidecar.credentials.succession import Successor
from sidecar.secret import Secret
from tests.credentials.kept import DOWN, GOOD, GOOD_KEY, REFUSED, FakeKeySource, Kept, Says, keeping, outcome, timed
from tests.credentials.virtual_time import in_virtual_time

NEXT_KEY = Secret("next-key")


@asynccontextmanager
async def succeeding(kept: Kept, before: Credential | None = None, window_s: float = 30.0) -> AsyncIterator[Successor]:
    """Have another of the same key and exchange, but another window, take its place."""
    successor = Successor(
        "crm",
        kept.source,
        kept.exchanger,
        RefreshRules(window_s=window_s),
        kept.clock,
        kept.records,
        most_waiting=1000,
        wait_s=10.0,
        rng=lambda: 0.5,
        before=before or kept.credential,
        same_issue=True,
    )
    task = asyncio.create_task(successor.run())
    await kept.stop()
    try:
        yield successor
    finally:
        task.cancel()
        await asyncio.wait([task])


@in_virtual_time
async def test_the_key_in_memory_does_where_its_source_fails() -> None:
    """As it would have without the reload: the token is renewed."""
    source = FakeKeySource(looks=Looks(asked=True), watched=False)
    async with keeping(source=source) as kept:
        await kept.credential.wait()
        source.key = None
        async with succeeding(kept) as successor:
            await asyncio.sleep(2 * 3600)
            assert successor.current() is not None
            assert (successor.status().state, set(kept.exchanger.keys)) == ("fresh", {GOOD_KEY})


@in_virtual_time
async def test_a_key_that_was_good_is_waited_for_when_it_is_refused() -> None:
    """The next one is written a moment after the rejection; whoever was rejected gets its token."""
    async with keeping(good_keys=[GOOD_KEY]) as kept:
        old = await kept.credential.wait()
        async with succeeding(kept) as successor:
            await asyncio.sleep(100)
            kept.exchanger.good_keys = {NEXT_KEY}
            replacing = asyncio.create_task(timed(successor.replacement(old)))
            await asyncio.sleep(0.8)
            kept.source.key = NEXT_KEY
            kept.source.changed()
            token, took_s = await replacing
            assert token is not None and token is successor.current() is not old
            assert took_s < 5


@in_virtual_time
async def test_a_refused_key_stays_refused() -> None:
    """State, error and what to do about it are said without another exchange."""
    async with keeping(good_keys=[GOOD_KEY]) as kept:
        await kept.credential.wait()
        kept.source.key = NEXT_KEY
        await asyncio.sleep(10)
        before, count = kept.credential.status(), kept.count
        assert before.state == "key_rejected"
        async with succeeding(kept) as successor:
            await asyncio.sleep(1)
            status = successor.status()
            assert (status.state, status.error, status.remedy) == ("key_rejected", before.error, before.remedy)
            assert kept.count == count


@in_virtual_time
async def test_a_new_key_that_was_due_is_still_exchanged() -> None:
    """The endpoint was down when the key changed; the old token goes once it is up."""
    async with keeping() as kept:
        old = await kept.credential.wait()
        kept.exchanger.then = DOWN
        kept.source.key = NEXT_KEY
        await asyncio.sleep(30)
        kept.exchanger.then = GOOD
        count = kept.count
        async with succeeding(kept) as successor:
            await asyncio.sleep(60)
            assert successor.current() is not old
            assert (kept.exchanger.keys[-1], kept.records.triggers[count]) == (NEXT_KEY, "key_change")


@in_virtual_time
async def test_an_endpoint_that_asked_to_be_left_alone_is() -> None:
    """Its Retry-After is as long after a reload, and no longer."""
    async with keeping(then=Says(fails="rate_limited", retry_after_s=300)) as kept:
        await outcome(kept.credential.wait())
        async with succeeding(kept):
            await asyncio.sleep(295)
            assert kept.count == 1
            await asyncio.sleep(10)
            assert kept.count == 2


@in_virtual_time
async def test_many_reloads_probe_a_refused_key_no_more_often() -> None:
    """Twenty within a minute, and each would have asked at once."""
    async with keeping(then=REFUSED) as kept:
        await outcome(kept.credential.wait())
        before: Credential = kept.credential
        for number in range(20):
            async with succeeding(kept, before, window_s=60.0 + number) as successor:
                await asyncio.sleep(3)
            before = successor
        assert kept.count <= 3


@in_virtual_time
async def test_a_clock_set_back_just_before_keeps_no_dead_token() -> None:
    """Nobody had noticed it yet; the token ends when it would have."""
    async with keeping() as kept:
        old = await kept.credential.wait()
        await asyncio.sleep(1800)
        kept.clock.move(-3600)
        async with succeeding(kept) as successor:
            await asyncio.sleep(kept.exchanger.ends_s[id(old)] - kept.clock.monotonic() + 60)
            assert successor.current() not in (None, old)
