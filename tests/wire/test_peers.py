"""`gate.peer_uids`: on a unix socket the kernel says who is there, and only those listed are served."""

from __future__ import annotations

import os
from pathlib import Path

from sidecar.config.values import Address, GateConfig
from tests.fakes import Wire, always, response, upstream
from tests.wire.running import LOCAL, Running, config, in_front_of, route_to, sidecar
from tests.wire.test_reload import Loads

OURS = os.getuid()
OTHERS = (OURS + 1, OURS + 2)
ASK = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def refused(running: Running, path: str) -> Wire:
    """Connect, and be told that we may not."""
    wire = await running.connect(path)
    answer = await wire.response()
    assert (answer.status, answer.reason, answer.proxy_error) == (403, "peer", b"http_request_denied")
    assert answer.value("connection") == b"close"
    assert await wire.ended() == b""
    return wire


async def test_a_listed_user_is_served(tmp_path: Path) -> None:
    """Among others."""
    path = str(tmp_path / "app.sock")
    gate = GateConfig(peer_uids=(*OTHERS, OURS))
    async with in_front_of(always(response()), listen=(Address(path=path),), gate=gate) as (running, _):
        wire = await running.connect(path)
        await wire.send(ASK)
        assert (await wire.response()).status == 200


async def test_a_user_who_is_not_listed_is_told_and_not_served(tmp_path: Path) -> None:
    """Before a byte of a request is read; nothing stays behind, and a listener on TCP serves as ever."""
    path = str(tmp_path / "app.sock")
    gate = GateConfig(peer_uids=OTHERS)
    async with in_front_of(always(response()), listen=(LOCAL, Address(path=path)), gate=gate) as (running, server):
        await refused(running, path)
        assert (await running.ask()).status == 200
        assert len(server.requests) == 1
        counted = running.app.stats.refusals.by_reason
        assert {reason: count for reason, count in counted.items() if count} == {("peer", ""): 1}
        running.leave()
        await running.nothing_left()


async def test_a_request_sent_at_once_is_answered_by_that_too(tmp_path: Path) -> None:
    """Not by a reset that destroys the answer."""
    path = str(tmp_path / "app.sock")
    gate = GateConfig(peer_uids=OTHERS)
    async with in_front_of(always(response()), listen=(Address(path=path),), gate=gate) as (running, server):
        wire = await running.connect(path)
        await wire.send(ASK * 100)
        assert (await wire.response()).reason == "peer"
        assert await wire.ended() == b""
        assert server.requests == []


async def test_a_reload_changes_who_may_come(tmp_path: Path) -> None:
    """From the next connection on."""
    listen = (Address(path=str(tmp_path / "app.sock")),)
    path = str(listen[0].path)
    async with upstream(always(response())) as server:
        route = route_to(server.port)
        loads = Loads(config(route, listen=listen, gate=GateConfig(peer_uids=OTHERS)))
        async with sidecar(route, listen=listen, load=loads) as running:
            before = await running.connect(path)
            await before.send(ASK)
            assert (await before.response()).status == 200
            await running.app.reload()
            await refused(running, path)
            await before.send(ASK)
            assert (await before.response()).status == 200
