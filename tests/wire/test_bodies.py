"""Bodies pass both ways in the framing that they came in; where that cannot be, in one that says the same."""

from __future__ import annotations

import pytest

from tests.fakes import Message, Script, Wire, always, response
from tests.wire.running import Running, in_front_of

CHUNKED = "Transfer-Encoding: chunked"
CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
# Upper and lower case, leading zeros, extensions with and without a value, a quoted one, a chunk of one byte.
ODD_CHUNKS = b'5\r\nhello\r\n00A ;x=1;y="a b"\r\n, chunked \r\n1;x\r\nw\r\n04\t; q\r\norld\r\n000;last\r\n\r\n'
ODD_BODY = b"hello, chunked world"


async def echo(wire: Wire) -> None:
    """Answer each request with its own body."""
    while True:
        request = await wire.request()
        await wire.send(response(request.body))


def plays(data: bytes, *, slowly: bool = False) -> Script:
    """Answer one request with these bytes, and end the connection."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await (wire.send_slowly(data) if slowly else wire.send(data))

    return script


@pytest.mark.parametrize("size", [0, 1, 100, 65535, 65536, 300_000])
async def test_sized_bodies_pass_both_ways(size: int) -> None:
    """Whatever their size; an explicit length of 0 stays explicit."""
    body = bytes(range(256)) * (size // 256 + 1)
    async with in_front_of(echo) as (sidecar, upstream):
        wire = await sidecar.connect()
        for _ in range(2):
            await wire.send(sidecar.ask_bytes("POST", "/", f"Content-Length: {size}"), body[:size])
            answer = await wire.response()
            assert answer.body == body[:size]
            assert answer.value("content-length") == b"%d" % size
        assert upstream.requests[0].values("content-length") == [b"%d" % size]


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
async def test_chunked_requests_pass_in_whatever_pieces(size: int) -> None:
    """The body is the same; extensions end here; the next request is read from where the body ends."""
    async with in_front_of(echo) as (sidecar, upstream):
        wire = await sidecar.connect()
        ask = sidecar.ask_bytes("POST", "/", CHUNKED)
        await wire.send_slowly((ask + ODD_CHUNKS) * 2, size)
        for _ in range(2):
            assert (await wire.response()).body == ODD_BODY
        assert [request.values("transfer-encoding") for request in upstream.requests] == [[b"chunked"]] * 2
        assert len(upstream.connections) == 1


@pytest.mark.parametrize("slowly", [True, False])
async def test_chunked_responses_pass(slowly: bool) -> None:
    """And leave both connections usable."""

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            data = CHUNKED_HEAD + ODD_CHUNKS
            await (wire.send_slowly(data) if slowly else wire.send(data))

    async with in_front_of(script) as (sidecar, upstream):
        wire = await sidecar.connect()
        for _ in range(3):
            await wire.send(sidecar.ask_bytes())
            answer = await wire.response()
            assert (answer.body, answer.lines) == (ODD_BODY, [b"Transfer-Encoding: chunked"])
        assert len(upstream.connections) == 1


async def test_trailers_pass_both_ways() -> None:
    """But for those that would frame, route or authenticate the message."""
    trailers = b"X-Sum: abc\r\nX-Sum: def\r\nContent-Length: 9\r\nhost: evil\r\nAuthorization: mine\r\n\r\n"
    data = b"4\r\nbody\r\n0\r\n" + trailers

    async with in_front_of(plays(CHUNKED_HEAD + data, slowly=True)) as (sidecar, upstream):
        wire = await sidecar.connect()
        await wire.send_slowly(sidecar.ask_bytes("POST", "/", CHUNKED, "Trailer: X-Sum") + data)
        assert (await wire.response()).trailers == (b"X-Sum: abc", b"X-Sum: def")
        assert upstream.requests[0].trailers == (b"X-Sum: abc", b"X-Sum: def")


async def test_a_chunk_is_passed_on_as_soon_as_it_is_there() -> None:
    """Each way: nothing waits for the body to be whole."""

    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(CHUNKED_HEAD)
        while piece := await wire.chunk():
            await wire.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        await wire.send(b"0\r\n\r\n")

    async with in_front_of(script) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", "/", CHUNKED))
        assert Message(await wire.head()).status == 200
        for piece in (b"one", b"two", b"three"):
            await wire.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            assert await wire.chunk() == piece
        await wire.send(b"0\r\n\r\n")
        assert await wire.chunk() == b""


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\nX-No-Framing: 1\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\nX-Y: 1\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ("DELETE", "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n"),
    ],
)
async def test_responses_without_a_body_end_with_their_head(method: str, head: str) -> None:
    """Whatever their fields say; they pass unchanged, and both connections go on."""
    async with in_front_of(always(head.encode())) as (sidecar, upstream):
        wire = await sidecar.connect()
        for _ in range(3):
            await wire.send(sidecar.ask_bytes(method))
            assert await wire.head() == head.encode()
        assert len(upstream.connections) == 1


async def test_a_response_ended_by_its_connection_becomes_chunked() -> None:
    """The app's connection stays usable."""
    async with in_front_of(plays(b"HTTP/1.1 200 OK\r\nX-Y: 1\r\n\r\nuntil the end")) as (sidecar, upstream):
        wire = await sidecar.connect()
        for count in (1, 2):
            await wire.send(sidecar.ask_bytes())
            answer = await wire.response()
            assert (answer.body, answer.lines) == (b"until the end", [b"X-Y: 1", b"Transfer-Encoding: chunked"])
            assert len(upstream.connections) == count


@pytest.mark.parametrize("framed", [CHUNKED_HEAD + ODD_CHUNKS, b"HTTP/1.1 200 OK\r\n\r\n" + ODD_BODY])
async def test_an_http_10_app_gets_unframed_bytes(framed: bytes) -> None:
    """It knows no chunks: the end of the connection ends the body, even where it asked to keep it."""
    async with in_front_of(plays(framed)) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\nHost: " + sidecar.host + b"\r\n\r\n")
        answer = await wire.response()
        assert answer.lines == [b"Connection: close"]
        assert answer.body == ODD_BODY


async def test_a_body_on_a_get_passes() -> None:
    """Search engines' APIs take one."""
    async with in_front_of(echo) as (sidecar, upstream):
        assert (await sidecar.ask("GET", "/_search", body=b'{"q": 1}')).body == b'{"q": 1}'
        assert upstream.requests[0].method == b"GET"


async def refused_while_sending(sidecar: Running) -> Message:
    """Send a request as simple clients do, which read nothing until all is sent; return the answer."""
    wire = await sidecar.connect()
    wire.stop_reading()
    wire.writer.transport.set_write_buffer_limits(0)
    await wire.send(sidecar.ask_bytes("POST", "/", "Content-Length: 16000000"), b"x" * 1000, b"y" * 15_999_000)
    wire.read_again()
    answer = await wire.response()
    assert answer.value("connection") == b"close"
    assert await wire.rest() == b""
    return answer


async def test_an_answer_before_the_end_of_the_request_passes_at_once() -> None:
    """What is still sent is read and dropped, so that no reset destroys the answer."""

    async def early(wire: Wire) -> None:
        await wire.head()
        await wire.send(response(b"too large", status="413 Content Too Large"))
        await wire.ended()

    async with in_front_of(early) as (sidecar, upstream):
        answer = await refused_while_sending(sidecar)
        assert (answer.status, answer.body) == (413, b"too large")
        assert (await sidecar.ask("POST", "/", body=b"x")).status == 413
        assert len(upstream.connections) == 2


async def test_an_answer_of_our_own_reaches_an_app_that_is_still_sending() -> None:
    """No reset destroys it."""
    async with in_front_of(echo, route={"path": "/api"}) as (sidecar, upstream):
        assert (await refused_while_sending(sidecar)).status == 404
        assert upstream.connections == []


async def test_a_small_body_goes_with_its_head() -> None:
    """In one segment: an upstream that reads once has all of it."""

    async def script(wire: Wire) -> None:
        while data := await wire.reader.read(65536):
            assert data.endswith(b"\r\n\r\nsmall")
            await wire.send(response())

    async with in_front_of(script) as (sidecar, _):
        for _ in range(10):
            assert (await sidecar.ask("POST", "/", body=b"small")).status == 200
