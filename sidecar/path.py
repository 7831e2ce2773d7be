"""The path of a request, from the app to the upstream and back. Read it top-down: `Path.serve`, then `_answer`.

    listener -> gate.admit -> routes.match -> credential.token -> upstream.send -> rejection? -> relay

One task per connection runs it, request after request. It waits in five places
only: for the next head, for a token where there is none, for the upstream's
head, for the end of a body that is still flowing, and for an app that is slow
to take its answers. Bodies flow by
themselves, from callback to callback (`dataplane/flow.py`); the task decides,
it does not carry.

What it keeps: no token, nothing is sent. A request goes upstream once; a
second time only where the first is known not to have been done (a rejection,
or a pooled connection that died without a byte of an answer under a request
that may be repeated), and then exactly as it was. An answer that has begun is
never begun again: from there on a failure is a cut connection.

One answer of the upstream's is not passed on: a 401 on an agent-safe route, which becomes
words of ours (`agent.py`).

What a rejection (the upstream's 401 to a token that we put on) leads to:

| the token was | and the request | then |
|---|---|---|
| current, not in a hold-down | is whole in hand | one exchange, shared; sent once more with the replacement |
| current, not in a hold-down | is not | the answer is relayed; an exchange runs for the next request |
| not the current one any more | is whole in hand | sent once more with the current one, no exchange |
| current, in a hold-down of its route | any | the answer is relayed: exchanging again does not help |

A replay that is rejected too starts the route's hold-down: this account may
not do this, and a new token will not change it. So does the token that was
renewed for a request that could not be sent again, where the next one is
rejected with it. A token that was taken on the same route before and is
rejected for the first time was revoked, and is worth an exchange even inside
a hold-down, whatever another route says of it; an old one is replaced by the
current one there too, unless that is what was rejected.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, NoReturn

from sidecar.agent import ChallengeHidden, json_rpc_error, reads_json_rpc, words_of
from sidecar.credentials.credential import Credential
from sidecar.credentials.remedies import NO_HELP_REMEDY
from sidecar.credentials.token import Token
from sidecar.dataplane.client import ClientConnection
from sidecar.dataplane.flow import ReplayMemory
from sidecar.dataplane.upstream import Response, Unanswered, UpstreamConnection
from sidecar.errors import Answerable, BadRequest, UpstreamError
from sidecar.gate import Gate
from sidecar.problem import problem
from sidecar.relay import relay, relay_whole
from sidecar.route import Route
from sidecar.shield import Shield
from sidecar.stats import Refusals
from sidecar.trip import Trip
from sidecar.troubles import Troubles

if TYPE_CHECKING:
    from typing import Protocol

    from sidecar.messages import RequestHead

    class Way(Protocol):
        """What a request has to keep to where it goes."""

        def admit(self, head: RequestHead) -> bytes:
            """Return the target to send. Raises Answerable."""
            ...

    class Finder(Protocol):
        """What finds the route of a request."""

        def match(self, head: RequestHead) -> tuple[Way, Route]:
            """Return the way there, and the route. Raises Answerable."""
            ...


# An upstream that says nothing to `Expect: 100-continue` is not waited for longer: the app hears "go on" from us.
EXPECT_PATIENCE_S = 1.0

FORBIDDEN = "forbidden: exchanging again will not help"

_REPEATABLE = frozenset((b"GET", b"HEAD", b"PUT", b"DELETE", b"OPTIONS"))  # idempotent, RFC 9110 9.2.2

# What to do about a rejection that was passed on without a hold-down.
_NOT_REPLAYED = (
    "Send it once more: a new token is there, or on its way. It was not sent again by itself because its body was "
    "not whole in hand (replay_body is the bound), or because no other token was to be had."
)

_log = logging.getLogger("sidecar.path")


class Path:
    """The request path over a set of routes.

    Args:
        gate: who may come in.
        routes: where requests go.
        memory: the bound on bodies kept for replays.
        refusals: counts our own answers.
        access: told of each finished request, or None.
        wall: wall-clock seconds.
        troubles: takes in what was refused or failed.
    """

    def __init__(
        self,
        gate: Gate,
        routes: Finder,
        memory: ReplayMemory,
        refusals: Refusals,
        access: Callable[[Trip], None] | None = None,
        *,
        wall: Callable[[], float],
        troubles: Troubles | None = None,
    ) -> None:
        self._gate = gate
        self._routes = routes
        self._memory = memory
        self._refusals = refusals
        self._access = access
        self._wall = wall
        self._troubles = troubles or Troubles(wall)

    def switch(self, gate: Gate, routes: Finder) -> None:
        """Serve by these from the next request on; those under way keep what they began with."""
        self._gate = gate
        self._routes = routes

    async def serve(self, client: ClientConnection) -> None:
        """Serve one connection until either side ends it."""
        try:
            while raw := client.take_head() or await client.arrival():
                if not await self._answer(Trip(client, client.read(raw))):
                    return
                if not client.writable:
                    await client.drained()
            client.close()
        except BadRequest as error:
            self._refuse(client, error)
        finally:
            client.ensure_ended()

    async def _answer(self, trip: Trip) -> bool:
        """Answer one request; return whether the connection may carry another."""
        client, head, body = trip.client, trip.head, trip.body
        try:
            passed = head.passed
            if passed is not None and passed[0] is self._routes:  # the same head, on its connection, passes again
                _, route, trip.target = passed
                trip.route = route
                route.stats.in_flight += 1
            else:
                self._gate.admit(head, client.authorities)
                match, route = self._routes.match(head)
                trip.route = route
                route.stats.in_flight += 1
                if route.shield is not None and route.shield.covers(head):
                    return await self._answer_sdk(trip, route, route.shield)
                trip.target = match.admit(head)
                head.passed = (self._routes, route, trip.target)
            credential, token = route.credential, None
            if credential is not None:
                token = credential.current() or await self._wait_for_token(trip, route, credential)
                if head.fields.lasts:
                    token = await self._wait_for_lasting(trip, credential, token)
            if body is not None:
                body.keep(route.replay_body_bytes, self._memory)
            answered = await self._send(trip, route, token)
            if answered[0].status >= 400:
                answered = await self._after_error(trip, route, token, answered)
            elif token is not route.last_accepted and token is not None:
                route.accepted(token)
            response, answer, trip.answered_at = answered
            if isinstance(answer, bytes):
                return relay_whole(trip, route, response, answer)
            return await relay(trip, route, response, answer)
        except Answerable as error:
            return self._answer_ourselves(trip, error)
        except asyncio.CancelledError:
            return self._interrupted(trip)
        finally:
            self._settle(trip)

    async def _wait_for_token(self, trip: Trip, route: Route, credential: Credential) -> Token:
        """There is no valid token: wait for the exchange, which is not ours."""
        began_at = perf_counter()
        if trip.body is not None:
            trip.body.wait()
        try:
            token = await credential.wait()
            trip.did = "refreshed"
            return token
        finally:
            trip.waited_s = perf_counter() - began_at
            route.stats.token_wait.observe(trip.waited_s)

    async def _wait_for_lasting(self, trip: Trip, credential: Credential, token: Token) -> Token:
        """The request will last: wait a moment for a token that will last as well."""
        began_at = perf_counter()
        try:
            return await credential.lasting(token)
        finally:
            trip.waited_s += perf_counter() - began_at

    async def _send(self, trip: Trip, route: Route, token: Token | None, *, replay: bool = False) -> Response:
        """Send the request, and wait for the answer's head.

        A pooled connection may have been ended by the upstream a moment ago. A request that may be repeated is then
        sent again on a new one (on another pooled one only where the pool is full, and that may have ended as well);
        for one that may not, the socket is looked at before.
        """
        head, body = trip.head, trip.body
        fields, method = head.fields, head.method
        repeatable = method in _REPEATABLE and (body is None or body.replayable)
        connection = route.pool.take_idle(certain=not repeatable) or await self._connect(trip, route)
        while True:
            trip.connection = connection
            trip.sent_at = perf_counter()
            if fields.expects_continue and not trip.continued and not head.http_10:
                asyncio.get_running_loop().call_later(EXPECT_PATIENCE_S, trip.go_on, connection)
            try:
                return await connection.send(
                    trip,
                    route.request_head(head, trip.target, token),
                    method,
                    body,
                    chunked=fields.chunked,
                    dropped=route.dropped,
                    replay=replay,
                )
            except Unanswered:
                if not (connection.reused and repeatable and (body is None or body.replayable)):
                    raise
            trip.waited_s += perf_counter() - trip.sent_at  # in vain
            connection, replay = await self._connect(trip, route), True

    async def _connect(self, trip: Trip, route: Route) -> UpstreamConnection:
        began_at = perf_counter()
        if trip.body is not None:
            trip.body.wait()
        try:
            return await route.pool.connect()
        finally:
            trip.waited_s += perf_counter() - began_at

    async def _after_error(self, trip: Trip, route: Route, token: Token | None, answered: Response) -> Response:
        """The upstream answered with a 4xx or 5xx: return the answer to relay, at best another one."""
        credential = route.credential
        if credential is not None and token is not None and answered[0].status in route.reject_statuses:
            answered = await self._after_rejection(trip, route, credential, token, answered)
        status = answered[0].status
        if route.agent_safe and status == 401:
            await self._hide_challenge(trip, route, token, answered)
        if token is not None and status in route.reject_statuses:
            remedy = NO_HELP_REMEDY if monotonic() < route.held_down_until else _NOT_REPLAYED
            self._troubles.note_rejection(trip.head.method, route.name, status, remedy)
        return answered

    async def _after_rejection(
        self, trip: Trip, route: Route, credential: Credential, token: Token, rejected: Response
    ) -> Response:
        """The upstream did not take our token: return the answer to relay, at best another one."""
        stats, body = route.stats, trip.body
        if route.held_down(token, monotonic()):
            stats.rejections["forbidden"] += 1
            trip.did = FORBIDDEN
            return rejected
        kind = "expired" if credential.is_expired(token) else "revoked"
        if body is not None and not body.replayable:
            renewed = route.renew_after(token, monotonic())
            stats.rejections[kind if renewed else "forbidden"] += 1
            trip.did = "refreshed for the next: this one is not whole in hand" if renewed else FORBIDDEN
            return rejected
        replacement = await credential.replacement(token, taken_there=route.took(token))
        if replacement is None or (body is not None and not body.replayable):
            stats.rejections[kind] += 1
            trip.did = "no other token" if replacement is None else "refreshed for the next: its body grew too large"
            return rejected
        if trip.connection is not None and trip.connection.owner is trip:
            trip.connection.abort()  # the rest of the rejected answer is not wanted
        trip.did, trip.replacement = f"replayed after {rejected[0].status}", replacement
        trip.waited_s += perf_counter() - trip.sent_at  # for the rejection, and for the replacement
        try:
            answered = await self._send(trip, route, replacement, replay=True)
        except UpstreamError:
            stats.replays["failed"] += 1
            stats.rejections[kind] += 1
            raise
        if answered[0].status in route.reject_statuses:
            stats.replays["rejected"] += 1
            stats.rejections["forbidden"] += 1
            trip.did = FORBIDDEN
            route.hold_down(replacement, monotonic())
        else:
            stats.replays["ok"] += 1
            stats.rejections[kind] += 1
            route.accepted(replacement)
        return answered

    # Our own answers, and the end

    async def _hide_challenge(self, trip: Trip, route: Route, token: Token | None, answered: Response) -> NoReturn:
        """An agent that saw this 401 would start to log in: tell it in words instead."""
        _, answer, trip.answered_at = answered
        credential = route.credential
        current = credential.current() if credential is not None else None
        words = await words_of(answer, token, getattr(trip, "replacement", None), current)
        status = credential.status() if credential is not None else None
        raise ChallengeHidden(status, tried=401 in route.reject_statuses, theirs=words)

    async def _answer_sdk(self, trip: Trip, route: Route, shield: Shield) -> bool:
        """Give the vendor's own SDK the placeholder that it asks for."""
        client, body = trip.client, trip.body
        if trip.head.fields.expects_continue and not trip.head.http_10:
            trip.go_on(None)
        await shield.take(body, route.name)
        keep_alive = trip.head.keep_alive and client.keeps_alive and (body is None or body.complete)
        trip.status = 200
        client.transport.write(shield.answer(self._wall(), close=not keep_alive))
        if not keep_alive:
            client.finish()
        return keep_alive

    def _answer_ourselves(self, trip: Trip, error: Answerable) -> bool:
        """Say why there is no answer from the upstream; cut the connection where one has begun."""
        route, client = trip.route, trip.client
        error.__traceback__ = None  # its frames hold the body that holds it: garbage that would be found late
        if isinstance(error, UpstreamError) and route is not None:
            route.stats.failures[error.phase] += 1
        self._troubles.note(error, method=trip.head.method, route=route.name if route else "", cut=trip.relaying)
        if trip.relaying:
            trip.status = 0
            client.abort()
            return False
        trip.status = error.status
        whole = trip.body is None or trip.body.complete
        keep_alive = whole and trip.head.keep_alive and client.keeps_alive and not error.closes
        if not isinstance(error, UpstreamError):
            self._refusals.count(error.reason, route.name if route is not None else "")
        if route is None:
            _log.warning("refused: %s (%d)", error.detail, error.status)  # a flood of these hides none of a route's
        else:
            _log.warning("%s: %s (%d)", route.name, error.detail, error.status)
        if route is not None and route.agent_safe and reads_json_rpc(trip.head):
            client.transport.write(json_rpc_error(error, close=not keep_alive))
        else:
            client.transport.write(problem(error, close=not keep_alive, without_body=trip.head.method == b"HEAD"))
        if keep_alive:
            return True
        client.finish()
        return False

    def _refuse(self, client: ClientConnection, error: BadRequest) -> None:
        """What came is not one clear request: say so and end the connection; no byte of it goes anywhere."""
        error.__traceback__ = None  # as above
        self._refusals.count(error.reason, "")
        self._troubles.note(error)
        _log.warning("refused: %s (%d)", error.detail, error.status)
        client.transport.write(problem(error, close=True))
        client.finish()

    def _interrupted(self, trip: Trip) -> bool:
        """The app has left or broken its request, or the process stops."""
        fault = trip.client.fault
        if fault is None:
            raise asyncio.CancelledError
        trip.status = 0
        if isinstance(fault, Answerable):
            self._answer_ourselves(trip, fault)
        return False

    def _settle(self, trip: Trip) -> None:
        """Whatever happened: nothing of this request stays behind, and it is counted once."""
        connection, route, body = trip.connection, trip.route, trip.body
        if body is not None:
            body.forget()
            body.detach()
        if connection is not None and connection.owner is trip:
            connection.abort()
        if route is not None:
            began_at, waited_s, sent_at = trip.started_at, trip.waited_s, trip.sent_at
            done_at = perf_counter()
            route.stats.note(
                (trip.head.method, trip.status, began_at, waited_s, sent_at, trip.answered_at, trip.relayed_at, done_at)
            )
        if self._access is not None:
            self._access(trip)
