"""Requests that are sent without waiting are answered in their order, whatever they are (RFC 9112 9.3.2)."""

from __future__ import annotations

import asyncio

from tests.fakes import Message, Wire, response
from tests.wire.running import Running, in_front_of

CHUNKED = "Transfer-Encoding: chunked"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


async def serve(wire: Wire) -> None:
    """Answer each request with its start line and body, in a framing that its path asks for."""
    while True:
        request = await wire.request()
        said = request.start + b" " + request.body
        if request.target == b"/upgrade":
            await wire.send(SWITCH)
            while data := await wire.reader.read(65536):
                await wire.send(data)
            return
        if request.target == b"/slow":
            await asyncio.sleep(0.05)
        if request.method == b"HEAD":
            await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n")
        elif request.target == b"/chunked":
            await wire.send(HINTS, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            await wire.send(b"%x\r\n%b\r\n0\r\nX-Sum: 1\r\n\r\n" % (len(said), said))
        elif request.target == b"/until-the-end":
            await wire.send(b"HTTP/1.1 200 OK\r\n\r\n" + said)
            return
        elif request.target == b"/none":
            await wire.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif request.target == b"/dies":
            return
        else:
            await wire.send(response(said))


def mixed(sidecar: Running) -> bytes:
    """One of everything."""
    return b"".join(
        (
            sidecar.ask_bytes("GET", "/api/slow"),
            sidecar.ask_bytes("HEAD", "/api/head"),
            sidecar.ask_bytes("POST", "/api/chunked", CHUNKED) + b"4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n",
            sidecar.ask_bytes("GET", "/elsewhere"),
            sidecar.ask_bytes("POST", "/elsewhere", body=b"GET /api/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"),
            sidecar.ask_bytes("GET", "/api/until-the-end"),
            sidecar.ask_bytes("DELETE", "/api/none"),
            sidecar.ask_bytes("POST", "/api/dies", body=b"x"),
            sidecar.ask_bytes("PUT", "/api/put", body=b"put"),
        )
    )


async def check(wire: Wire) -> None:
    """Check the answers to `mixed`."""
    assert (await wire.response()).body == b"GET /slow HTTP/1.1 "
    assert (await wire.response(to="HEAD")).value("content-length") == b"999"
    assert await wire.head() == HINTS
    chunked = await wire.response()
    assert (chunked.body, chunked.trailers) == (b"POST /chunked HTTP/1.1 body", (b"X-Sum: 1",))
    for _ in range(2):
        ours = await wire.response()
        assert (ours.status, ours.values("connection")) == (404, [])
    assert (await wire.response()).body == b"GET /until-the-end HTTP/1.1 "
    assert (await wire.response()).status == 204
    assert (await wire.response()).status == 502
    assert (await wire.response()).body == b"PUT /put HTTP/1.1 put"


ROUTE = {"path": "/api", "strip_prefix": True}


async def test_everything_is_answered_in_order() -> None:
    """Answers of every framing, with and without a body, the upstream's and our own; nothing of a body is a request."""
    async with in_front_of(serve, route=ROUTE) as (sidecar, upstream):
        wire = await sidecar.connect()
        for _ in range(2):
            await wire.send(mixed(sidecar))
            await check(wire)
        assert not any(b"smuggled" in request.target for request in upstream.requests)


async def test_wherever_the_pieces_end() -> None:
    """In segments of a few bytes."""
    async with in_front_of(serve, route=ROUTE) as (sidecar, _):
        wire = await sidecar.connect()
        sending = asyncio.create_task(wire.send_slowly(mixed(sidecar), size=3))
        await check(wire)
        await sending


async def test_an_upgrade_in_the_middle_takes_all_that_follows() -> None:
    """What stands behind it is the new protocol's, although it looks like a request."""
    async with in_front_of(serve, route=ROUTE) as (sidecar, upstream):
        wire = await sidecar.connect()
        behind = sidecar.ask_bytes("GET", "/api/behind")
        upgrade = sidecar.ask_bytes("GET", "/api/upgrade", "Connection: Upgrade", "Upgrade: echo")
        await wire.send(sidecar.ask_bytes("GET", "/api/slow") + upgrade + behind)
        assert (await wire.response()).body == b"GET /slow HTTP/1.1 "
        assert Message(await wire.head()).status == 101
        assert await wire.exactly(len(behind)) == behind
        assert [request.target for request in upstream.requests] == [b"/slow", b"/upgrade"]


async def test_an_answer_that_ends_the_connection_is_the_last() -> None:
    """What stands behind it is not sent upstream: nobody would get its answer (RFC 9112 9.6)."""
    async with in_front_of(serve, route=ROUTE) as (sidecar, upstream):
        wire = await sidecar.connect()
        await wire.send(
            sidecar.ask_bytes("GET", "/api/1")
            + sidecar.ask_bytes("GET", "/api/2", "Connection: close")
            + sidecar.ask_bytes("GET", "/api/3")
        )
        assert (await wire.response()).values("connection") == []
        assert (await wire.response()).values("connection") == [b"close"]
        assert await wire.rest() == b""
        assert [request.target for request in upstream.requests] == [b"/1", b"/2"]
