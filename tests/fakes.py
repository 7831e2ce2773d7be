"""What stands around the sidecar in tests, on real sockets: raw HTTP, and servers that play a script."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

# Long enough for anything on one machine; whatever takes longer hangs.
PATIENCE_S = 5.0
_NO_BODY = (204, 304)


@dataclass(frozen=True, slots=True)
class Message:
    """A request or a response as it came: the head's bytes with its empty line, the body without its framing."""

    head: bytes
    body: bytes = b""
    trailers: tuple[bytes, ...] = ()

    @property
    def start(self) -> bytes:
        """The start line."""
        return self.head.partition(b"\r\n")[0]

    @property
    def lines(self) -> list[bytes]:
        """The field lines, in order."""
        return self.head[:-4].split(b"\r\n")[1:]

    @property
    def status(self) -> int:
        """The status of a response."""
        return int(self.start.split(b" ")[1])

    @property
    def method(self) -> bytes:
        """The method of a request."""
        return self.start.split(b" ")[0]

    @property
    def target(self) -> bytes:
        """The target of a request."""
        return self.start.split(b" ")[1]

    def values(self, name: str) -> list[bytes]:
        """Return the values of all fields with this name, in any case."""
        pairs = (line.partition(b":") for line in self.lines)
        return [value.strip() for field, _, value in pairs if field.lower() == name.lower().encode()]

    def value(self, name: str) -> bytes | None:
        """Return the value of the only field with this name, or None."""
        values = self.values(name)
        assert len(values) <= 1, values
        return values[0] if values else None

    @property
    def reason(self) -> str:
        """The reason in an answer of the sidecar's own."""
        assert self.value("content-type") == b"application/problem+json", self.head
        return str(json.loads(self.body)["reason"])

    @property
    def proxy_error(self) -> bytes:
        """The error in Proxy-Status: whose answer this is."""
        return (self.value("proxy-status") or b"").partition(b"error=")[2]


class Wire:
    """One end of a connection: raw bytes out, whole messages in."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *pieces: bytes) -> None:
        """Send each piece; return when the socket has taken most of them."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def send_slowly(self, data: bytes, size: int = 1) -> None:
        """Send a few bytes at a time, each in a segment of its own."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(data), size):
            self.writer.write(data[at : at + size])
            await asyncio.sleep(0)

    async def head(self) -> bytes:
        """Read a head, with its empty line."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def exactly(self, size: int) -> bytes:
        """Read this many bytes."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.readexactly(size)

    async def request(self) -> Message:
        """Read a whole request."""
        head = Message(await self.head())
        if head.value("transfer-encoding") is not None:
            return await self._chunked(head)
        return Message(head.head, await self.exactly(int(head.value("content-length") or 0)))

    async def response(self, *, to: str = "GET") -> Message:
        """Read a whole response.

        Args:
            to: the method of the request that it answers.
        """
        head = Message(await self.head())
        if to == "HEAD" or head.status < 200 or head.status in _NO_BODY:
            return head
        if head.value("transfer-encoding") is not None:
            return await self._chunked(head)
        length = head.value("content-length")
        return Message(head.head, await (self.rest() if length is None else self.exactly(int(length))))

    async def chunk(self) -> bytes:
        """Read one chunk; the last one is empty, and what follows it is not read."""
        async with asyncio.timeout(PATIENCE_S):
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            if size == 0:
                return b""
            data = await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
            return data

    async def _chunked(self, head: Message) -> Message:
        pieces = []
        while piece := await self.chunk():
            pieces.append(piece)
        trailers = []
        async with asyncio.timeout(PATIENCE_S):
            while (line := await self.reader.readuntil(b"\r\n")) != b"\r\n":
                trailers.append(line[:-2])
        return Message(head.head, b"".join(pieces), tuple(trailers))

    async def rest(self) -> bytes:
        """Read up to the clean end of the connection.

        Raises:
            ConnectionError: it was cut.
        """
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.read()

    async def ended(self, within_s: float = PATIENCE_S) -> bytes:
        """Wait until the other side has ended the connection, however it did; return what came before."""
        got = bytearray()
        async with asyncio.timeout(within_s):
            try:
                while data := await self.reader.read(65536):
                    got += data
            except ConnectionError:
                pass
        return bytes(got)

    def stop_reading(self) -> None:
        """Leave what comes to the kernel."""
        cast(asyncio.Transport, self.writer.transport).pause_reading()

    def read_again(self) -> None:
        """Read what has come, and what still comes."""
        cast(asyncio.Transport, self.writer.transport).resume_reading()

    def half_close(self) -> None:
        """End the sending side."""
        self.writer.write_eof()

    def close(self) -> None:
        """End the connection in the ordinary way."""
        self.writer.close()

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Wire], Awaitable[None]]


class ScriptedUpstream:
    """An upstream that plays a script on each connection, and keeps what it was sent.

    Args:
        script: what to do on a connection; the connection is closed when it returns.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.port = 0
        self.connections: list[Wire] = []
        self.requests: list[Message] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Play the script on one connection."""
        wire = _Noting(reader, writer, self.requests)
        self.connections.append(wire)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await self.script(wire)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            if not self._ending:
                raise
        finally:
            wire.close()

    _ending = False

    async def end(self) -> None:
        """End all connections."""
        self._ending = True
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for wire in self.connections:
            wire.writer.transport.abort()


class _Noting(Wire):
    """A wire that keeps each whole request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, requests: list[Message]) -> None:
        super().__init__(reader, writer)
        self._requests = requests

    async def request(self) -> Message:
        message = await super().request()
        self._requests.append(message)
        return message


@asynccontextmanager
async def upstream(script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[ScriptedUpstream]:
    """Serve a script on a port of 127.0.0.1."""
    scripted = ScriptedUpstream(script)
    server = await asyncio.start_server(scripted.serve, "127.0.0.1", 0, ssl=tls, limit=2**20, backlog=1024)
    scripted.port = server.sockets[0].getsockname()[1]
    try:
        yield scripted
    finally:
        server.close()
        await scripted.end()


def response(body: bytes = b"fine", *lines: str, status: str = "200 OK") -> bytes:
    """Return a whole response with a Content-Length."""
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def always(*answers: bytes) -> Script:
    """Answer the requests of a connection with these, one after the other, and then the last one for ever."""

    async def script(wire: Wire) -> None:
        count = 0
        while True:
            await wire.request()
            await wire.send(answers[min(count, len(answers) - 1)])
            count += 1

    return script


async def silent(wire: Wire) -> None:
    """Take what comes and never answer."""
    await wire.ended(60)


async def until(holds: Callable[[], object], within_s: float = 2.0) -> None:
    """Wait until this holds."""
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110  # most of what is waited for tells nobody
            await asyncio.sleep(0.005)


class Tokens:
    """A token endpoint's script: token-1, token-2 and so on, each of which lives for an hour.

    Args:
        wait_for: what each exchange waits for, if anything.
    """

    def __init__(self, wait_for: asyncio.Event | None = None) -> None:
        self.count = 0
        self._wait_for = wait_for

    async def __call__(self, wire: Wire) -> None:
        while True:
            await wire.request()
            self.count += 1
            body = json.dumps({"token": f"token-{self.count}", "expires_in": 3600}).encode()
            if self._wait_for is not None:
                await self._wait_for.wait()
            await wire.send(response(body, "Content-Type: application/json"))
