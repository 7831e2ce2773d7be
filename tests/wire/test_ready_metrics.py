"""What a scrape says of being ready, beside what a probe is told."""

from __future__ import annotations

import asyncio
import time

import pytest

from sidecar.config.values import DrainConfig
from sidecar.errors import CredentialError
from tests.fakes import Tokens, Wire, always, response, until, upstream
from tests.main_job.client import Admin
from tests.wire.running import Running, exchanging, in_front_of, with_tokens
from tests.wire.test_drain import Held


class Clock:
    """The machine's, and a wall clock that a test can move."""

    monotonic = staticmethod(time.monotonic)
    moved_s = 0.0

    def wall(self) -> float:
        """Return seconds since the epoch, moved."""
        return time.time() + self.moved_s


async def told(running: Running) -> tuple[int, float, float]:
    """Return the status of `/readyz`, and what the two metrics are."""
    admin = Admin(running.admin_port)
    figures = await admin.figures()
    valid = figures.sum("sidecar_token_valid", credential="crm")
    return (await admin.ask("GET", "/readyz")).status, figures.sum("sidecar_ready"), valid


async def test_from_the_first_token_on() -> None:
    """0 while the first exchange runs, 1 when it has brought a token."""
    may_come = asyncio.Event()
    async with upstream(Tokens(may_come)) as endpoint:
        credential = exchanging(endpoint.port)
        async with in_front_of(always(response()), credential=credential) as (running, _):
            assert await told(running) == (503, 0, 0)
            may_come.set()
            await until(lambda: running.app.credentials()[0].usable)
            assert await told(running) == (200, 1, 1)


async def test_until_it_is_expired() -> None:
    """The token's life is over, and the endpoint is down: not ready, and that can be seen."""
    may_come, clock = asyncio.Event(), Clock()
    may_come.set()
    tokens = Tokens(may_come)
    async with with_tokens(always(response()), tokens, clock=clock) as (running, _):
        assert await told(running) == (200, 1, 1)
        may_come.clear()
        clock.moved_s = 2 * 3600.0
        assert await told(running) == (503, 0, 0)


async def test_a_token_that_never_expires_is_valid() -> None:
    """Its expiry is 0, as is that of a token which is not there: the metric tells them apart."""
    async with in_front_of(always(response())) as (running, _):
        await until(lambda: running.app.credentials()[0].usable)
        assert await told(running) == (200, 1, 1)
        figures = await Admin(running.admin_port).figures()
        assert figures.sum("sidecar_token_expiry_timestamp_seconds", credential="crm") == 0


async def test_whatever_the_endpoint_says_of_the_key() -> None:
    """The key is refused from now on, and the token is still good: ready, as long as that lasts."""
    refused = False

    class Refusing(Tokens):
        async def __call__(self, wire: Wire) -> None:
            if not refused:
                await super().__call__(wire)
            await wire.request()
            await wire.send(response(b"", status="401 No"))

    async with with_tokens(always(response()), Refusing()) as (running, _):
        refused = True
        with pytest.raises(CredentialError):
            await running.app.refresh(None)
        (status,) = running.app.credentials()
        assert status.state == "key_rejected"
        assert await told(running) == (200, 1, 1)


async def test_not_while_it_stops() -> None:
    """A request still runs, its token is still valid: no new ones are wanted here."""
    script = Held()
    async with in_front_of(script, drain=DrainConfig(most_s=5)) as (running, _):
        wire = await running.connect()
        await wire.send(running.ask_bytes())
        await until(lambda: script.asked == 1)
        stopping = asyncio.create_task(running.app.stop())
        await until(lambda: running.app.draining)
        seen = await told(running)
        script.may_answer.set()
        await wire.response()
        await stopping
    assert seen == (503, 0, 1)
