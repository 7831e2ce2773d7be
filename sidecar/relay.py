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


def relay_whole(trip: Trip, route: Route, response: ResponseHead, content: bytes) -> bool:
    """Pass on an answer that has come whole; return whether the app's connection may carry another request."""
    client, body = trip.client, trip.body
    keep_alive = trip.head.keep_alive and client.keeps_alive and (body is None or body.complete)
    client.transport.write(response_head(trip, route, response, None, keep_alive=keep_alive) + content)
    trip.status = response.status
    trip.relaying = True
    trip.relayed_at = perf_counter()
    if not keep_alive:
        client.finish()
    return keep_alive


async def relay(trip: Trip, route: Route, response: ResponseHead, answer: Body) -> bool:
    """Pass on an answer that is still coming; return whether the app's connection may carry another request.

    Raises:
        UpstreamProtocol, UpstreamTimeout: the answer was cut after it had begun; the app must see a cut as well.
    """
    client, body, http_10 = trip.client, trip.body, trip.head.http_10
    if body is not None:
        body.forget()
    if response.status == 101:
        await _switch_protocols(trip, route, response)
        return False
    # To HTTP/1.0, only the connection's end can end a body of unknown length.
    ends = response.length is None and http_10
    keep_alive = not ends and trip.head.keep_alive and client.keeps_alive and (body is None or body.complete)
    trip.status = response.status
    trip.relaying = True
    client.transport.write(response_head(trip, route, response, answer, keep_alive=keep_alive))
    answer.attach(Sink(client, response.length is None and not http_10, route.response_dropped))
    trip.relayed_at = perf_counter()
    if not answer.complete:
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
    if keep_alive and not http_10 and (answer is None or response.length is not None or response.chunked):
        return response.relayed(dropped) + b"\r\n"
    added = b"\r\n"
    if not keep_alive:
        added = b"Connection: close\r\n\r\n"
    elif http_10:
        added = b"Connection: keep-alive\r\n\r\n"
    if http_10 and response.chunked:
        dropped |= _CHUNKED_ONLY
    elif answer is not None and response.length is None and not response.chunked and not http_10:
        added = b"Transfer-Encoding: chunked\r\n" + added  # it ends with the upstream's connection, not with ours
    return response.relayed(dropped) + added


async def _switch_protocols(trip: Trip, route: Route, response: ResponseHead) -> None:
    """From here on bytes are bytes (RFC 9110 7.8)."""
    asked = trip.head.fields.upgrade is not None
    if not asked or trip.connection is None or (trip.body is not None and not trip.body.complete):
        raise UpstreamProtocol("the upstream switches protocols unasked", phase="head")
    trip.status = response.status
    trip.relaying = True
    fields = response.fields
    lines = response.relayed(route.response_dropped | fields.nominated)
    trip.client.transport.write(
        b"".join((lines, b"Connection: Upgrade\r\nUpgrade: ", fields.upgrade or b"", b"\r\n\r\n"))
    )
    await tunnel(trip.client, trip.connection)
