"""A token endpoint on a raw loopback socket: it keeps every byte it was sent, and answers whatever a test scripts."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Script = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Endpoint:
    """A running endpoint: its port, what came in, one entry for each request, and whether anything has."""

    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)


def answer(body: bytes, *fields: str, status: str = "200 OK") -> bytes:
    """Return a complete answer with a Content-Length."""
    head = [f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(head).encode() + body


def says(data: bytes) -> Script:
    """Send these bytes, then close."""

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return script


def repeats(first: bytes, then: bytes, pause_s: float = 0.0) -> Script:
    """Send `first`, then `then` again and again until the other side leaves."""

    async def script(writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while not writer.is_closing():
            writer.write(then)
            await writer.drain()
            await asyncio.sleep(pause_s)

    return script


@asynccontextmanager
async def endpoint(script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Endpoint]:
    """Serve on a port of 127.0.0.1; each connection gets one request read and the script played."""
    state = Endpoint()
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state.connections += 1
        writers.add(writer)
        try:
            state.requests.append(await _read_request(reader))
            state.asked.set()
            await script(writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return head + await reader.readexactly(int(line.partition(b":")[2]))
    return head
