"""The way back: the upstream's answer, passed on as it comes, with what this connection needs and nothing else."""

from __future__ import annotations

from time import perf_counter

from sidecar.dataplane.flow import Body, Sink
from sidecar.dataplane.tunnel import tunnel
from sidecar.errors import UpstreamProtocol
from sidecar.messages import RequestHead, ResponseHead
from sidecar.route import Route
from sidecar.trip import Trip

_NOT_IN_HTTP_10 = frozenset((b"transfer-encoding",))


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
    http_10 = trip.head.http_10
    if keep_alive and not http_10 and (answer is None or response.length is not None or response.chunked):
        prepared = response.prepared
        if prepared is None or prepared[0] is not route:
            prepared = response.prepared = (route, response.relayed(route.dropped_from(response)) + b"\r\n")
        return prepared[1]
    dropped = route.dropped_from(response)
    added = b"\r\n"
    if not keep_alive:
        added = b"Connection: close\r\n\r\n"
    elif http_10:
        added = b"Connection: keep-alive\r\n\r\n"
    if http_10:
        dropped |= _NOT_IN_HTTP_10  # also those of an answer that has no body, such as one to HEAD
    elif answer is not None and response.length is None and not response.chunked and not http_10:
        added = b"Transfer-Encoding: chunked\r\n" + added  # it ends with the upstream's connection, not with ours
    return response.relayed(dropped) + added


async def _switch_protocols(trip: Trip, route: Route, response: ResponseHead) -> None:
    """From here on bytes are bytes (RFC 9110 7.8)."""
    taken = response.fields.upgrade
    if trip.connection is None or taken is None or not _offered(trip.head, taken):
        raise UpstreamProtocol("the upstream switches to a protocol that it was not asked for", phase="head")
    if trip.body is not None and not trip.body.complete:
        raise UpstreamProtocol("the upstream switches protocols within the request", phase="head")
    trip.status = response.status
    trip.relaying = True
    lines = response.relayed(route.dropped_from(response))
    trip.client.transport.write(b"%bConnection: Upgrade\r\nUpgrade: %b\r\n\r\n" % (lines, taken))
    await tunnel(trip.client, trip.connection)


def _offered(head: RequestHead, protocol: bytes) -> bool:
    """Whether the app has offered this protocol.

    Never HTTP/2: requests in it would pass by every rule of the route, and HTTP/1.0 knows no upgrade (RFC 9110 7.8).
    """
    offer = head.fields.upgrade
    if offer is None or head.http_10:
        return False
    offered = {name.strip(b" \t").lower() for name in offer.split(b",")} - {b"h2c"}
    return all(name.strip(b" \t").lower() in offered for name in protocol.split(b","))
