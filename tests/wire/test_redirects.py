"""A redirect is an answer like any other: it passes untouched, and nobody here follows it."""

from __future__ import annotations

import pytest

from tests.fakes import Wire, always, response, upstream
from tests.wire.running import in_front_of


@pytest.mark.parametrize("status", ["300 x", "301 x", "302 x", "303 x", "307 x", "308 x", "201 x"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_it_passes_untouched(status: str, method: str) -> None:
    """Location and body byte for byte, its own origin's too; the other host hears nothing, so neither token nor key."""
    async with upstream(always(response(b"elsewhere"))) as elsewhere:
        for location in (f"http://127.0.0.1:{elsewhere.port}/new?a=b", "/relative", "../x y", "//evil", ""):
            answer = response(b"moved", f"Location: {location}", "Refresh: 0; url=/x", status=status)
            async with in_front_of(always(answer), route={"path": "/crm", "strip_prefix": True}) as (sidecar, server):
                got = await sidecar.ask(method, "/crm/old", body=b"sent" if method == "POST" else b"")
                assert got.head + got.body == answer
                assert len(server.requests) == 1
        assert elsewhere.connections == []


async def test_a_location_of_the_upstreams_own_is_not_rewritten() -> None:
    """It names the upstream, which the app may not reach by itself: that is what the upstream said."""

    async def script(wire: Wire) -> None:
        host = (await wire.request()).value("host")
        assert host is not None
        await wire.send(response(b"", f"Location: http://{host.decode()}/new", status="302 Found"))

    async with in_front_of(script) as (sidecar, server):
        assert (await sidecar.ask()).value("location") == b"http://127.0.0.1:%d/new" % server.port
