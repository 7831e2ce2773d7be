"""Two connections as one pipe, after the upstream has switched protocols (RFC 9110 7.8)."""

from __future__ import annotations

from sidecar.dataplane.client import ClientConnection
from sidecar.dataplane.flow import Sink
from sidecar.dataplane.upstream import UpstreamConnection


async def tunnel(client: ClientConnection, upstream: UpstreamConnection) -> None:
    """Carry bytes both ways, with backpressure, until the upstream's side has ended.

    The app's end is passed on as the end of what it sends; the upstream may still answer.
    """
    incoming = upstream.tunnel(client.tunnel())
    incoming.attach(Sink(client, chunked=False))
    await incoming.finished()
    client.close()
