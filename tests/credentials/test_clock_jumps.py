"""The wall clock moves by itself: a laptop sleeps, somebody sets the time, a battery was empty."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.credentials.credential import CLOCK_CHECK_S
from sidecar.credentials.token import Token
from sidecar.errors import KeyRejected
from sidecar.secret import Secret
from tests.credentials.kept import DOWN, HANGS, HOUR_S, REFUSED, FakeKeySource, Says, keeping, outcome, timed
from tests.credentials.virtual_time import in_virtual_time, virtual_loop

FIFTY_YEARS_S = 50 * 365 * 24 * HOUR_S


@pytest.mark.parametrize("slept_s", [2 * HOUR_S, 8 * HOUR_S, FIFTY_YEARS_S])
@in_virtual_time
async def test_the_first_request_after_a_sleep_has_a_token(slept_s: float) -> None:
    """The old one is not used, even at once; one exchange brings another."""
    async with keeping() as kept:
        old = await kept.credential.wait()
        await asyncio.sleep(100.2)
        kept.clock.move(slept_s)
        assert kept.credential.current() is None
        token, took_s = await timed(kept.credential.wait())
        assert isinstance(token, Token)
        assert token is not old
        assert took_s == pytest.approx(0.01)
        await asyncio.sleep(600)
        assert kept.count == 2


@in_virtual_time
async def test_a_sleep_is_noticed_without_a_request() -> None:
    """Within 15 s; nothing else goes on in this process."""
    async with keeping(source=FakeKeySource(watched=False)) as kept:
        await kept.credential.wait()
        await asyncio.sleep(100)
        kept.clock.move(+2 * HOUR_S)
        await asyncio.sleep(CLOCK_CHECK_S + 0.1)
        kept.valid()
        assert kept.count == 2


@pytest.mark.parametrize("by_s", [-1.5, -60, -HOUR_S, -FIFTY_YEARS_S])
@in_virtual_time
async def test_a_clock_that_is_set_back_misses_no_renewal(by_s: float) -> None:
    """The token does not live longer for it, and there is no loop."""
    async with keeping(then=Says(life_s=900), source=FakeKeySource(watched=False)) as kept:
        await kept.credential.wait()
        await asyncio.sleep(100)
        kept.clock.move(by_s)
        await asyncio.sleep(900 - 60 - 100)
        assert kept.count == 2
        assert kept.state == "fresh"
        await asyncio.sleep(6 * HOUR_S)
        assert kept.count <= 2 + 6 * HOUR_S / 700
        kept.valid()


@in_virtual_time
async def test_a_token_is_not_worn_past_its_life_by_a_clock_that_is_set_back() -> None:
    """The endpoint is down, so there is no other; it ends when it would have ended."""
    async with keeping(Says(life_s=900), then=DOWN) as kept:
        await kept.credential.wait()
        await asyncio.sleep(100)
        kept.clock.move(-HOUR_S)
        await asyncio.sleep(798)
        kept.valid()
        await asyncio.sleep(3)
        assert kept.credential.current() is None
        assert kept.state == "expired"


@pytest.mark.parametrize("by_s", [-0.9, -5.0, -HOUR_S, -FIFTY_YEARS_S])
@pytest.mark.parametrize("before_s", [0.001, 0.5, 12.0])
@in_virtual_time
async def test_a_clock_that_is_set_back_just_before_the_end_keeps_no_token_alive(by_s: float, before_s: float) -> None:
    """Not even until that is noticed: its life is over when it is over."""
    async with keeping(Says(life_s=900), then=HANGS, source=FakeKeySource(watched=False)) as kept:
        token = await kept.credential.wait()
        end_s = kept.clock.monotonic() + 900
        await asyncio.sleep(900 - before_s)
        assert kept.credential.current() is token
        kept.clock.move(by_s)
        await asyncio.sleep(before_s - 0.0005)
        assert kept.credential.current() is token
        await asyncio.sleep(0.001)
        assert kept.clock.monotonic() > end_s
        assert kept.credential.current() is None
        assert kept.state == "expired"
        kept.clock.move(by_s)
        assert kept.credential.current() is None


@in_virtual_time
async def test_a_clock_that_stands_still_keeps_no_token_alive() -> None:
    """Nor one that goes on from there later."""
    async with keeping(Says(life_s=900), then=DOWN, source=FakeKeySource(watched=False)) as kept:
        await kept.credential.wait()
        await asyncio.sleep(899)
        kept.clock.stop()
        await asyncio.sleep(1.001)
        assert kept.credential.current() is None
        kept.clock.go_on()
        assert kept.credential.current() is None


@in_virtual_time
async def test_a_timer_of_the_token_before_does_not_end_the_one_after() -> None:
    """Renewed at 600 s, the first one's would have come at 900."""
    async with keeping(then=Says(life_s=900)) as kept:
        for _ in range(40):
            await asyncio.sleep(100)
            kept.valid()


@pytest.mark.parametrize("slept_s", [HOUR_S, 2 * HOUR_S, FIFTY_YEARS_S])
@in_virtual_time
async def test_a_machine_that_sleeps_during_an_exchange_trusts_no_life_that_began_before(slept_s: float) -> None:
    """Its answer came before the sleep and is read after it: an hour that is counted from now would be long over."""
    async with keeping(Says(life_s=900, takes_s=5), Says(life_s=HOUR_S, takes_s=1)) as kept:
        await asyncio.sleep(2)
        kept.clock.move(+slept_s)
        await asyncio.sleep(3.5)
        assert kept.credential.current() is None
        assert kept.records.told[0].outcome == "timeout"
        assert "slept" in kept.records.told[0].detail
        await asyncio.sleep(2)
        assert kept.valid().secret.reveal() == b"token-2"


@in_virtual_time
async def test_a_sleep_during_an_exchange_is_not_waited_for_what_its_answer_asks() -> None:
    """It was before: Retry-After counts from the answer."""
    async with keeping(Says(fails="rate_limited", retry_after_s=100, takes_s=5)) as kept:
        await asyncio.sleep(2)
        kept.clock.move(+HOUR_S)
        await asyncio.sleep(100)
        assert kept.count == 1
        await asyncio.sleep(5)
        kept.valid()


@in_virtual_time
async def test_a_clock_that_is_set_back_while_an_answer_comes_lengthens_no_life() -> None:
    """Its head came by the old clock, its end by the new one."""
    async with keeping(Says(life_s=900), then=DOWN) as kept:
        exchange = kept.exchanger.exchange

        async def drip(key: Secret) -> Token:
            token = await exchange(key)
            kept.clock.move(-HOUR_S)
            return token

        kept.exchanger.exchange = drip  # type: ignore[method-assign]
        await asyncio.sleep(899)
        kept.valid()
        assert kept.credential.status().expires_at == pytest.approx(kept.clock.wall() + 1, abs=0.1)
        await asyncio.sleep(2)
        assert kept.credential.current() is None


@in_virtual_time
async def test_a_short_sleep_during_an_exchange_shortens_the_token_s_life() -> None:
    """By as much; it is renewed the earlier."""
    async with keeping(Says(life_s=900, takes_s=5), then=DOWN, rng=lambda: 0.0) as kept:
        await asyncio.sleep(2)
        kept.clock.move(+300)
        await asyncio.sleep(4)
        kept.valid()
        status = kept.credential.status()
        assert status.expires_at == pytest.approx(kept.clock.wall() - 1 + 600, abs=0.1)
        assert status.next_refresh_at == pytest.approx(kept.clock.wall() - 1 + 540, abs=0.1)
        await asyncio.sleep(598)
        kept.valid()
        await asyncio.sleep(2)
        assert kept.credential.current() is None


@in_virtual_time
async def test_a_clock_that_is_set_back_during_an_exchange_does_not_age_its_token() -> None:
    """The token came after it: its times are by the new clock."""
    async with keeping(Says(life_s=900, takes_s=5)) as kept:
        await asyncio.sleep(2)
        kept.clock.move(-HOUR_S)
        await asyncio.sleep(500)
        assert kept.count == 1
        kept.valid()


@in_virtual_time
async def test_a_clock_that_stands_just_before_the_renewal_keeps_nobody_busy() -> None:
    """The task looks at it again and again, and not in a loop."""
    async with keeping(Says(life_s=900), rng=lambda: 0.0, source=FakeKeySource(watched=False)) as kept:
        await kept.credential.wait()
        await asyncio.sleep(840 - 0.0001)
        kept.clock.stop()
        before = virtual_loop().wake_ups
        await asyncio.sleep(10)
        assert virtual_loop().wake_ups - before <= 400
        assert kept.count == 2


@in_virtual_time
async def test_a_clock_that_stands_still_does_not_stop_time() -> None:
    """Renewals go on, without a loop."""
    async with keeping(then=Says(life_s=900), source=FakeKeySource(watched=False)) as kept:
        await kept.credential.wait()
        kept.clock.stop()
        await asyncio.sleep(6 * HOUR_S)
        assert 6 * HOUR_S / 900 <= kept.count <= 6 * HOUR_S / 700
        kept.clock.go_on()
        await asyncio.sleep(HOUR_S)
        kept.valid()


@in_virtual_time
async def test_a_clock_that_is_set_back_and_forth_makes_no_storm() -> None:
    """Every ten seconds, by an hour: within the budget, and there is always a token to be had."""
    async with keeping() as kept:
        await kept.credential.wait()
        for number in range(360):
            kept.clock.move(HOUR_S if number % 2 else -HOUR_S)
            await kept.credential.wait()
            await asyncio.sleep(10)
        assert kept.exchanger.began_within(60) <= 12


@in_virtual_time
async def test_a_clock_that_is_corrected_a_little_is_not_talked_about(caplog: pytest.LogCaptureFixture) -> None:
    """Less than a second is what a time daemon does all day; more is told, also where it adds up."""
    async with keeping() as kept:
        await kept.credential.wait()
        for by_s in (-0.4, 0.5, -0.4):
            kept.clock.move(by_s)
            await asyncio.sleep(20)
        assert not caplog.records
        kept.clock.move(-0.8)
        await asyncio.sleep(20)
        assert "the clock was set back by 1 s" in caplog.text


@in_virtual_time
async def test_time_slept_counts_as_waited() -> None:
    """An endpoint that asked for an hour's rest has had it."""
    async with keeping(Says(), Says(fails="rate_limited", retry_after_s=HOUR_S)) as kept:
        await kept.credential.wait()
        await outcome(_refreshed(kept.credential.refresh()))
        kept.clock.move(+2 * HOUR_S)
        token, took_s = await timed(kept.credential.wait())
        assert isinstance(token, Token)
        assert took_s == pytest.approx(0.01)


@in_virtual_time
async def test_requests_after_a_sleep_wait_for_the_exchange() -> None:
    """What failed before the sleep is not held against those that come after it, not even the second of them."""
    async with keeping(Says(life_s=300), DOWN, Says(takes_s=1)) as kept:
        await kept.credential.wait()
        await outcome(_refreshed(kept.credential.refresh()))
        kept.clock.move(+HOUR_S)
        tokens = await asyncio.gather(*(outcome(kept.credential.wait()) for _ in range(10)))
        assert set(tokens) == {kept.valid()}


@in_virtual_time
async def test_a_refused_key_is_still_refused_after_a_sleep() -> None:
    """Sleeping does not mend a key: requests are told at once."""
    async with keeping(then=REFUSED) as kept:
        await outcome(kept.credential.wait())
        kept.clock.move(+10)
        error, took_s = await timed(kept.credential.wait())
        assert isinstance(error, KeyRejected)
        assert took_s == 0


async def _refreshed(refresh: object) -> Token | None:
    await refresh  # type: ignore[misc]
    return None
