"""What two servers could read as two different requests is refused, whether it comes whole or byte by byte."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.attack.bodies_to_refuse import CHUNKS
from tests.attack.requests_to_refuse import IN_THE_HEAD
from tests.attack.sending import WAYS, refusals
from tests.fakes import Wire, always, response, until
from tests.wire.running import in_front_of


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("about", IN_THE_HEAD)
async def test_an_ambiguous_head(about: str, way: str, caplog: pytest.LogCaptureFixture) -> None:
    """Its status, the end of the connection, not one byte upstream, and nothing of it in the log."""
    cases = [(case.source, case.raw, case.statuses) for case in IN_THE_HEAD[about]]
    async with in_front_of(always(response())) as (sidecar, upstream):
        with caplog.at_level(logging.DEBUG):
            assert await refusals(sidecar, cases, way) == []
        assert upstream.connections == []
        assert "smuggled" not in caplog.text
        assert (await sidecar.ask()).status == 200


async def test_an_ambiguous_body_that_comes_with_its_head() -> None:
    """Its status, the end of the connection, and not one byte upstream."""
    async with in_front_of(always(response())) as (sidecar, upstream):
        # What is too long breaks after more than one read.
        cases = [(case.source, case.raw, case.statuses) for case in CHUNKS if len(case.raw) < 50_000]
        assert await refusals(sidecar, cases, "whole") == []
        assert upstream.connections == []


@pytest.mark.parametrize("way", WAYS)
async def test_an_ambiguous_body(way: str) -> None:
    """The same verdict where its head has gone upstream already, which never gets a whole request."""
    whole: list[str] = []
    ended = 0

    async def script(wire: Wire) -> None:
        nonlocal ended
        try:
            head = await wire.head()
            while await wire.chunk():
                pass
            whole.append(f"{head!r} and the last chunk")
        except (asyncio.IncompleteReadError, ConnectionError):
            ended += 1

    async with in_front_of(script) as (sidecar, upstream):
        cases = [(case.source, case.raw, case.statuses) for case in CHUNKS]
        assert await refusals(sidecar, cases, way) == []
        assert whole == []
        await until(lambda: ended == len(upstream.connections))
        await sidecar.nothing_left()
        assert sidecar.upstream_connections() == []
