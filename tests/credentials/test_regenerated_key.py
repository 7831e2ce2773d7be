"""A key that was regenerated: the old one is dead at once, and its tokens may be too."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.credentials.key_in_use import REPLACED_WITHIN_S, SETTLE_S
from sidecar.credentials.token import Token
from sidecar.errors import KeyRejected
from sidecar.secret import Secret
from tests.credentials.kept import DOWN, GOOD_KEY, REFUSED, FakeKeySource, Kept, Says, keeping, timed
from tests.credentials.virtual_time import in_virtual_time

NEXT_KEY = Secret("next-key")
# Until a new key counts once it was seen, and the exchange of it.
SETTLED_S = SETTLE_S + 0.1


async def regenerate(kept: Kept, written_after_s: float) -> tuple[Token, list[Token | None]]:
    """Have the old key refused from now on, the new one taken, and ten requests rejected; write the file around that.

    Returns:
        The old token, and for each request what may be sent in its place.
    """
    old = await kept.credential.wait()
    await asyncio.sleep(100.4)  # between two looks at the source
    kept.exchanger.good_keys = {NEXT_KEY}
    if written_after_s <= 0:
        kept.source.key = NEXT_KEY
        await asyncio.sleep(-written_after_s)
    rejected = [asyncio.create_task(kept.credential.replacement(old)) for _ in range(10)]
    if written_after_s > 0:
        await asyncio.sleep(written_after_s)
        kept.source.key = NEXT_KEY
    return old, await asyncio.gather(*rejected)


@pytest.mark.parametrize("written_after_s", [-2.5, -1.5, -0.7, -0.3, 0.0, 0.1, 0.7, 1.5, REPLACED_WITHIN_S - 0.1])
@in_virtual_time
async def test_requests_that_are_rejected_meanwhile_wait_for_the_new_key(written_after_s: float) -> None:
    """The file is written a moment before or after the old key dies: a refusal is not believed before it was read."""
    async with keeping(good_keys=[GOOD_KEY]) as kept:
        old, replacements = await regenerate(kept, written_after_s)
        assert set(replacements) == {kept.valid()} and kept.valid() is not old
        assert kept.exchanger.keys in ([GOOD_KEY, GOOD_KEY, NEXT_KEY], [GOOD_KEY, NEXT_KEY])
        assert kept.state == "fresh" and kept.credential.status().error is None
        assert kept.clock.monotonic() <= 100.5 + max(0.0, written_after_s) + 2 * SETTLED_S + max(0.0, -written_after_s)


@in_virtual_time
async def test_so_do_requests_that_find_no_token() -> None:
    """The old one has expired, and the renewal is refused: they wait, and are not told of the old key."""
    async with keeping(Says(life_s=100), good_keys=[GOOD_KEY]) as kept:
        await kept.credential.wait()
        kept.clock.move(+1000)
        kept.exchanger.good_keys = {NEXT_KEY}
        kept.source.key = NEXT_KEY
        token, took_s = await timed(kept.credential.wait())
        assert isinstance(token, Token)
        assert took_s <= 2 * SETTLED_S


@in_virtual_time
async def test_a_key_that_stays_dead_is_believed_after_a_moment() -> None:
    """Once: from then on requests are told at once, and probes are as rare as ever."""
    async with keeping(Says(), then=REFUSED) as kept:
        old = await kept.credential.wait()
        await asyncio.sleep(100)
        for patience_s in (REPLACED_WITHIN_S, 0.0, 0.0):
            replacement, took_s = await timed(kept.credential.replacement(old))
            assert replacement is None
            assert patience_s <= took_s <= patience_s + SETTLE_S
        assert kept.count == 2
        await asyncio.sleep(58)
        assert kept.count == 2
        await asyncio.sleep(200)
        assert kept.count == 4
        assert kept.state == "key_rejected"


@in_virtual_time
async def test_a_key_that_never_was_good_is_believed_to_be_bad_at_once() -> None:
    """One look, at the start and after each wrong key that somebody puts there."""
    async with keeping(good_keys=[GOOD_KEY], source=FakeKeySource(Secret("wrong"))) as kept:
        error, took_s = await timed(kept.credential.wait())
        assert isinstance(error, KeyRejected)
        assert took_s <= 0.02
        kept.source.key = Secret("wrong as well")
        await asyncio.sleep(2.1)
        error, took_s = await timed(kept.credential.wait())
        assert isinstance(error, KeyRejected)
        assert took_s <= 0.02


@in_virtual_time
async def test_a_key_that_cannot_be_looked_for_is_believed_at_once() -> None:
    """Its source does not change while the process runs."""
    async with keeping(Says(), then=REFUSED, source=FakeKeySource(watched=False)) as kept:
        old = await kept.credential.wait()
        replacement, took_s = await timed(kept.credential.replacement(old))
        assert replacement is None
        assert took_s <= 0.02
        assert kept.source.reads == 1


@pytest.mark.parametrize("seen", [False, True])
@in_virtual_time
async def test_half_a_key_is_not_exchanged_for_it(seen: bool) -> None:
    """The looks that must agree stay a second apart, also where a refusal comes between them."""
    async with keeping(good_keys=[GOOD_KEY]) as kept:
        old = await kept.credential.wait()
        await asyncio.sleep(100.4)
        kept.exchanger.good_keys = {NEXT_KEY}
        kept.source.key = Secret("next")
        reads = kept.source.reads
        while seen and kept.source.reads == reads:  # noqa: ASYNC110  # time is virtual
            await asyncio.sleep(0.1)
        rejected = asyncio.create_task(kept.credential.replacement(old))
        await asyncio.sleep(0.5)
        kept.source.key = NEXT_KEY
        assert await rejected is kept.valid()
        assert kept.exchanger.keys == [GOOD_KEY, GOOD_KEY, NEXT_KEY]


@in_virtual_time
async def test_an_endpoint_that_fails_does_not_send_anybody_looking() -> None:
    """Only a refusal says something about the key."""
    async with keeping(Says(), DOWN) as kept:
        old = await kept.credential.wait()
        await asyncio.sleep(100.4)
        reads = kept.source.reads
        replacement, took_s = await timed(kept.credential.replacement(old))
        assert replacement is None
        assert took_s <= 0.02
        assert kept.source.reads == reads


@in_virtual_time
async def test_both_exchanges_are_told_to_the_watcher() -> None:
    """What was refused was refused, and how long that took does not hold the looking for another key."""
    async with keeping(good_keys=[GOOD_KEY]) as kept:
        await regenerate(kept, 0.1)
        told = [(record.trigger, record.outcome) for record in kept.records.told]
        assert told == [("start", "ok"), ("rejection", "key_rejected"), ("key_change", "ok")]
        assert all(record.duration_s <= 0.02 for record in kept.records.told)


class Restless(FakeKeySource):
    """Holds something else at each look, from some moment on."""

    restless = False

    async def read(self) -> Secret:
        """Return what it holds now."""
        key = await super().read()
        return Secret(f"written-{self.reads}") if self.restless else key


@in_virtual_time
async def test_a_file_that_never_settles_does_not_hold_the_refusal_up() -> None:
    """Those who wait are told in seconds."""
    source = Restless()
    async with keeping(good_keys=[GOOD_KEY], source=source) as kept:
        old = await kept.credential.wait()
        source.restless = True
        kept.exchanger.good_keys = set()
        replacement, took_s = await timed(kept.credential.replacement(old))
        assert replacement is None and took_s <= REPLACED_WITHIN_S + 4 * SETTLE_S
        assert kept.state == "key_rejected"
