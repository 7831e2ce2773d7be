"""A peer whose machine is gone says nothing; the kernel finds out, on both sides."""

from __future__ import annotations

import socket

from sidecar.sockets import KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_PROBES
from tests.fakes import always, response
from tests.wire.running import in_front_of


async def test_silent_connections_are_probed() -> None:
    """Those of apps and those to upstreams: a peer that is gone shows within 30 s."""
    async with in_front_of(always(response())) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes())
        await wire.response()
        assert len(sidecar.connections()) == 2
        for connection in sidecar.connections():
            sock = connection.transport.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert [
                sock.getsockopt(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            ] == [KEEPALIVE_IDLE_S, KEEPALIVE_INTERVAL_S, KEEPALIVE_PROBES]
    assert KEEPALIVE_IDLE_S + KEEPALIVE_INTERVAL_S * KEEPALIVE_PROBES <= 30


async def test_small_pieces_are_sent_at_once() -> None:
    """Nothing waits for the acknowledgement of what was sent before (Nagle), on either side."""
    async with in_front_of(always(response())) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes())
        await wire.response()
        for connection in sidecar.connections():
            sock = connection.transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
