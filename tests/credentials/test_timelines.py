"""Whole hours in the life of a credential, with a request each second: what it costs, and who goes without."""

from __future__ import annotations

import asyncio
import random

import pytest

from sidecar.credentials.rules import Injection
from sidecar.credentials.token import Token, make_token
from sidecar.errors import ExchangeFailed, KeyRejected, NoToken
from sidecar.secret import Secret
from tests.credentials.kept import DOWN, GOOD_KEY, HANGS, FakeKeySource, Kept, Says, keeping, outcome, timed
from tests.credentials.virtual_time import in_virtual_time, virtual_loop

BAD_KEY = Secret("bad-key")


class OneTokenUntilItsEnd:
    """An endpoint that keeps what it has issued, and hands that out until it is dead, and a moment longer."""

    def __init__(self, kept: Kept, life_s: float) -> None:
        self._kept = kept
        self._life_s = life_s
        self._ends_at = 0.0
        self._issued = 0
        self.asked = 0
        kept.exchanger.exchange = self.exchange  # type: ignore[method-assign]

    async def exchange(self, key: Secret) -> Token:
        """Return the token of the hour."""
        self.asked += 1
        await asyncio.sleep(0.01)
        now = self._kept.clock.wall()
        if now >= self._ends_at + 0.5:
            self._ends_at = now + self._life_s
            self._issued += 1
        secret = Secret(f"token-{self._issued}")
        return make_token(secret, Injection(), obtained_at=now, expires_at=self._ends_at)


@pytest.mark.parametrize(("life_s", "most"), [(3600.0, 9), (600.0, 9), (60.0, 7)])
@in_virtual_time
async def test_an_endpoint_that_hands_out_one_token_until_its_end(life_s: float, most: int) -> None:
    """A third of what is left each time, and then the budget: no storm, and hardly a moment without one."""
    async with keeping(source=FakeKeySource(watched=False)) as kept:
        endpoint = OneTokenUntilItsEnd(kept, life_s)
        await kept.credential.wait()
        without = 0
        for _ in range(int(10 * life_s)):
            without += kept.credential.current() is None
            if kept.credential.current() is None:
                await outcome(kept.credential.wait())
            await asyncio.sleep(1)
        assert endpoint.asked <= most * 10 + 20
        assert without <= 4 * 11


OUTAGE = [
    DOWN,
    HANGS,
    Says(fails="server_error"),
    Says(fails="server_error", retry_after_s=20),
    Says(fails="rate_limited", retry_after_s=45),
    Says(fails="bad_response"),
    Says(fails=ExchangeFailed("network", "TLS failed", cause="tls_dates")),
    Says(fails=RuntimeError("a defect")),
]


@pytest.mark.parametrize("seed", range(2))
@in_virtual_time
async def test_an_hour_of_every_weather(seed: int) -> None:
    """Fifteen minutes on the old token, an hour with none, each exchange failing in another way; then it ends.

    Each request gets the token or, at once, an error that says when to try again; and the endpoint is spared.
    """
    dice = random.Random(seed)
    async with keeping(Says(life_s=900), rng=dice.random, source=FakeKeySource(watched=False)) as kept:
        token = await kept.credential.wait()
        kept.exchanger.script = [dice.choice(OUTAGE) for _ in range(1000)]
        for second in range(4500):
            got, took_s = await timed(kept.credential.wait())
            assert took_s == 0
            assert (got is token) if second < 900 else isinstance(got, NoToken), second
            if isinstance(got, NoToken):
                assert got.retry_after_s is not None and 1 <= got.retry_after_s <= 46
                assert got.remedy
            await asyncio.sleep(1)
        assert kept.count <= 150 * 4500 / 3600
        kept.exchanger.script.clear()
        waits_s = (await outcome_wait_s(kept)) + 0.1
        assert waits_s <= 46.2
        kept.valid()


async def outcome_wait_s(kept: Kept) -> float:
    """Wait until there is a token, and return how long that took."""
    began_s = virtual_loop().time()
    while kept.credential.current() is None:  # noqa: ASYNC110  # nobody tells
        await asyncio.sleep(0.1)
    return virtual_loop().time() - began_s


@in_virtual_time
async def test_a_revoked_key_costs_a_call_a_minute_at_most_and_heals_in_five_seconds() -> None:
    """At any moment of its probing, and whatever the load: the new key is in use 5 s after it is in its place."""
    for after_s in (0.5, 7.0, 59.5, 61.0, 149.0, 1000.0):
        async with keeping(source=FakeKeySource(BAD_KEY), good_keys=[GOOD_KEY], then=Says(takes_s=0.5)) as kept:
            end_s = virtual_loop().time() + after_s
            while virtual_loop().time() < end_s:
                got = await outcome(kept.credential.wait())
                assert isinstance(got, KeyRejected)
                await asyncio.sleep(0.1)
            assert kept.exchanger.began_within(60) == 1
            kept.source.key = GOOD_KEY
            assert await outcome_wait_s(kept) <= 5


@pytest.mark.parametrize("life_s", [0.02, 0.5, 1.0, 2.0, 3.0, 4.0, 4.9])
@in_virtual_time
async def test_lives_of_a_few_seconds(life_s: float) -> None:
    """No token is handed out that is dead; nobody gets an error; the budget holds; nothing loops."""
    async with keeping(then=Says(life_s=life_s), source=FakeKeySource(watched=False)) as kept:
        wakes = virtual_loop().wake_ups
        for _ in range(200):
            token = await kept.credential.wait()
            assert kept.clock.wall() < token.expires_at
            await asyncio.sleep(1)
        assert kept.exchanger.began_within(60) <= 12
        assert virtual_loop().wake_ups - wakes <= 200 * 10
