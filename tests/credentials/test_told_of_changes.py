"""A source that tells when something happened to it: looked at soon after, not all the time, and calmly."""

from __future__ import annotations

import asyncio
import logging

import pytest

from sidecar.credentials.masked import MaskedSource
from sidecar.secret import Secret
from tests.credentials.kept import GOOD_KEY, FakeKeySource, Says, keeping
from tests.credentials.virtual_time import in_virtual_time

NEXT_KEY = Secret("next-key")


@in_virtual_time
async def test_a_new_key_that_is_told_of_is_exchanged_within_a_second_and_a_bit() -> None:
    """A look soon after, and the settle time; whenever it comes between two polls."""
    for after_s in (0.0, 0.3, 0.6, 0.9):
        async with keeping() as kept:
            await kept.credential.wait()
            await asyncio.sleep(10 + after_s)
            kept.source.key = NEXT_KEY
            kept.source.changed()
            await asyncio.sleep(1.5)
            assert kept.exchanger.keys == [GOOD_KEY, NEXT_KEY]


def test_a_source_whose_keys_the_log_masks_is_the_same_in_all_else() -> None:
    """It is told of, looked at and advised on like the one that it masks."""
    source, told = FakeKeySource(), []
    masked = MaskedSource(source)
    source.advice, source.written_at = "advice", 5.0
    masked.follow(lambda: told.append(True))
    source.changed()
    assert told
    assert (masked.advice, masked.written_at, masked.looks) == ("advice", 5.0, source.looks)


@in_virtual_time
async def test_a_first_key_that_is_told_of() -> None:
    """It waits for the poll no more than a later one."""
    async with keeping(source=FakeKeySource(None)) as kept:
        await asyncio.sleep(10.6)
        kept.source.key = GOOD_KEY
        kept.source.changed()
        await asyncio.sleep(1.5)
        kept.valid()


@in_virtual_time
async def test_a_storm_of_events_is_a_few_looks() -> None:
    """Somebody writes the same key again and again."""
    async with keeping() as kept:
        await kept.credential.wait()
        await asyncio.sleep(10)
        reads = kept.source.reads
        for _ in range(1000):
            kept.source.changed()
            await asyncio.sleep(0.01)
        assert kept.source.reads - reads <= 26


@in_virtual_time
async def test_half_a_key_is_not_exchanged_however_often_it_is_told_of() -> None:
    """The two looks that must agree stay a second apart."""
    async with keeping() as kept:
        await kept.credential.wait()
        await asyncio.sleep(10)
        for length in range(1, 9):
            kept.source.key = Secret(b"next-key"[:length])
            for _ in range(9):
                kept.source.changed()
                await asyncio.sleep(0.1)
        await asyncio.sleep(3)
        assert kept.exchanger.keys == [GOOD_KEY, NEXT_KEY]


@in_virtual_time
async def test_a_file_that_is_away_for_a_moment_is_no_problem(caplog: pytest.LogCaptureFixture) -> None:
    """An editor takes it away before it writes: nobody is told. One that stays away is told of, once for each time."""
    async with keeping() as kept:
        await kept.credential.wait()
        for _ in range(5):
            await asyncio.sleep(10)
            kept.source.key = None
            kept.source.changed()
            await asyncio.sleep(0.3)
            kept.source.key = GOOD_KEY
            kept.source.changed()
        assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
        for _ in range(2):
            kept.source.key = None
            await asyncio.sleep(100)
            kept.source.key = GOOD_KEY
            await asyncio.sleep(10)
        said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        assert said == ["credential crm: file /keys/key cannot be read; the key in use stays"] * 2


@in_virtual_time
async def test_advice_is_given_once_for_each_thing(caplog: pytest.LogCaptureFixture) -> None:
    """At the start, and where a new key brings another; not with each key that brings the same."""
    source = FakeKeySource()
    source.advice = "file /keys/key is for everybody"
    async with keeping(then=Says(life_s=60), source=source) as kept:
        for number, advice in enumerate((source.advice, source.advice, "it is worse", None)):
            source.advice = advice
            source.key = Secret(f"key-number-{number}")
            await asyncio.sleep(100)
        assert kept.count > 4
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert said == ["credential crm: file /keys/key is for everybody", "credential crm: it is worse"]


class Broken(FakeKeySource):
    """A source with a defect, for as long as it is told to have one."""

    broken = True

    async def read(self) -> Secret:
        """Return the key."""
        if self.broken:
            raise ImportError(f"no module, but {GOOD_KEY.reveal()!r}")
        return await super().read()


@in_virtual_time
async def test_a_defect_of_a_source_is_outlived(caplog: pytest.LogCaptureFixture) -> None:
    """At the start and later; what is said of it is its kind alone."""
    source = Broken()
    async with keeping(then=Says(life_s=60), source=source) as kept:
        await asyncio.sleep(10)
        source.broken = False
        await asyncio.sleep(5)
        kept.valid()
        source.broken = True
        await asyncio.sleep(200)
        kept.valid()
        source.broken, source.key = False, NEXT_KEY
        await asyncio.sleep(5)
        assert kept.exchanger.keys[-1] == NEXT_KEY
    said = [record.getMessage() for record in caplog.records if "ImportError" in record.getMessage()]
    assert len(said) == 2
    assert said[1] == "credential crm: file /keys/key cannot be read (ImportError); the key in use stays"
    assert "good-key" not in caplog.text
