"""What the app gets where the upstream's answer is not one clear response: a 502 or a cut, never part of another."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from sidecar.stats import CODE_CLASSES
from sidecar.tls import TLSRules
from tests.attack.answers_to_pass import CLEAR
from tests.attack.answers_to_refuse import NOT_CLEAR, TOO_MUCH, Extra
from tests.attack.bodies_to_refuse import CHUNKS
from tests.attack.sending import WAYS, send, send_in_two
from tests.fakes import Message, Wire, always, response, until, upstream
from tests.servers.certificates import Certificates
from tests.wire.running import Running, in_front_of, route_to, sidecar

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BODIES = [(case.source, case.raw.partition(b"\r\n\r\n")[2]) for case in CHUNKS]


class Playing:
    """An upstream that answers each request with what a test has set, and then waits for the connection's end."""

    def __init__(self, way: str = "whole") -> None:
        self.pieces: tuple[bytes, ...] = ()
        self.way = way
        self.ended = 0

    async def __call__(self, wire: Wire) -> None:
        while True:
            await wire.request()
            for piece in self.pieces:
                await send(wire, piece, self.way if len(piece) < 2000 else "whole")
                await asyncio.sleep(0)
            if not self.goes_on:
                break
        await wire.ended()
        self.ended += 1

    goes_on = False


async def asked(sidecar: Running, method: str = "GET") -> list[Message]:
    """Make a request on a connection of its own; return all answers, the final one last."""
    wire = await sidecar.connect()
    await wire.send(sidecar.ask_bytes(method))
    answers = [await wire.response(to=method)]
    while answers[-1].status < 200 and answers[-1].status != 101:
        answers.append(await wire.response(to=method))
    wire.close()
    return answers


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("about", NOT_CLEAR)
async def test_an_answer_that_is_not_clear(about: str, way: str) -> None:
    """502, and its connection ends: nothing of it reaches the app, whether it came whole or byte by byte."""
    playing = Playing(way)
    wrong = []
    most_interim = 32 if about == "sizes" else 0
    async with in_front_of(playing) as (sidecar, upstream):
        for count, case in enumerate(NOT_CLEAR[about], 1):
            playing.pieces = (case.raw,)
            *interim, answer = await asked(sidecar)
            if (answer.status, answer.proxy_error) != (502, b"http_protocol_error") or len(interim) > most_interim:
                wrong.append((case.source, answer.head))
            await until(lambda: not sidecar.upstream_connections())
            if len(upstream.connections) != count:
                wrong.append((case.source, b"asked for again, or on a connection that was used before"))
    assert wrong == []


@pytest.mark.parametrize("way", WAYS)
async def test_a_body_that_is_broken_from_the_start(way: str) -> None:
    """502 where it breaks in the read that brings the head, else a cut; never a clean end."""
    playing = Playing(way)
    wrong = []
    async with in_front_of(playing) as (sidecar, upstream):
        for source, content in BODIES:
            playing.pieces = (CHUNKED + content,)
            wire = await sidecar.connect()
            await wire.send(sidecar.ask_bytes("GET", "/", "Connection: close"))
            got = await wire.ended()
            in_one_read = way == "whole" and len(content) < 2000
            if not is_bad_gateway(got) and (in_one_read or not is_cut(got)):
                wrong.append((source, got))
            await until(lambda: not sidecar.upstream_connections())
        assert len(upstream.connections) == len(BODIES)
    assert wrong == []


def is_bad_gateway(got: bytes) -> bool:
    """Whether this is our own answer, and nothing else."""
    return got.startswith(b"HTTP/1.1 502 ") and b"error=http_protocol_error" in got and got.count(b"HTTP/1.1") == 1


def is_cut(got: bytes) -> bool:
    """Whether an app that read this knows that it is not a whole answer."""
    head, _, body = got.partition(b"\r\n\r\n")
    return head.startswith(b"HTTP/1.1 200 OK") and b"chunked" in head and not body.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_a_body_that_breaks_later(version: bytes) -> None:
    """A reset, also for an HTTP/1.0 app, to which an ordinary end would be the end of a body."""
    go_on = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(CHUNKED + b"5\r\nbegun\r\n")
        await go_on.wait()
        await wire.send(breaks)
        await wire.ended()

    wrong = []
    async with in_front_of(script) as (sidecar, _):
        for source, content in BODIES:
            breaks = content
            go_on.clear()
            wire = await sidecar.connect()
            await wire.send(b"GET / HTTP/%b\r\nHost: %b\r\n\r\n" % (version, sidecar.host))
            assert Message(await wire.head()).status == 200
            go_on.set()
            try:
                while data := await wire.reader.read(65536):
                    if data.endswith(b"0\r\n\r\n"):
                        wrong.append((source, data))
                wrong.append((source, b"a clean end"))
            except ConnectionResetError:
                pass
            await until(lambda: not sidecar.upstream_connections())
    assert wrong == []


@pytest.mark.parametrize("when", ["at once", "later"])
@pytest.mark.parametrize("case", TOO_MUCH, ids=lambda case: case.source)
async def test_an_answer_with_more_than_belongs_to_it(case: Extra, when: str) -> None:
    """The app gets what belongs; the rest is nobody's answer, and its connection is not used again."""
    count = 0
    later = asyncio.Event()

    async def script(wire: Wire) -> None:
        nonlocal count
        count += 1
        await wire.request()
        if count > 1:
            await wire.send(response(b"next"))
        elif when == "at once":
            await wire.send(case.answer + case.extra)
        else:
            await wire.send(case.answer)
            await later.wait()
            await wire.send(case.extra)
        await wire.ended()

    async with in_front_of(script) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes(case.method))
        answer = await wire.response(to=case.method)
        assert answer.head == case.answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        assert answer.body in (b"", b"hello")
        later.set()
        await until(lambda: not sidecar.upstream_connections())
        await wire.send(sidecar.ask_bytes())
        assert (await wire.response()).body == b"next"


async def test_a_status_that_nobody_knows_is_counted() -> None:
    """Past 599 as a server's error (RFC 9110 15), rather than as something that the counters have no place for."""
    async with in_front_of(always(response(status="600 x"), response(status="999 x"))) as (sidecar, _):
        wire = await sidecar.connect()
        for status in (600, 999):
            await wire.send(sidecar.ask_bytes("FOO"))
            assert (await wire.response()).status == status
        stats = sidecar.app.stats.route("crm")
        stats.count()
        assert stats.requests[b"_OTHER"][CODE_CLASSES.index("5xx")] == 2


@pytest.mark.parametrize("way", WAYS)
async def test_an_answer_that_is_odd_but_clear(way: str) -> None:
    """Exactly this reaches the app, and the upstream's connection is used again where it may be."""
    playing = Playing(way)
    playing.goes_on = True
    wrong = []
    async with in_front_of(playing) as (sidecar, upstream):
        made = 0
        for case in CLEAR:
            playing.pieces = (case.raw,)
            answers = await asked(sidecar, case.method)
            if answers != list(case.answers):
                wrong.append((case.source, answers))
            if not case.stays:
                made += 1
                await until(lambda: not sidecar.upstream_connections())
        assert wrong == []
        assert len(upstream.connections) == made + 1


IN_PIECES = [
    b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 103 x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n05;x=y\r\nhello\r\n0\r\nX: y\r\n\r\n",
]


@pytest.mark.parametrize("raw", IN_PIECES, ids=("sized", "chunked"))
async def test_an_answer_in_two_pieces(raw: bytes) -> None:
    """Wherever it is cut, the app gets the same, and the upstream's connection stays."""
    cut = len(raw)

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await send_in_two(wire, raw, cut)

    async with in_front_of(script) as (sidecar, upstream):
        whole = await asked(sidecar)
        for cut in range(1, len(raw)):
            assert await asked(sidecar) == whole, f"cut at {cut}: {raw[:cut]!r}"
        assert len(upstream.connections) == 1


@pytest.mark.parametrize("how", ["ended", "cut"])
async def test_the_end_of_a_tls_connection_as_the_end_of_a_body(certificates: Certificates, how: str) -> None:
    """RFC 9112 9.8: an end that TLS has not announced may be an attacker's, so it ends no body; the app sees a cut."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\n\r\nall there is")
        await asyncio.sleep(0.02)
        if how == "cut":
            wire.writer.transport.abort()

    async with upstream(script, tls=server_context(certificates)) as server:
        to = {"url": f"https://127.0.0.1:{server.port}", "tls": TLSRules(ca_file=str(certificates.ca_file))}
        async with sidecar(route_to(0, upstream=to)) as running:
            wire = await running.connect()
            await wire.send(running.ask_bytes())
            await wire.head()
            if how == "ended":
                assert (await wire.chunk(), await wire.chunk()) == (b"all there is", b"")
            else:
                assert not (await wire.ended()).endswith(b"0\r\n\r\n")


def server_context(certificates: Certificates) -> ssl.SSLContext:
    """The test certificates as a server shows them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server_cert_file, certificates.server_key_file)
    return context
