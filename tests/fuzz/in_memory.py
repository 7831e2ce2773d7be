"""A sidecar with everything real but its sockets and its clock: thousands of connections a second, each time the same.

Bytes go in as segments and come out as they were written. Time jumps when nothing is left to do, so that a time-out
costs nothing. What no socket allows fails here too: writing after the end, an exception in a callback, a task or a
connection that is left behind.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sidecar.assembly import assemble, connection_limits
from sidecar.config.values import Config
from sidecar.dataplane.client import ClientConnection
from sidecar.dataplane.door import Door
from sidecar.dataplane.flow import Body, ReplayMemory
from sidecar.dataplane.listener import Listener
from sidecar.dataplane.pool import Pool
from sidecar.dataplane.upstream import Owner, Response, UpstreamConnection
from sidecar.messages import NOTHING
from sidecar.path import Path
from sidecar.problem import problem
from sidecar.stats import Stats
from tests.credentials.virtual_time import FakeClock, VirtualLoop
from tests.wire.running import STATIC_LINE, config, route_to

AUTHORITY = b"a"  # the listener's
UPSTREAM_HOST = b"127.0.0.1:9"
TOKEN_LINE = STATIC_LINE
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
# Further ahead than any deadline.
_MUCH_LATER_S = 1000.0
_SLOW_S = 0.001


class MemoryTransport(asyncio.Transport):
    """The sidecar's side of a connection whose other side is the test.

    `written` is what the other side has received. `cut` says that the end was not a clean one.

    Args:
        slow: after each write, the other side takes nothing more for a moment.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol, *, slow: bool) -> None:
        super().__init__()
        self.written = bytearray()
        self.cut = False
        self.ended = False
        self.on_write: Callable[[], object] | None = None
        self._loop = loop
        self._protocol = protocol
        self._closing = False
        self._reading = True
        self._slow = slow
        self._full = False
        self._incoming: deque[bytes] = deque()
        self._socket = _NoSocket()
        protocol.connection_made(self)

    # For the other side

    def deliver(self, data: bytes) -> None:
        """Send to the sidecar; b"" ends what is sent."""
        self._incoming.append(data)
        self._pump()

    def reset(self) -> None:
        """Cut the connection."""
        self._lose(ConnectionResetError())

    def _pump(self) -> None:
        while self._incoming and self._reading and not self._closing:
            data = self._incoming.popleft()
            if data:
                self._protocol.data_received(data)
            elif not self._protocol.eof_received():
                self.close()

    def _lose(self, error: Exception | None) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._protocol.connection_lost, error)

    # What the sidecar calls

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """There is a socket, and it does nothing."""
        return self._socket if name == "socket" else default

    def is_closing(self) -> bool:
        """Whether it has ended, or will."""
        return self._closing

    def pause_reading(self) -> None:
        """Leave what comes where it is."""
        self._reading = False

    def resume_reading(self) -> None:
        """Take in what has come."""
        self._reading = True
        if self._incoming:
            self._loop.call_soon(self._pump)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Hand over to the other side."""
        if self.ended and not self._closing:
            raise RuntimeError("written after the end")
        if not self._closing:
            self.written += data
            if self.on_write is not None:
                self.on_write()
            if self._slow and not self._full:
                self._full = True
                self._loop.call_later(_SLOW_S, self._drain)
                self._protocol.pause_writing()

    def _drain(self) -> None:
        self._full = False
        if not self._closing:
            self._protocol.resume_writing()

    def writelines(self, list_of_data: Any) -> None:
        """Hand over to the other side."""
        for data in list_of_data:
            self.write(data)

    def get_write_buffer_size(self) -> int:
        """The other side takes everything at once."""
        return 0

    def can_write_eof(self) -> bool:
        """As TCP can."""
        return True

    def write_eof(self) -> None:
        """End what is sent."""
        self.ended = True

    def close(self) -> None:
        """End the connection."""
        self.ended = self.ended or not self._closing
        self._lose(None)

    def abort(self) -> None:
        """Cut the connection; after its end, nobody sees the difference."""
        self.cut = self.cut or not (self.ended or self._closing)
        self._lose(None)


_SILENT, _KEPT_OPEN = os.pipe()
os.set_blocking(_SILENT, False)


class _NoSocket:
    def setsockopt(self, *_: object) -> None:
        """Nothing to set."""

    def fileno(self) -> int:
        """Return one on which nothing ever comes, and no error."""
        return _SILENT


@dataclass(frozen=True, slots=True)
class Received:
    """What came out at one end.

    Args:
        cut: whether its end was no clean one.
        ended: whether it had a clean one before the test closed it.
        pieces: the bytes of each request that was sent; one was answered before the next.
    """

    data: bytes
    cut: bool
    ended: bool
    pieces: tuple[bytes, ...] = ()


class MemoryUpstream(UpstreamConnection):
    """A connection to an upstream that is the test."""

    def __init__(self, pool: Pool, loop: asyncio.AbstractEventLoop, answer: bytes, *, slow: bool) -> None:
        super().__init__(pool, loop)
        self._starts: list[int] = []
        self._answered_count = 0
        self._answers = answer
        self._awaited: Body | None = None
        self.end = MemoryTransport(loop, self, slow=slow)
        self.end.on_write = lambda: loop.call_soon(self._look)

    def send(
        self,
        owner: Owner,
        head: bytes,
        method: bytes,
        body: Body | None = None,
        *,
        chunked: bool = False,
        dropped: frozenset[bytes] = NOTHING,
        replay: bool = False,
    ) -> asyncio.Future[Response]:
        """Note it and send it."""
        self._starts.append(len(self.end.written))
        self._awaited = body
        return super().send(owner, head, method, body, chunked=chunked, dropped=dropped, replay=replay)

    def answer_from_now_on(self, answer: bytes) -> None:
        """Answer requests that are still to come."""
        self._answers = answer
        self._answered_count = len(self._starts)

    def _look(self) -> None:
        """Answer a request that is whole."""
        due = self._answered_count < len(self._starts) and (self._awaited is None or self._awaited.complete)
        if self._answers and due:
            self._answered_count = len(self._starts)
            self.end.deliver(self._answers)

    def received(self) -> Received:
        """Return what came here."""
        data = bytes(self.end.written)
        return Received(data, self.end.cut, self.end.ended, tuple(split(data, self._starts)))


def split(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Return data cut at these places; no piece is empty."""
    ends = [0, *cuts, len(data)]
    return [data[begin:end] for begin, end in pairwise(ends) if begin < end]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one app connection came to: what the app received, and each upstream connection, in order."""

    app: Received
    upstreams: tuple[Received, ...]

    @property
    def sent(self) -> int:
        """How many requests were sent upstream."""
        return sum(len(upstream.pieces) for upstream in self.upstreams)


class Sidecar:
    """The sidecar; made inside a running `VirtualLoop`."""

    def __init__(self, configuration: Config) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda _loop, context: self._unhandled.append(context))
        self._unhandled: list[Mapping[str, Any]] = []
        clock, stats = FakeClock(), Stats()
        self.parts = assemble(configuration, stats, clock, None)
        (self._pool,) = self.parts.pools.values()
        self._pool._connect = self._connect  # type: ignore[method-assign]  # to memory, not to an address
        path = Path(self.parts.gate, self.parts.routes, ReplayMemory(2**20), stats.refusals, wall=clock.wall)
        self._listener = Listener(
            path.serve,
            self._spawn,
            limits=connection_limits(configuration),
            most_connections=10,
            reader=self.parts.reader,
            turned_away=lambda error: problem(error, close=True),
        )
        self._door = Door()
        self._door.switch(frozenset((AUTHORITY,)), frozenset())
        self._tasks: set[asyncio.Task[None]] = set()
        self._upstreams: list[MemoryUpstream] = []
        self._answer = NO_CONTENT
        self._slow = False
        self._credentials = [self._loop.create_task(made.credential.run()) for made in self.parts.credentials.values()]

    async def ready(self) -> None:
        """Wait for the first tokens."""
        for made in self.parts.credentials.values():
            await made.credential.wait()

    async def stop(self) -> None:
        """End what runs in the background."""
        for task in self._credentials:
            task.cancel()
        await asyncio.gather(*self._credentials, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        return task

    async def _connect(self) -> UpstreamConnection:
        connection = MemoryUpstream(self._pool, self._loop, self._answer, slow=self._slow)
        self._upstreams.append(connection)
        return connection

    async def requests(self, segments: Sequence[bytes], *, in_one_turn: bool = False, slow: bool = False) -> Outcome:
        """Send these segments as an app would, then end; the upstream answers each whole request with a 204.

        Args:
            in_one_turn: the segments come faster than the connection's task runs.
            slow: app and upstream take what they are sent piece by piece.
        """
        self._answer = NO_CONTENT
        app = self._open(slow)
        for segment in segments:
            app.deliver(segment)
            if not in_one_turn:
                await self._settled()
        await self._settled()
        app.deliver(b"")
        return await self._close(app)

    async def response(
        self, request: bytes, segments: Sequence[bytes], *, end: str, then: tuple[bytes, bytes], slow: bool = False
    ) -> Outcome:
        """Send one request, answer it with these segments, and send another one where the connection still stands.

        Args:
            end: how the upstream's connection goes on after them: `close`, `reset` or `stay`.
            then: the second request, and its answer.
            slow: app and upstream take what they are sent piece by piece.
        """
        self._answer = b""
        app = self._open(slow)
        app.deliver(request)
        await self._settled()
        upstream = self._upstreams[0].end
        for segment in segments:
            upstream.deliver(segment)
            await self._settled()
        if end == "close":
            upstream.deliver(b"")
        elif end == "reset":
            upstream.reset()
        await self._settled()
        self._answer = then[1]
        for connection in self._upstreams:
            connection.answer_from_now_on(then[1])
        app.deliver(then[0])
        await self._settled()
        return await self._close(app)

    async def _settled(self) -> None:
        """Return when nobody has anything to do before time passes, but for what goes slowly."""
        await asyncio.sleep(_SLOW_S * 50 if self._slow else _SLOW_S / 50)

    def _open(self, slow: bool) -> MemoryTransport:
        self._slow = slow
        self._upstreams.clear()
        self._tasks.clear()
        protocol: ClientConnection = self._listener.protocol(self._door)()
        return MemoryTransport(self._loop, protocol, slow=slow)

    async def _close(self, app: MemoryTransport) -> Outcome:
        """Let all time-outs pass, and see that nothing is left."""
        ended = app.ended
        await asyncio.sleep(2.0)
        for look in range(1, 5):  # the first one at an app that takes nothing only notes how much is left
            if not self._listener.connections and not self._pool.connections:
                break
            later = self._loop.time() + look * _MUCH_LATER_S
            self._listener.sweep(later)
            self._pool.sweep(later)
            await self._settled()
        assert not self._listener.connections, "an app's connection is left"
        assert not self._pool.connections, "an upstream's connection is left"
        for task in self._tasks:
            assert task.done(), "a connection's task is left"
            if not task.cancelled():
                task.result()
        assert not self._unhandled, self._unhandled
        upstreams = tuple(connection.received() for connection in self._upstreams)
        return Outcome(Received(bytes(app.written), app.cut, ended), upstreams)


class Runner:
    """Runs a sidecar in memory from plain functions."""

    def __init__(self, **route: Any) -> None:
        self._runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.sidecar = self.run(self._make(route))

    async def _make(self, route: dict[str, Any]) -> Sidecar:
        sidecar = Sidecar(config(route_to(9, **route)))
        await sidecar.ready()
        return sidecar

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run to its end."""
        return self._runner.run(work)

    def close(self) -> None:
        """End it."""
        self.run(self.sidecar.stop())
        self._runner.close()


@contextmanager
def running(**route: Any) -> Iterator[Runner]:
    """Run a sidecar in memory, and keep its log lines off the screen."""
    with log_lines():
        runner = Runner(**route)
        try:
            yield runner
        finally:
            runner.close()


@contextmanager
def log_lines() -> Iterator[set[str]]:
    """Take what is logged, each different line once."""
    lines: set[str] = set()
    handler = logging.Handler()
    handler.emit = lambda record: lines.add(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("sidecar")
    propagates, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates
