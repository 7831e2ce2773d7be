"""A key that is asked for, of a program or a keyring: when that is asked, and what happens while it does not answer."""

from __future__ import annotations

import asyncio
import logging

import pytest

from sidecar.credentials.key_command import CommandKey
from sidecar.credentials.key_keyring import KeyringKey
from sidecar.credentials.token import Token
from sidecar.errors import KeyRejected
from sidecar.secret import Secret
from tests.credentials.kept import DOWN, GOOD_KEY, HOUR_S, REFUSED, FakeKeySource, Kept, Says, keeping, outcome, timed
from tests.credentials.virtual_time import in_virtual_time

NEXT_KEY = Secret("next-key")
BAD_KEY = Secret("bad-key")
TTL_S = 3000.0


def command(key: Secret | None = GOOD_KEY, *, ttl_s: float | None = TTL_S, takes_s: float = 0.5) -> FakeKeySource:
    """Return a source that behaves as a command does."""
    real = CommandKey(["/bin/op"], ttl_s=ttl_s, environ={})
    source = FakeKeySource(key, watched=real.watched, looks=real.looks)
    source.takes_s = takes_s
    return source


def at_work(kept: Kept) -> bool:
    """Whether there is a token, and no complaint."""
    return kept.credential.current() is not None and kept.credential.status().error is None


@in_virtual_time
async def test_it_is_asked_again_at_the_end_of_its_ttl() -> None:
    """Then and not before; the same key is no change."""
    async with keeping(source=command()) as kept:
        await asyncio.sleep(TTL_S)
        assert kept.source.reads == 1
        await asyncio.sleep(2)
        assert kept.source.reads == 2
        await asyncio.sleep(10 * TTL_S)
        assert 10 <= kept.source.reads <= 12
        assert set(kept.exchanger.keys) == {GOOD_KEY}
        assert "key_change" not in kept.records.triggers


@in_virtual_time
async def test_another_key_is_a_change_like_any_other() -> None:
    """Taken at once, since a program's whole output is no half key; the old token stays until the new one is there."""
    async with keeping(Says(), Says(takes_s=5), source=command()) as kept:
        old = await kept.credential.wait()
        kept.source.key = NEXT_KEY
        await asyncio.sleep(TTL_S + 4)
        assert kept.valid() is old
        assert kept.exchanger.keys == [GOOD_KEY, NEXT_KEY]
        await asyncio.sleep(3)
        assert kept.valid() is not old
        assert kept.records.triggers == ["start", "key_change"]


@in_virtual_time
async def test_one_that_fails_leaves_the_key_in_use_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    """It is tried again once a minute, and the key is used meanwhile."""
    async with keeping(then=Says(life_s=600), source=command()) as kept:
        await kept.credential.wait()
        kept.source.key = None
        for _ in range(3600):
            await asyncio.sleep(1)
            assert at_work(kept)
        said = [record.getMessage() for record in caplog.records if "cannot be read" in record.getMessage()]
        assert said == ["credential crm: file /keys/key cannot be read; the key in use stays"]
        assert 9 <= kept.source.reads <= 13
        kept.source.key = NEXT_KEY
        await asyncio.sleep(62)
        assert kept.exchanger.keys[-1] == NEXT_KEY


@in_virtual_time
async def test_a_slow_one_holds_up_no_renewal_and_is_not_asked_twice() -> None:
    """Tokens of a minute, and a program that takes ten: every request has its token."""
    async with keeping(then=Says(life_s=60), source=command(takes_s=600.0)) as kept:
        await asyncio.sleep(601)
        for _ in range(2 * 3600):
            assert at_work(kept)
            await asyncio.sleep(1)
        assert kept.source.reads == 3
        assert kept.source.most_reading == 1


@in_virtual_time
async def test_a_slow_one_is_not_said_to_hang(caplog: pytest.LogCaptureFixture) -> None:
    """Asking takes its time; a program that really hangs is killed at its time-out."""
    async with keeping(source=command(takes_s=25.0)):
        await asyncio.sleep(3 * TTL_S)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@in_virtual_time
async def test_without_ttl_it_is_asked_once() -> None:
    """However often its token is renewed."""
    async with keeping(then=Says(life_s=60), source=command(ttl_s=None)) as kept:
        await asyncio.sleep(24 * HOUR_S)
        assert kept.source.reads == 1


@pytest.mark.parametrize("ttl_s", [None, TTL_S])
@in_virtual_time
async def test_a_refused_key_is_asked_for_again_before_that_is_believed(ttl_s: float | None) -> None:
    """The key was changed where it comes from: requests that find no token wait for the new one."""
    async with keeping(Says(life_s=600), good_keys=[GOOD_KEY], source=command(ttl_s=ttl_s, takes_s=2.0)) as kept:
        await kept.credential.wait()
        await asyncio.sleep(100)
        kept.exchanger.good_keys = {NEXT_KEY}
        kept.source.key = NEXT_KEY
        kept.clock.move(+700)
        token, took_s = await timed(kept.credential.wait())
        assert isinstance(token, Token)
        assert took_s <= 3
        assert kept.source.reads == 2
        assert kept.exchanger.keys == [GOOD_KEY, GOOD_KEY, NEXT_KEY]


@in_virtual_time
async def test_a_key_that_stays_refused_is_asked_for_at_each_probe() -> None:
    """And not more often; the remedy says that it is asked for again."""
    async with keeping(then=REFUSED, source=command(BAD_KEY, ttl_s=None)) as kept:
        error = await outcome(kept.credential.wait())
        assert isinstance(error, KeyRejected)
        assert "it is asked again by itself" in str(error.remedy)
        await asyncio.sleep(57)
        assert kept.count == 1
        await asyncio.sleep(4)  # the probe, and the answer that is waited for before its outcome is believed
        assert kept.credential.status().consecutive_failures == kept.count == 2
        assert kept.credential.status().next_refresh_at == pytest.approx(kept.clock.wall() + 90, abs=3)
        await asyncio.sleep(HOUR_S)
        assert kept.source.reads <= kept.count + 1 <= 17
        kept.source.key = GOOD_KEY
        kept.exchanger.then = Says()
        await asyncio.sleep(330)
        kept.valid()


@in_virtual_time
async def test_a_bad_key_that_was_read_a_moment_ago_is_not_asked_for_at_once() -> None:
    """It would give the same; a few seconds later it may not."""
    async with keeping(good_keys=[GOOD_KEY], source=command(BAD_KEY, ttl_s=None)) as kept:
        error, took_s = await timed(kept.credential.wait())
        assert isinstance(error, KeyRejected)
        assert took_s <= 0.6
        assert kept.source.reads == 1
        kept.source.key = GOOD_KEY
        await asyncio.sleep(6)
        kept.valid()
        assert kept.source.reads == 2


@in_virtual_time
async def test_a_manual_refresh_asks_for_the_key_first() -> None:
    """The token that it brings is of the key that is there now."""
    async with keeping(source=command(ttl_s=None, takes_s=2.0)) as kept:
        await kept.credential.wait()
        await asyncio.sleep(100)
        kept.source.key = NEXT_KEY
        await kept.credential.refresh()
        assert kept.exchanger.keys == [GOOD_KEY, NEXT_KEY]
        assert kept.source.reads == 2


@in_virtual_time
async def test_a_manual_refresh_does_not_wait_long_for_a_slow_one() -> None:
    """After five seconds the key in use will do; the other is taken when it comes."""
    async with keeping(source=command(ttl_s=None)) as kept:
        await kept.credential.wait()
        await asyncio.sleep(100)
        kept.source.takes_s = 20.0
        kept.source.key = NEXT_KEY
        began_s = kept.clock.monotonic()
        await kept.credential.refresh()
        assert 5 <= kept.clock.monotonic() - began_s <= 5.5
        assert kept.exchanger.keys == [GOOD_KEY, GOOD_KEY]
        await asyncio.sleep(20)
        assert kept.exchanger.keys[2:] == [NEXT_KEY]


@in_virtual_time
async def test_manual_refreshes_in_a_row_ask_once() -> None:
    """The answer of a moment ago will do."""
    async with keeping(source=command(ttl_s=None)) as kept:
        await kept.credential.wait()
        await asyncio.sleep(100)
        for _ in range(5):
            await kept.credential.refresh()
        assert kept.source.reads == 2
        assert kept.count == 6


@in_virtual_time
async def test_a_renewal_does_not_wait_for_the_answer() -> None:
    """Its time comes while a manual refresh waits for a slow program."""
    async with keeping(then=Says(life_s=60), source=command(ttl_s=None)) as kept:
        await kept.credential.wait()
        kept.source.takes_s = 1000.0
        await asyncio.sleep(37.5)  # at 38.01 the next is due
        refresh = asyncio.create_task(kept.credential.refresh())
        await asyncio.sleep(2)
        assert kept.count == 2
        await refresh


@in_virtual_time
async def test_a_token_that_is_the_key_itself_has_it_asked_for_again() -> None:
    """The upstream rejects it, and an exchange brings the same: the program may know another."""
    async with keeping(then=Says(text="the-key-itself"), source=command(ttl_s=None)) as kept:
        token = await kept.credential.wait()
        await asyncio.sleep(100)
        kept.source.key = NEXT_KEY
        assert await kept.credential.replacement(token) is None
        await asyncio.sleep(1)
        assert kept.exchanger.keys[-1] == NEXT_KEY


@in_virtual_time
async def test_time_that_the_machine_slept_is_part_of_a_ttl() -> None:
    """A key of an hour is too old in the morning."""
    async with keeping(source=command()) as kept:
        await kept.credential.wait()
        kept.clock.move(+8 * HOUR_S)
        await asyncio.sleep(16)
        assert kept.source.reads == 2


@in_virtual_time
async def test_where_there_is_no_key_yet_it_is_asked_rarely() -> None:
    """It may be waiting for a person; once that has unlocked it, all is well."""
    async with keeping(source=command(None, ttl_s=None)) as kept:
        await asyncio.sleep(HOUR_S)
        assert 200 <= kept.source.reads <= 242
        kept.source.key = GOOD_KEY
        await asyncio.sleep(17)
        kept.valid()
        reads = kept.source.reads
        await asyncio.sleep(HOUR_S)
        assert kept.source.reads == reads


@in_virtual_time
async def test_an_end_while_it_is_being_asked() -> None:
    """The asking is given up, and is over when the task is."""
    async with keeping(source=command(takes_s=30.0)) as kept:
        await asyncio.sleep(TTL_S + 40)
        assert kept.source.reading == 1
        await kept.stop()
        assert kept.source.reading == 0


@in_virtual_time
async def test_an_endpoint_that_is_down_has_nothing_asked() -> None:
    """It says nothing of the key."""
    async with keeping(then=DOWN, source=command(ttl_s=None)) as kept:
        await asyncio.sleep(HOUR_S)
        assert kept.source.reads == 1


def test_a_keyring_is_asked_like_a_command() -> None:
    """It has no ttl: looking may make it ask a person."""
    assert KeyringKey("a", "b").looks == CommandKey(["/bin/op"], environ={}).looks
