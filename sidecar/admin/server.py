"""The admin listener: health, metrics, status and a few orders, on connections as apps have them.

The data plane's listener reads heads as strictly here as there, and bounds the same things. The
rule: every request passes the admission first, and everything that is not an answer of an endpoint
is problem+json that quotes nothing of the request.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Collection, Coroutine
from typing import Any, Protocol, TypeVar

from sidecar.admin.admission import Admission
from sidecar.admin.answer import Answer
from sidecar.admin.endpoints import Endpoints
from sidecar.admin.problem import of_error, problem
from sidecar.dataplane.client import ClientConnection
from sidecar.dataplane.door import Door
from sidecar.dataplane.http1 import RequestReader
from sidecar.dataplane.listener import Limits, Listener
from sidecar.errors import Answerable, BadRequest
from sidecar.gate import authorities
from sidecar.messages import RequestHead

_log = logging.getLogger(__name__)

T = TypeVar("T")

# Prometheus, a kubelet and a person with a browser together hold a handful. One more takes the place of the one that
# would be ended soonest: whoever holds them all open keeps no probe out.
_CONNECTIONS_MOST = 100
_LIMITS = Limits(head_bytes=16 * 1024, idle_timeout_s=30.0, body_idle_timeout_s=10.0)
_GRACE_S = 0.5


class Spawn(Protocol):
    """Starts a task that somebody keeps."""

    def __call__(self, work: Coroutine[Any, Any, T], /) -> asyncio.Task[T]:
        """Return the task that does this work."""


class _Listener(Listener):
    """Connections of which the newest is always served."""

    takes_the_last = True

    def opened(self, connection: ClientConnection) -> asyncio.Task[None] | None:
        """Take a connection in, in the place of another where there is none left."""
        if len(self.connections) >= _CONNECTIONS_MOST:
            other = min(self.connections, key=lambda one: one.deadline)
            self.connections.discard(other)
            other.abort()
        return super().opened(connection)


class AdminServer:
    """Answers on one socket.

    Args:
        endpoints: what it answers.
        spawn: starts the tasks of connections and orders.
        loopback: whether only this machine can reach the socket; else health and metrics alone are served.
        own_hosts: names by which it is known beside localhost, 127.0.0.1, [::1] and the one it is bound to.
    """

    def __init__(self, endpoints: Endpoints, spawn: Spawn, *, loopback: bool, own_hosts: Collection[str] = ()) -> None:
        self._endpoints = endpoints
        self._spawn = spawn
        self._admission = Admission(loopback=loopback)
        self._own_hosts = own_hosts
        self._bound: list[str] = []
        self._port: int | None = None
        self._door = Door()
        self._server: asyncio.Server | None = None
        self._listener = _Listener(
            self._serve,
            spawn,
            limits=_LIMITS,
            most_connections=_CONNECTIONS_MOST,
            turned_away=lambda error: of_error(error).rendered(close=True),
            reader=RequestReader(_LIMITS.fields, frozenset((b"accept",))),
        )

    async def start(self, sock: socket.socket) -> None:
        """Serve on a socket that is bound already, and own it from here on."""
        loop, protocol = asyncio.get_running_loop(), self._listener.protocol(self._door)
        if sock.family == getattr(socket, "AF_UNIX", None):
            self.know_as(self._own_hosts)
            self._server = await loop.create_unix_server(protocol, sock=sock)
            return
        host, self._port = sock.getsockname()[:2]
        self._bound = [f"[{host}]:{self._port}" if ":" in host else f"{host}:{self._port}"]
        self.know_as(self._own_hosts)
        self._server = await loop.create_server(protocol, sock=sock)

    def know_as(self, own_hosts: Collection[str]) -> None:
        """Go by these names from now on, beside those that it always has."""
        self._own_hosts = own_hosts
        self._door.switch(authorities(self._port, (*own_hosts, *self._bound)), frozenset())

    def sweep(self, now: float) -> None:
        """End what is past its deadline."""
        self._listener.sweep(now)
        self._endpoints.sweep()

    async def stop(self) -> None:
        """Close the socket and every connection; an answer under way has half a second."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._endpoints.events is not None:
            self._endpoints.events.end()
        self._listener.drain()
        await self._listener.emptied(_GRACE_S)

    async def _serve(self, client: ClientConnection) -> None:
        """Serve one connection until either side ends it."""
        try:
            while raw := client.take_head() or await client.arrival():
                if not await self._answer_one(client, client.read(raw)):
                    return
            client.close()
        except BadRequest as error:
            client.transport.write(of_error(error).rendered(close=True))
            client.finish()
        except asyncio.CancelledError:
            if client.fault is None:
                raise
        finally:
            client.ensure_ended()

    async def _answer_one(self, client: ClientConnection, head: RequestHead) -> bool:
        """Answer one request; return whether the connection may carry another. Its body is of no interest."""
        try:
            self._admission.admit(head, client.authorities)
            answer = self._endpoints.answer(head)
            if isinstance(answer, Awaitable):
                answer = await self._carried_out(answer)
            elif not isinstance(answer, Answer):
                await answer.serve(client)
                return False
        except Answerable as error:
            return self._send(client, head, of_error(error), close=error.closes)
        except Exception:
            _log.exception("the admin listener could not answer")
            answer = problem(500, "Internal error", "Something broke here; the log says what.")
        return self._send(client, head, answer)

    async def _carried_out(self, order: Awaitable[Answer]) -> Answer:
        """Carry an order out to its end, also where whoever gave it leaves: half a reload would be worse than none."""

        async def work() -> Answer:
            return await order

        return await asyncio.shield(self._spawn(work()))

    def _send(self, client: ClientConnection, head: RequestHead, answer: Answer, *, close: bool = False) -> bool:
        whole = client.body is None or client.body.complete
        keep_alive = whole and head.keep_alive and not head.http_10 and client.keeps_alive and not close
        client.transport.write(answer.rendered(close=not keep_alive, without_body=head.method == b"HEAD"))
        if not keep_alive:
            client.finish()
        return keep_alive
