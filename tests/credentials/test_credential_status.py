"""What a credential says of itself is true in each of its states."""

from __future__ import annotations

import asyncio
import math

import pytest

from tests.credentials.kept import DOWN, GOOD_KEY, REFUSED, FakeKeySource, Says, keeping
from tests.credentials.manual_clock import NOW
from tests.credentials.virtual_time import in_virtual_time


@in_virtual_time
async def test_empty_before_the_first_exchange() -> None:
    """Nothing is wrong yet."""
    async with keeping(Says(takes_s=5)) as kept:
        await asyncio.sleep(1)
        status = kept.credential.status()
        assert (status.state, status.usable, status.error, status.remedy) == ("empty", False, None, None)
        assert (status.obtained_at, status.expires_at, status.last_exchange) == (None, None, None)
        assert status.fingerprint == GOOD_KEY.fingerprint()


@in_virtual_time
async def test_fresh() -> None:
    """When it was obtained, expires and is renewed, and the exchange that brought it."""
    async with keeping(Says(life_s=300), rng=lambda: 0.0) as kept:
        await kept.credential.wait()
        status = kept.credential.status()
        assert (status.state, status.usable, status.error, status.remedy) == ("fresh", True, None, None)
        assert status.obtained_at == pytest.approx(NOW + 0.01)
        assert status.expires_at == pytest.approx(NOW + 300.01)
        assert status.next_refresh_at == pytest.approx(NOW + 240.01)
        assert status.last_exchange is not None
        assert status.last_exchange.outcome == "ok"
        assert status.last_exchange.duration_s == pytest.approx(0.01)
        assert status.source == "file /keys/key"
        assert (status.name, status.consecutive_failures) == ("crm", 0)


@in_virtual_time
async def test_stale_and_failing() -> None:
    """Usable, with the error, what to do, and the time of the next try."""
    async with keeping(Says(life_s=300), then=DOWN, rng=lambda: 0.5) as kept:
        await asyncio.sleep(270)
        status = kept.credential.status()
        assert (status.state, status.usable) == ("stale", True)
        assert status.error is not None
        assert "it was a network" in status.error
        assert status.remedy is not None
        assert "token endpoint" in status.remedy
        assert status.consecutive_failures == kept.count - 1
        assert status.next_refresh_at is not None
        count = kept.count
        await asyncio.sleep(status.next_refresh_at - kept.clock.wall() - 0.01)
        assert kept.count == count
        await asyncio.sleep(0.02)
        assert kept.count == count + 1


@in_virtual_time
async def test_expired() -> None:
    """Not usable; the token's own times are still told."""
    async with keeping(Says(life_s=300), then=DOWN) as kept:
        await asyncio.sleep(310)
        status = kept.credential.status()
        assert (status.state, status.usable) == ("expired", False)
        assert status.expires_at == pytest.approx(NOW + 300.01)
        assert status.error is not None


@in_virtual_time
async def test_key_rejected() -> None:
    """With the remedy for where the key comes from, and the time of the probe."""
    async with keeping(then=REFUSED) as kept:
        await asyncio.sleep(1)
        status = kept.credential.status()
        assert (status.state, status.usable) == ("key_rejected", False)
        assert status.remedy is not None
        assert status.remedy.startswith("put a valid API key into file /keys/key: it is used as soon as it is there")
        assert status.next_refresh_at == pytest.approx(NOW + 60.01)


@in_virtual_time
async def test_a_key_that_is_not_there() -> None:
    """No fingerprint, no next exchange; what to do depends on whether the source is watched."""
    for watched, remedy in ((True, "as soon as it is there"), (False, "start again")):
        async with keeping(source=FakeKeySource(None, watched=watched)) as kept:
            await asyncio.sleep(1)
            status = kept.credential.status()
            assert (status.state, status.fingerprint, status.next_refresh_at) == ("empty", "", None)
            assert status.error == "file /keys/key cannot be read"
            assert status.remedy is not None
            assert remedy in status.remedy


@in_virtual_time
async def test_a_token_for_ever() -> None:
    """It has no expiry, and no refresh."""
    async with keeping(Says(life_s=math.inf)) as kept:
        await kept.credential.wait()
        status = kept.credential.status()
        assert (status.state, status.usable) == ("fresh", True)
        assert (status.expires_at, status.next_refresh_at) == (None, None)


@in_virtual_time
async def test_a_clock_that_was_set_back() -> None:
    """Expiry and refresh are told by the clock as it is now."""
    async with keeping(Says(life_s=300), rng=lambda: 0.0) as kept:
        await asyncio.sleep(10)
        kept.clock.move(-1000)
        await asyncio.sleep(2)
        status = kept.credential.status()
        assert status.expires_at == pytest.approx(NOW - 1000 + 300.01)
        assert status.next_refresh_at == pytest.approx(NOW - 1000 + 240.01)


@in_virtual_time
async def test_the_last_exchanges_are_remembered() -> None:
    """Not all of them."""
    async with keeping(then=Says(life_s=9)) as kept:
        await asyncio.sleep(600)
        status = kept.credential.status()
        assert kept.count > 32
        assert list(status.recent) == kept.records.told[-32:]


@in_virtual_time
async def test_no_secret_is_in_it() -> None:
    """Nor in what is logged on the way."""
    async with keeping(Says(text="canary-token"), REFUSED, source=FakeKeySource(type(GOOD_KEY)("canary-key"))) as kept:
        await kept.credential.wait()
        assert "canary" not in repr(kept.credential.status())
