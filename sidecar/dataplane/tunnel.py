"""Two connections as one pipe, after the upstream has switched protocols (RFC 9110 7.8)."""

from __future__ import annotations

from sidecar.dataplane.client import ClientConnection
from sidecar.dataplane.flow import Pipe
from sidecar.dataplane.upstream import UpstreamConnection


async def tunnel(client: ClientConnection, upstream: UpstreamConnection) -> None:
    """Carry bytes both ways, with backpressure, until both directions have ended.

    The end of what one side sends is passed on as just that: the other may go on. Over TLS, which has no half of a
    connection, the upstream's end ends both.

    Raises:
        UpstreamProtocol, UpstreamTimeout: it was cut; the app must see a cut as well.
    """
    outgoing = client.tunnel()
    incoming = upstream.tunnel(outgoing)
    incoming.attach(Pipe(client))
    await incoming.finished()
    if upstream.has_halves:
        await outgoing.finished()
        upstream.close()
    client.close()
