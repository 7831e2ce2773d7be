"""The end: nobody is left waiting, whatever the task was doing."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.errors import NoToken
from tests.credentials.kept import DOWN, FakeKeySource, Says, keeping, outcome, settled, timed
from tests.credentials.virtual_time import in_virtual_time


@pytest.mark.parametrize("at_s", [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 5.0])
@in_virtual_time
async def test_an_end_at_any_moment_leaves_nobody_waiting(at_s: float) -> None:
    """While the key is read, in an exchange, in a back-off, or with a token: told at once, with a reason."""
    source = FakeKeySource()
    source.takes_s = 1.0
    async with keeping(Says(takes_s=1, fails="network"), Says(takes_s=1), source=source) as kept:
        await asyncio.sleep(at_s)
        waiting = [asyncio.create_task(timed(kept.credential.wait())) for _ in range(10)]
        await settled()
        await kept.stop()
        for error, took_s in await asyncio.gather(*waiting):
            assert took_s == 0
            assert error is kept.credential.current() or isinstance(error, NoToken)


@in_virtual_time
async def test_after_the_end_nobody_begins_to_wait() -> None:
    """A request, a rejection and a refresh are answered at once."""
    async with keeping(Says(life_s=60)) as kept:
        token = await kept.credential.wait()
        await kept.stop()
        assert await kept.credential.wait() is token
        assert await timed(kept.credential.replacement(token)) == (None, 0)
        with pytest.raises(NoToken):
            await kept.credential.refresh()
        await asyncio.sleep(60)
        error, took_s = await timed(kept.credential.wait())
        assert isinstance(error, NoToken)
        assert (error.reason, took_s) == ("stopping", 0)


@in_virtual_time
async def test_an_end_before_the_beginning() -> None:
    """The task never ran: requests wait no longer than they may."""
    async with keeping(wait_s=2) as kept:
        await kept.stop()
        error, took_s = await timed(kept.credential.wait())
        assert isinstance(error, NoToken)
        assert took_s <= 2


@in_virtual_time
async def test_an_end_in_the_middle_of_a_look_at_the_key() -> None:
    """The read is given up, and its failure is nobody's."""
    async with keeping(DOWN) as kept:
        await asyncio.sleep(0.5)
        kept.source.takes_s = 0.05
        kept.source.key = None
        await asyncio.sleep(0.52)
        await outcome(kept.credential.wait())
