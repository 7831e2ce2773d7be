"""The path of a request, from the app to the upstream and back. Read it top-down: `Path.serve`, then `_forward`.

    listener -> gate.admit -> routes.match -> credential.token -> upstream.send -> rejection? -> relay

One task per connection runs it, request after request. It waits in four places
only: for the next head, for a token where there is none, for the upstream's
head, and for the end of a body that is still flowing. Bodies flow by
themselves, from callback to callback (`dataplane/flow.py`); the task decides,
it does not carry.

What it keeps: no token, nothing is sent. A request goes upstream once; a
second time only where the first is known not to have been done (a rejection,
or a pooled connection that died without a byte of an answer under a request
that may be repeated), and then exactly as it was. An answer that has begun is
never begun again: from there on a failure is a cut connection.

What a rejection (the upstream's 401 to a token that we put on) leads to:

| the token was | and the request | then |
|---|---|---|
| current, not in a hold-down | is whole in hand | one exchange, shared; sent once more with the replacement |
| current, not in a hold-down | is not | the answer is relayed; an exchange runs for the next request |
| not the current one any more | is whole in hand | sent once more with the current one, no exchange |
| in a hold-down of its route | any | the answer is relayed: exchanging again does not help |

A replay that is rejected too starts the route's hold-down: this account may
not do this, and a new token will not change it. A token that was taken before
and is rejected for the first time was revoked, and is worth an exchange even
inside a hold-down.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from time import monotonic, perf_counter

from sidecar.credentials.token import Token
from sidecar.dataplane.flow import Body, ReplayMemory, Sink
from sidecar.dataplane.http1 import dropped_fields
from sidecar.dataplane.listener import ClientConnection
from sidecar.dataplane.tunnel import tunnel
from sidecar.dataplane.upstream import Unanswered, UpstreamConnection
from sidecar.errors import Answerable, BadRequest, UpstreamError
from sidecar.gate import Gate
from sidecar.messages import RequestHead, ResponseHead
from sidecar.problem import problem
from sidecar.route import Route
from sidecar.routes import Routes
from sidecar.stats import Refusals

# An upstream that says nothing to `Expect: 100-continue` is not waited for longer than this: the app hears "go on" from us.
EXPECT_PATIENCE_S = 1.0

_REPEATABLE = frozenset((b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS"))  # idempotent, RFC 9110 9.2.2
_CHUNKED_ONLY = frozenset((b"transfer-encoding", b"trailer"))
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_log = logging.getLogger("sidecar.path")


class Trip:
    """One request on its way: what the steps hand to each other, and what is counted at its end."""

    __slots__ = (
        "body",
        "client",
        "connection",
        "continued",
        "head",
        "relaying",
        "route",
        "sent_at",
        "started_at",
        "status",
        "target",
        "waited_s",
    )

    def __init__(self, client: ClientConnection, head: RequestHead, body: Body | None) -> None:
        self.client = client
        self.head = head
        self.body = body
        self.route: Route | None = None
        self.target = b""
        self.connection: UpstreamConnection | None = None
        self.continued = False
        self.relaying = False
        self.status = 0
        self.started_at = perf_counter()
        self.sent_at = 0.0
        self.waited_s = 0.0


class Path:
    """The request path over a set of routes.

    Args:
        gate: who may come in.
        routes: where requests go.
        memory: the bound on bodies kept for replays.
        refusals: counts our own answers.
        access: told of each finished request, or None.
    """

    def __init__(
        self,
        gate: Gate,
        routes: Routes[Route],
        memory: ReplayMemory,
        refusals: Refusals,
        access: Callable[[Trip], None] | None = None,
    ) -> None:
        self._gate = gate
        self._routes = routes
        self._memory = memory
        self._refusals = refusals
        self._access = access

    def switch(self, gate: Gate, routes: Routes[Route]) -> None:
        """Serve by these from the next request on; those under way keep what they began with."""
        self._gate = gate
        self._routes = routes

    async def serve(self, client: ClientConnection) -> None:
        """Serve one connection until either side ends it."""
        while True:
            try:
                request = await client.next_request()
            except BadRequest as error:
                self._refuse(client, error)
                return
            if request is None:
                client.close()
                return
            if not await self._answer(Trip(client, *request)):
                return
            if not client.writable:
                await client.drained()

    async def _answer(self, trip: Trip) -> bool:
        """Answer one request; return whether the connection may carry another."""
        client = trip.client
        try:
            return await self._forward(trip)
        except Answerable as error:
            return self._answer_ourselves(trip, error)
        except asyncio.CancelledError:
            fault = client.fault
            if fault is None:
                client.abort()
                raise  # the process stops
            trip.status = 0
            if isinstance(fault, Answerable):
                self._answer_ourselves(trip, fault)
            return False
        finally:
            self._settle(trip)

    async def _forward(self, trip: Trip) -> bool:
        """The path itself."""
        head, body = trip.head, trip.body
        self._gate.admit(head, trip.client.authorities)
        match, route = self._routes.match(head)
        trip.route = route
        route.stats.in_flight += 1
        trip.target = match.admit(head)
        token = None
        if route.credential is not None:
            token = route.credential.current() or await self._wait_for_token(trip)
        if body is not None:
            body.keep(route.replay_body_bytes, self._memory)
        response, answer = await self._send(trip, token)
        if token is not None and response.status in route.reject_statuses:
            response, answer = await self._after_rejection(trip, token, response, answer)
        elif token is not None and response.status < 400:
            route.accepted(token)
        return await self._relay(trip, response, answer)

    async def _wait_for_token(self, trip: Trip) -> Token:
        """There is no valid token: wait for the exchange, which is not ours."""
        assert trip.route is not None and trip.route.credential is not None  # noqa: S101  # asked before
        began_at = perf_counter()
        try:
            return await trip.route.credential.wait()
        finally:
            trip.waited_s = perf_counter() - began_at
            trip.route.stats.token_wait.observe(trip.waited_s)

    async def _send(
        self, trip: Trip, token: Token | None, *, replay: bool = False
    ) -> tuple[ResponseHead, Body | None]:
        """Send the request, and wait for the answer's head.

        A pooled connection may have been ended by the upstream a moment ago. A request that may be repeated
        is then sent again, once, on a new one; for one that may not, the socket is looked at before.
        """
        head, body, route = trip.head, trip.body, trip.route
        assert route is not None  # noqa: S101  # matched before
        repeatable = head.method in _REPEATABLE and (body is None or body.replayable)
        began_at = perf_counter()
        connection = route.pool.take_idle(certain=not repeatable) or await route.pool.connect()
        try:
            self._send_on(connection, trip, token, began_at, replay=replay)
            return await connection.response()
        except Unanswered:
            if not (connection.reused and repeatable and (body is None or body.replayable)):
                raise
        connection = await route.pool.connect()
        self._send_on(connection, trip, token, perf_counter(), replay=True)
        return await connection.response()

    def _send_on(
        self, connection: UpstreamConnection, trip: Trip, token: Token | None, began_at: float, *, replay: bool
    ) -> None:
        head, route = trip.head, trip.route
        assert route is not None  # noqa: S101  # matched before
        trip.connection = connection
        now = perf_counter()
        trip.waited_s += now - began_at
        trip.sent_at = now
        connection.send(
            trip,
            route.request_head(head, trip.target, token),
            head.method,
            trip.body,
            chunked=head.chunked,
            replay=replay,
            on_interim=None if head.http_10 else lambda interim: self._relay_interim(trip, interim),
        )
        if head.expects_continue and not trip.continued:
            asyncio.get_running_loop().call_later(EXPECT_PATIENCE_S, self._go_on, trip, connection)

    async def _after_rejection(
        self, trip: Trip, token: Token, response: ResponseHead, answer: Body | None
    ) -> tuple[ResponseHead, Body | None]:
        """The upstream did not take our token: get the answer to relay, at best another one."""
        route, body = trip.route, trip.body
        assert route is not None and route.credential is not None  # noqa: S101  # there was a token
        stats, credential = route.stats, route.credential
        if route.held_down(token, monotonic()):
            stats.rejections["forbidden"] += 1
            return response, answer
        kind = "expired" if credential.is_expired(token) else "revoked"
        if body is not None and not body.replayable:
            credential.renew_after(token)
            stats.rejections[kind] += 1
            return response, answer
        replacement = await credential.replacement(token)
        if replacement is None or (body is not None and not body.replayable):
            stats.rejections[kind] += 1
            return response, answer
        self._drop_answer(trip, answer)
        try:
            response, answer = await self._send(trip, replacement, replay=True)
        except UpstreamError:
            stats.replays["failed"] += 1
            stats.rejections[kind] += 1
            raise
        if response.status in route.reject_statuses:
            stats.replays["rejected"] += 1
            stats.rejections["forbidden"] += 1
            route.hold_down(replacement, monotonic())
        else:
            stats.replays["ok"] += 1
            stats.rejections[kind] += 1
            route.accepted(replacement)
        return response, answer

    def _drop_answer(self, trip: Trip, answer: Body | None) -> None:
        """The rejected answer is not wanted; its connection is, if the answer has ended."""
        if answer is not None and not answer.complete and trip.connection is not None:
            trip.connection.abort()

    # The way back

    async def _relay(self, trip: Trip, response: ResponseHead, answer: Body | None) -> bool:
        """Pass the answer on as it comes; return whether the connection may carry another request."""
        client, head, body, route = trip.client, trip.head, trip.body, trip.route
        assert route is not None and trip.connection is not None  # noqa: S101  # the answer came from somewhere
        if body is not None:
            body.forget()
        if response.status == 101:
            await self._tunnel(trip, response)
            return False
        to_be_closed = answer is not None and response.length is None and head.http_10
        keep_alive = head.keep_alive and client.keeps_alive and not to_be_closed
        if body is not None and not body.complete:
            keep_alive = False
        out = response_head(response, answer, head, keep_alive=keep_alive, dropped=route.response_dropped)
        trip.status = response.status
        trip.relaying = True
        route.stats.ttfb.observe(trip.connection.answered_at - trip.sent_at)
        if answer is None:
            client.transport.write(out)
        elif answer.complete and response.length is not None:
            client.transport.write(out + b"".join(answer.held))
        else:
            client.transport.write(out)
            answer.attach(Sink(client, chunked=response.length is None and not head.http_10))
        self._observe_overhead(trip)
        if answer is not None and not answer.complete:
            await answer.finished()
        if keep_alive:
            return True
        client.finish()
        return False

    async def _tunnel(self, trip: Trip, response: ResponseHead) -> None:
        """The upstream has switched protocols: from here on bytes are bytes."""
        route = trip.route
        assert route is not None and trip.connection is not None  # noqa: S101  # the answer came from somewhere
        trip.status = response.status
        trip.relaying = True
        lines = [line for name, line in response.lines if name not in route.response_dropped]
        upgrade = [b"Connection: Upgrade", b"Upgrade: " + (response.upgrade or b"")]
        trip.client.transport.write(b"\r\n".join([b"HTTP/1.1 101" + response.reason, *lines, *upgrade, b"", b""]))
        await tunnel(trip.client, trip.connection)

    def _relay_interim(self, trip: Trip, interim: ResponseHead) -> None:
        """Pass a 1xx on (RFC 9110 15.2); a second "go on" would be one too many."""
        if interim.status == 100:
            if trip.continued or not trip.head.expects_continue:
                return
            trip.continued = True
        lines = [line for _, line in interim.lines]
        status = b"HTTP/1.1 %d" % interim.status + interim.reason
        trip.client.transport.write(b"\r\n".join([status, *lines, b"", b""]))

    def _go_on(self, trip: Trip, connection: UpstreamConnection) -> None:
        """The upstream has not said whether it wants the body: tell the app to send it."""
        waits = trip.connection is connection and not trip.relaying and not trip.continued
        if waits and trip.body is not None and not trip.body.complete and not trip.client.transport.is_closing():
            trip.continued = True
            trip.client.transport.write(_CONTINUE)

    # Our own answers, and the end

    def _answer_ourselves(self, trip: Trip, error: Answerable) -> bool:
        """Say why there is no answer from the upstream; cut the connection where one has begun."""
        route = trip.route
        if isinstance(error, UpstreamError) and route is not None:
            route.stats.failures[error.phase] += 1
        if trip.relaying:
            trip.status = 0
            trip.client.abort()
            return False
        trip.status = error.status
        whole = trip.body is None or trip.body.complete
        keep_alive = whole and trip.head.keep_alive and trip.client.keeps_alive and not error.closes
        self._refusals.count(error.reason, route.name if route is not None else "")
        _log.warning("%s: %s (%d)", route.name if route is not None else "-", error.detail, error.status)
        trip.client.transport.write(problem(error, close=not keep_alive, without_body=trip.head.method == b"HEAD"))
        if keep_alive:
            return True
        trip.client.finish()
        return False

    def _refuse(self, client: ClientConnection, error: BadRequest) -> None:
        """What came is not one clear request: say so and end the connection; no byte of it goes anywhere."""
        self._refusals.count(error.reason, "")
        _log.warning("refused: %s (%d)", error.detail, error.status)
        client.transport.write(problem(error, close=True))
        client.finish()

    def _observe_overhead(self, trip: Trip) -> None:
        """Our own part: all but the waiting for a token or a connection, and the upstream's own time."""
        assert trip.route is not None and trip.connection is not None  # noqa: S101  # called from _relay
        before_s = trip.sent_at - trip.started_at - trip.waited_s
        after_s = perf_counter() - trip.connection.answered_at
        trip.route.stats.overhead.observe(before_s + after_s)

    def _settle(self, trip: Trip) -> None:
        """Whatever happened: nothing of this request stays behind, and it is counted once."""
        connection, route = trip.connection, trip.route
        if trip.body is not None:
            trip.body.forget()
            trip.body.detach()
        if connection is not None and connection.owner is trip:
            connection.abort()
        if route is not None:
            stats = route.stats
            stats.in_flight -= 1
            stats.duration.observe(perf_counter() - trip.started_at)
            stats.answered(trip.head.method, trip.status)
        if self._access is not None:
            self._access(trip)


def response_head(
    response: ResponseHead, answer: Body | None, head: RequestHead, *, keep_alive: bool, dropped: frozenset[bytes]
) -> bytes:
    """Return the bytes of the head to relay: the upstream's lines, and what this connection needs (RFC 9112 6, 9)."""
    names = dropped_fields(response.nominated, dropped)
    if response.chunked and head.http_10:
        names |= _CHUNKED_ONLY
    parts = [b"HTTP/1.1 %d" % response.status + response.reason]
    parts += [line for name, line in response.lines if name not in names]
    if answer is not None and response.length is None and not response.chunked and not head.http_10:
        parts.append(b"Transfer-Encoding: chunked")  # it ends with the upstream's connection, not with ours
    if not keep_alive:
        parts.append(b"Connection: close")
    elif head.http_10:
        parts.append(b"Connection: keep-alive")
    parts += (b"", b"")
    return b"\r\n".join(parts)
