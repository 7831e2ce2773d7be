"""Large bodies flow: they arrive whole, however slow one side is, and little of them is in memory at any time."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sidecar.tls import TLSRules
from tests.fakes import Message, Script, Wire, response, until, upstream
from tests.servers.certificates import Certificates
from tests.wire.running import Running, in_front_of, route_to
from tests.wire.running import sidecar as running_sidecar
from tests.wire.test_upstream_failures import server_context

SIZE = 16 * 1024 * 1024
PIECE = bytes(range(256)) * 256
# Between the two sockets: a read of the loop (256 KiB) on either side, and what the write buffers hold.
MOST_HELD_BYTES = 1024 * 1024
SMALL_BUFFER = 16 * 1024


def content() -> bytes:
    """16 MiB of which no two pieces are alike."""
    return b"".join(b"%08x" % number + PIECE[8:] for number in range(SIZE // len(PIECE)))


def shrink(wire: Wire) -> None:
    """Give a connection small socket buffers, so that the kernel hides little."""
    sock = wire.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)


def held_bytes(sidecar: Running) -> int:
    """All body bytes in the sidecar's memory: held by bodies, and in write buffers."""
    connections = sidecar.connections()
    bodies = {body for connection in connections if (body := connection.inflow) is not None}
    waiting = sum(connection.transport.get_write_buffer_size() for connection in connections)
    return waiting + sum(body.held_bytes for body in bodies)


async def watch(sidecar: Running, work: asyncio.Task[None]) -> int:
    """Return the most that was held at a time while this ran."""
    most = 0
    while not work.done():
        most = max(most, held_bytes(sidecar))
        await asyncio.sleep(0.001)
    await work
    return most


def answer_with(body: bytes) -> Script:
    """Answer one request with this body."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(response(body))

    return script


async def read_slowly(wire: Wire, size: int) -> str:
    """Read this many bytes with a rest now and then; return their SHA-256."""
    digest = hashlib.sha256()
    while size:
        data = await wire.reader.read(min(size, 512 * 1024))
        assert data, "cut"
        digest.update(data)
        size -= len(data)
        await asyncio.sleep(0.002)
    return digest.hexdigest()


async def test_a_large_download_to_a_slow_reader() -> None:
    """16 MiB arrive whole, and at most 1 MiB of them is held."""
    body = content()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(head, body)
        await wire.ended()

    async with in_front_of(script) as (sidecar, _):
        wire = await sidecar.connect()
        shrink(wire)
        await wire.send(sidecar.ask_bytes())
        assert await wire.head() == head

        async def read() -> None:
            assert await read_slowly(wire, SIZE) == hashlib.sha256(body).hexdigest()

        assert await watch(sidecar, asyncio.create_task(read())) <= MOST_HELD_BYTES


async def test_a_large_upload_to_a_slow_upstream() -> None:
    """Chunked and sized, 16 MiB arrive whole, and at most 1 MiB of them is held."""
    body = content()

    async def script(wire: Wire) -> None:
        shrink(wire)
        await wire.head()
        digest = await read_slowly(wire, SIZE)
        await wire.send(response(digest.encode()))

    async with in_front_of(script, route={"replay_body_bytes": 1000}) as (sidecar, _):
        wire = await sidecar.connect()
        ask = sidecar.ask_bytes("POST", "/", f"Content-Length: {SIZE}")
        sending = asyncio.create_task(wire.send(ask, *(body[at : at + 65536] for at in range(0, SIZE, 65536))))
        assert await watch(sidecar, sending) <= MOST_HELD_BYTES
        assert (await wire.response()).body == hashlib.sha256(body).hexdigest().encode()


async def test_a_large_chunked_body_both_ways_at_once() -> None:
    """What goes up comes down at the same time, chunk by chunk."""
    body = content()

    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while piece := await wire.chunk():
            await wire.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        await wire.send(b"0\r\n\r\n")

    async with in_front_of(script) as (sidecar, _):
        wire = await sidecar.connect()
        pieces = (body[at : at + 50_000] for at in range(0, SIZE, 50_000))
        chunks = (b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        ask = sidecar.ask_bytes("POST", "/", "Transfer-Encoding: chunked")
        sending = asyncio.create_task(wire.send(ask, *chunks, b"0\r\n\r\n"))
        assert Message(await wire.head()).status == 200
        digest = hashlib.sha256()
        while piece := await wire.chunk():
            digest.update(piece)
        await sending
        assert digest.digest() == hashlib.sha256(body).digest()


@asynccontextmanager
async def before(script: Script, certificates: Certificates | None) -> AsyncIterator[Running]:
    """Run a sidecar in front of this script, over TLS where there are certificates."""
    tls = server_context(certificates) if certificates is not None else None
    async with upstream(script, tls=tls) as server:
        to: dict[str, object] = {}
        if certificates is not None:
            to = {"url": f"https://127.0.0.1:{server.port}", "tls": TLSRules(ca_file=str(certificates.ca_file))}
        async with running_sidecar(route_to(server.port, upstream=to)) as running:
            yield running


TLS = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


@TLS
@pytest.mark.parametrize("framing", ["sized", "chunked"])
async def test_an_upstream_that_does_not_read_stops_the_app(
    framing: str, tls: bool, certificates: Certificates
) -> None:
    """Backpressure reaches the app's own socket, and the sending goes on when the upstream reads again."""
    reads = asyncio.Event()

    async def script(wire: Wire) -> None:
        wire.stop_reading()
        await reads.wait()
        wire.read_again()
        request = await wire.request()
        await wire.send(response(hashlib.sha256(request.body).hexdigest().encode()))

    async with before(script, certificates if tls else None) as sidecar:
        wire = await sidecar.connect()
        if framing == "sized":
            wire.writer.write(sidecar.ask_bytes("POST", "/", body=content()))
        else:
            ask = sidecar.ask_bytes("POST", "/", "Transfer-Encoding: chunked")
            wire.writer.write(ask + b"%x\r\n%b\r\n0\r\n\r\n" % (SIZE, content()))
        await until_still(sidecar, wire)
        assert wire.writer.transport.get_write_buffer_size() > SIZE // 32
        assert held_bytes(sidecar) <= MOST_HELD_BYTES
        reads.set()
        assert (await wire.response()).body == hashlib.sha256(content()).hexdigest().encode()


@TLS
@pytest.mark.parametrize("framing", ["sized", "chunked", "until the end"])
async def test_an_app_that_does_not_read_stops_the_upstream(
    framing: str, tls: bool, certificates: Certificates
) -> None:
    """The same the other way round; another request on the same route is not held up."""
    sent: list[Wire] = []

    async def script(wire: Wire) -> None:
        request = await wire.request()
        if request.target == b"/small":
            await wire.send(response())
            return
        sent.append(wire)
        if framing == "sized":
            await wire.send(response(content()))
        elif framing == "chunked":
            await wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % SIZE, content())
            await wire.send(b"\r\n0\r\n\r\n")
        else:
            await wire.send(b"HTTP/1.1 200 OK\r\n\r\n", content())

    async with before(script, certificates if tls else None) as sidecar:
        wire = await sidecar.connect()
        wire.stop_reading()
        await wire.send(sidecar.ask_bytes())
        await until(lambda: sent)
        await until_still(sidecar, sent[0])
        # Over TLS the rest waits where the test cannot see it, below what it writes to.
        assert tls or sent[0].writer.transport.get_write_buffer_size() > SIZE // 32
        assert held_bytes(sidecar) <= MOST_HELD_BYTES
        assert (await sidecar.ask(target="/small")).status == 200
        wire.read_again()
        assert hashlib.sha256((await wire.response()).body).digest() == hashlib.sha256(content()).digest()


async def until_still(sidecar: Running, sender: Wire) -> None:
    """Wait until nothing has moved between the sender and the sidecar for a while; a busy machine moves in jerks."""
    seen = [(0, 0), (1, 1)]
    while len(set(seen[-5:])) > 1:
        seen.append((sender.writer.transport.get_write_buffer_size(), held_bytes(sidecar)))
        await asyncio.sleep(0.03)


async def test_the_end_of_an_answer_reaches_a_slow_reader() -> None:
    """Also where the connection ends after it: the app gets all of it, however long that takes."""
    body = content()[: 120 * 1024]

    async with in_front_of(answer_with(body)) as (sidecar, _):
        wire = await sidecar.connect()
        shrink(wire)
        await until(sidecar.app_connections)
        own = sidecar.app_connections()[0].transport.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        wire.stop_reading()
        await wire.send(sidecar.ask_bytes("GET", "/", "Connection: close"))
        await asyncio.sleep(1.8)  # longer than any linger, and the sweep that would notice
        wire.read_again()
        answer = await wire.response()
        assert hashlib.sha256(answer.body).digest() == hashlib.sha256(body).digest()
        assert await wire.rest() == b""
