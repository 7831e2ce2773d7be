"""The way back: the upstream's answer, passed on as it comes, with what this connection needs and nothing else."""

from __future__ import annotations

from time import perf_counter

from sidecar.dataplane.flow import Body, Sink
from sidecar.dataplane.http1 import find_more
from sidecar.dataplane.tunnel import tunnel
from sidecar.errors import UpstreamProtocol
from sidecar.messages import ResponseHead
from sidecar.route import Route
from sidecar.trip import Trip

_CHUNKED_ONLY = frozenset((b"transfer-encoding", b"trailer"))


async def relay(trip: Trip, route: Route, response: ResponseHead, answer: Body | None) -> bool:
    """Pass an answer on; return whether the app's connection may carry another request.

    Args:
        answer: its body where that is still arriving, or comes in pieces.

    Raises:
        UpstreamProtocol, UpstreamTimeout: the answer was cut after it had begun; the app must see a cut as well.
    """
    client, body = trip.client, trip.body
    if body is not None:
        body.forget()
    if response.status == 101:
        await _switch_protocols(trip, route, response)
        return False
    keep_alive = trip.head.keep_alive and client.keeps_alive
    if (body is not None and not body.complete) or (
        answer is not None and response.length is None and trip.head.http_10
    ):
        keep_alive = False  # its request is not whole yet, or only the connection's end can end its answer
    out = response_head(trip, route, response, answer, keep_alive=keep_alive)
    trip.status = response.status
    trip.relaying = True
    if answer is None:
        client.transport.write(out + response.content)
    else:
        client.transport.write(out)
        answer.attach(Sink(client, response.length is None and not trip.head.http_10, route.response_dropped))
    received_at = response.received_at
    before_s = trip.sent_at - trip.started_at - trip.waited_s
    route.stats.relayed(received_at - trip.sent_at, before_s + perf_counter() - received_at)
    if answer is not None and not answer.complete:
        await answer.finished()
    if not keep_alive:
        client.finish()
    return keep_alive


def response_head(trip: Trip, route: Route, response: ResponseHead, answer: Body | None, *, keep_alive: bool) -> bytes:
    """Return the bytes of the head to relay: the upstream's lines, and what this connection needs (RFC 9112 6, 9)."""
    fields, dropped, http_10 = response.fields, route.response_dropped, trip.head.http_10
    if route.reflected:
        find_more(fields, route.reflected)
    if fields.nominated:
        dropped |= fields.nominated
    if http_10 and response.chunked:
        dropped |= _CHUNKED_ONLY
    added = b"\r\n\r\n"
    if not keep_alive:
        added = b"\r\nConnection: close" + added
    elif http_10:
        added = b"\r\nConnection: keep-alive" + added
    if answer is not None and response.length is None and not response.chunked and not http_10:
        added = b"\r\nTransfer-Encoding: chunked" + added  # it ends with the upstream's connection, not with ours
    return b"".join((b"HTTP/1.1", response.status_line[8:], fields.without(dropped), added))


async def _switch_protocols(trip: Trip, route: Route, response: ResponseHead) -> None:
    """From here on bytes are bytes (RFC 9110 7.8)."""
    asked = trip.head.fields.upgrade is not None
    if not asked or trip.connection is None or (trip.body is not None and not trip.body.complete):
        raise UpstreamProtocol("the upstream switches protocols unasked", phase="head")
    trip.status = response.status
    trip.relaying = True
    fields = response.fields
    lines = fields.without(route.response_dropped | fields.nominated)
    upgrade = b"\r\nConnection: Upgrade\r\nUpgrade: " + (fields.upgrade or b"")
    trip.client.transport.write(b"".join((b"HTTP/1.1", response.status_line[8:], lines, upgrade, b"\r\n\r\n")))
    await tunnel(trip.client, trip.connection)
