"""The soak's apps: each keeps one connection to the sidecar busy, checks its answers, and now and then leaves."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import NoReturn, cast

from tests.soak.ledger import Ledger
from tests.soak.plan import REPLAYED_BYTES, Chunks, Shape, content, request, shape_of
from tests.soak.upstream import reset

# Between two halves of a body, and before leaving.
PAUSE_S = 0.002
MOST_AT_ONCE = 4


class Apps:
    """All apps of one run.

    Args:
        port: the sidecar's, on 127.0.0.1.
        count: how many there are.
        ledger: where everything is noted.
    """

    def __init__(self, port: int, count: int, ledger: Ledger) -> None:
        self.loop = asyncio.get_running_loop()
        self.host = f"127.0.0.1:{port}"
        self.ledger = ledger
        self._port = port
        self._count = count
        self._next = 0
        self._until = 0

    def take(self) -> list[int]:
        """Return the numbers of the next requests to send at once; none: all of this round are sent."""
        number = self._next
        if number >= self._until:
            return []
        most = min(number + number % MOST_AT_ONCE + 1, self._until)
        self._next = number + 1
        if shape_of(number).pipelines:
            while self._next < most and shape_of(self._next).pipelines:
                self._next += 1
        return list(range(number, self._next))

    async def run(self, until: int) -> None:
        """Run every app until all requests below this number have ended."""
        self._until = until
        await asyncio.gather(*(self._run_one() for _ in range(self._count)))

    async def _run_one(self) -> None:
        """One app: a new connection whenever the one before has ended."""
        while self._next < self._until:
            try:
                _, connection = await self.loop.create_connection(lambda: AppConnection(self), "127.0.0.1", self._port)
            except OSError as error:
                self.ledger.wrong(f"no connection to the sidecar: {error}")
                await asyncio.sleep(0.1)
                continue
            await connection.ended


class AppConnection(asyncio.Protocol):
    """One connection of an app."""

    def __init__(self, apps: Apps) -> None:
        self._apps = apps
        self._ledger = apps.ledger
        self.ended: asyncio.Future[None] = apps.loop.create_future()
        self._transport: asyncio.Transport
        self._expected: deque[int] = deque()
        self._gone = False
        # Per answer
        self._buffer = b""
        self._pieces: list[bytes] = []
        self._status = 0
        self._left_bytes = 0
        self._chunks: Chunks | None = None
        self._last = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send what is next (asyncio calls this)."""
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def _send(self) -> None:
        numbers = self._apps.take()
        if not numbers:
            self._gone = True
            self._transport.close()
            return
        self._expected.extend(numbers)
        parts = [request(number, self._apps.host) for number in numbers]
        self._transport.write(b"".join(now for now, _ in parts))
        shape, later = shape_of(numbers[0]), parts[0][1]
        if shape.fate in ("leaves_before", "leaves_up"):
            self._apps.loop.call_later(PAUSE_S * (numbers[0] % 3), self._leave)
        elif later:
            self._apps.loop.call_later(PAUSE_S, self._send_rest, later)

    def _send_rest(self, later: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(later)

    def _leave(self) -> None:
        """Be gone: by a reset, or in the ordinary way."""
        if self._gone or self._transport.is_closing():
            return
        self._gone = True
        number = self._expected.popleft()
        self._ledger.note(shape_of(number).fate)
        if number % 2:
            reset(self._transport)
        else:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Take in bytes of answers (asyncio calls this)."""
        if self._gone:
            return
        try:
            rest: bytes | None = data
            while rest:
                rest = self._feed(rest) if self._expected else self._unasked(rest)
        except (ValueError, IndexError) as error:
            self._ledger.wrong(f"an answer that is not one ({error}): {self._buffer[:200]!r}")
            self._transport.abort()

    def _unasked(self, data: bytes) -> NoReturn:
        raise ValueError(f"bytes that nobody asked for: {data[:100]!r}")

    def _feed(self, data: bytes) -> bytes | None:
        """Take in bytes of one answer; return those behind it, None before its end."""
        number = self._expected[0]
        if self._status == 0:
            data = self._buffer + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._buffer = data
                return None
            head, data = data[:end], data[end + 4 :]
            self._begin(head)
            if shape_of(number).fate == "leaves_down" and b"200" in head[:13]:
                self._leave()
                return None
        if self._chunks is not None:
            rest = self._chunks.feed(data)
            if rest is None:
                return None
            self._answered(number, self._chunks.body)
            return rest
        if len(data) < self._left_bytes:
            self._pieces.append(data)
            self._left_bytes -= len(data)
            return None
        self._pieces.append(data[: self._left_bytes])
        rest = data[self._left_bytes :]
        self._answered(number, b"".join(self._pieces))
        return rest

    def _begin(self, head: bytes) -> None:
        self._buffer = b""
        self._status = int(head[9:12])
        self._last = b"\r\nConnection: close" in head
        if b"\r\nTransfer-Encoding: chunked" in head:
            self._chunks = Chunks()
        else:
            self._left_bytes = int(head.split(b"\r\nContent-Length: ")[1].partition(b"\r\n")[0])

    def _answered(self, number: int, body: bytes) -> None:
        self._expected.popleft()
        self._judge(number, shape_of(number), self._status, body)
        self._status = self._left_bytes = 0
        self._pieces = []
        self._chunks = None
        if self._last:
            self._gone = True  # nothing more is expected; the sidecar ends the connection
        elif not self._expected:
            self._send()

    def _judge(self, number: int, shape: Shape, status: int, body: bytes) -> None:
        if status == 200 and body == content("a", number, shape.down_bytes):
            self._ledger.note("fine" if shape.fate == "fine" else f"{shape.fate}, repeated")
        elif status == 200:
            self._ledger.ended_wrong(f"the answer to {number} has another body: {body[:40]!r} ({len(body)})")
        elif status == 401 and shape.up_bytes > REPLAYED_BYTES:
            self._ledger.note("rejected, too large to be sent again")
        elif status == 502 and shape.fate in ("reset_before", "reset_down"):
            self._ledger.note(f"{shape.fate}, 502")
        else:
            self._ledger.ended_wrong(f"{status} to {number} ({shape}): {body[:200]!r}")

    def connection_lost(self, exc: Exception | None) -> None:
        """See what is missing (asyncio calls this)."""
        for number in self._expected:
            shape = shape_of(number)
            if shape.fate == "reset_down":
                self._ledger.note("reset_down, cut")
            else:
                self._ledger.ended_wrong(f"{number} ({shape}) was cut: {exc!r}")
        self.ended.set_result(None)
