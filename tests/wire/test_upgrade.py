"""After a 101 the two connections are one pipe: a WebSocket, or whatever the two sides agreed on."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from sidecar.config.values import DrainConfig
from tests.fakes import PATIENCE_S, Message, Script, Tokens, Wire, always, response, until
from tests.wire.running import STATIC_LINE, Running, in_front_of, with_tokens
from tests.wire.test_large_bodies import MOST_HELD_BYTES, held_bytes, until_still

ASK = ("Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 13")
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: y\r\n\r\n"
)


def after_switch(then: Script, early: bytes = b"") -> Script:
    """Switch protocols and go on."""

    async def script(wire: Wire) -> None:
        request = Message(await wire.head())
        assert request.value("upgrade") == b"websocket"
        await wire.send(SWITCH + early)
        await then(wire)

    return script


async def echo(wire: Wire) -> None:
    """Send everything back, up to the end."""
    while data := await wire.reader.read(65536):
        await wire.send(data)


async def switched(sidecar: Running, early: bytes = b"") -> Wire:
    """Upgrade a connection; `early` comes right behind the request."""
    wire = await sidecar.connect()
    await wire.send(sidecar.ask_bytes("GET", "/socket", *ASK) + early)
    answer = Message(await wire.head())
    assert answer.start == b"HTTP/1.1 101 Switching Protocols"
    assert (answer.value("upgrade"), answer.value("connection")) == (b"websocket", b"Upgrade")
    assert answer.value("sec-websocket-accept") == b"y"
    return wire


async def test_bytes_pass_both_ways() -> None:
    """Unchanged, those right behind the two heads first."""
    async with in_front_of(after_switch(echo, b"first")) as (sidecar, upstream):
        wire = await switched(sidecar, b"early")
        assert await wire.exactly(10) == b"firstearly"
        for data in (b"\x00\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"0\r\n\r\n"):
            await wire.send(data)
            assert await wire.exactly(len(data)) == data
        assert len(upstream.connections) == 1


async def test_the_upgrade_goes_upstream_with_the_token() -> None:
    """Its two fields as the upstream expects them, and the app's other ones."""
    seen: list[Message] = []

    async def script(wire: Wire) -> None:
        seen.append(Message(await wire.head()))
        await wire.send(SWITCH)

    async with in_front_of(script) as (sidecar, upstream):
        await switched(sidecar)
        assert sorted(seen[0].lines) == sorted(
            [
                b"Host: 127.0.0.1:%d" % upstream.port,
                b"Sec-WebSocket-Key: x",
                b"Sec-WebSocket-Version: 13",
                b"Connection: Upgrade",
                b"Upgrade: websocket",
                STATIC_LINE,
            ]
        )


async def test_much_passes_both_ways_at_once() -> None:
    """4 MiB, with the backpressure that an echo needs."""
    async with in_front_of(after_switch(echo)) as (sidecar, _):
        wire = await switched(sidecar)
        data = bytes(range(256)) * 16384
        sending = asyncio.create_task(wire.send(*(data[at : at + 65536] for at in range(0, len(data), 65536))))
        assert hashlib.sha256(await wire.exactly(len(data))).digest() == hashlib.sha256(data).digest()
        await sending


async def test_an_app_that_ends_its_side_gets_the_rest() -> None:
    """The upstream sees the end, and what it still says arrives."""

    async def script(wire: Wire) -> None:
        assert await wire.rest() == b"all of it"
        await wire.send(b"thanks")

    async with in_front_of(after_switch(script)) as (sidecar, _):
        wire = await switched(sidecar)
        await wire.send(b"all of it")
        wire.half_close()
        assert await wire.rest() == b"thanks"


async def test_an_upstream_that_ends_its_side_ends_the_apps() -> None:
    """Cleanly, after its last bytes."""

    async def script(wire: Wire) -> None:
        await wire.send(b"bye")

    async with in_front_of(after_switch(script)) as (sidecar, _):
        wire = await switched(sidecar)
        assert await wire.rest() == b"bye"


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_an_app_that_leaves_ends_the_upstreams_side(how: str) -> None:
    """Within a second, whichever way it left."""
    left: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def script(wire: Wire) -> None:
        left.set_result(await wire.ended())

    async with in_front_of(after_switch(script)) as (sidecar, _):
        wire = await switched(sidecar)
        getattr(wire, how)()
        async with asyncio.timeout(1):
            assert await left == b""
        await sidecar.nothing_left()


async def test_an_upstream_that_is_cut_off_cuts_the_app_off() -> None:
    """Not a clean end."""

    async def script(wire: Wire) -> None:
        wire.reset()

    async with in_front_of(after_switch(script)) as (sidecar, _):
        wire = await switched(sidecar)
        with pytest.raises(ConnectionError):
            await wire.rest()


async def test_a_refused_upgrade_is_an_ordinary_answer() -> None:
    """The connection goes on as HTTP."""

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await wire.send(response(b"no", status="400 Bad Request"))

    async with in_front_of(script) as (sidecar, _):
        wire = await sidecar.connect()
        for _ in range(2):
            await wire.send(sidecar.ask_bytes("GET", "/", *ASK))
            assert (await wire.response()).status == 400


async def test_an_upstream_that_switches_unasked_is_not_http() -> None:
    """Its bytes would otherwise be taken for answers."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(SWITCH)
        await wire.ended()

    async with in_front_of(script) as (sidecar, _):
        answer = await sidecar.ask()
        assert (answer.status, answer.proxy_error) == (502, b"http_protocol_error")


async def test_an_upstream_that_ends_its_side_gets_the_rest() -> None:
    """The app sees the end, and what it still says arrives; then both connections are gone."""
    got: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def script(wire: Wire) -> None:
        await wire.send(b"all of it")
        wire.half_close()
        got.set_result(await wire.rest())

    async with in_front_of(after_switch(script)) as (sidecar, _):
        wire = await switched(sidecar)
        assert await wire.rest() == b"all of it"
        for piece in (b"thank", b" you"):
            await wire.send(piece)
            await asyncio.sleep(0.05)
        wire.half_close()
        async with asyncio.timeout(1):
            assert await got == b"thank you"
        await sidecar.nothing_left()
        await until(lambda: not sidecar.upstream_connections())


async def test_the_end_of_much_is_passed_on_behind_it() -> None:
    """An end that comes while bytes still wait to be written does not outrun them, either way."""
    data = bytes(range(256)) * 8192
    got: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def script(wire: Wire) -> None:
        wire.stop_reading()
        await wire.send(data)
        wire.half_close()
        await asyncio.sleep(0.1)
        wire.read_again()
        got.set_result(await wire.rest())

    async with in_front_of(after_switch(script)) as (sidecar, _):
        wire = await switched(sidecar)
        sending = asyncio.create_task(wire.send(data))
        assert await wire.rest() == data
        await sending
        wire.half_close()
        assert await got == data


async def test_an_app_that_has_ended_its_side_before_the_switch_is_served() -> None:
    """Its bytes and its end come right behind the request."""

    async def script(wire: Wire) -> None:
        await wire.send(await wire.rest())

    async def late(wire: Wire) -> None:
        await wire.head()
        await asyncio.sleep(0.1)
        await wire.send(SWITCH)
        await script(wire)

    async with in_front_of(late) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("GET", "/socket", *ASK) + b"early")
        wire.half_close()
        assert Message(await wire.head()).status == 101
        assert await wire.rest() == b"early"


async def test_an_app_that_is_cut_off_cuts_the_upstream_off() -> None:
    """A reset on one side is a reset on the other: no clean end for what is not whole."""
    cut: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def script(wire: Wire) -> None:
        try:
            await wire.rest()
            cut.set_result("ended")
        except ConnectionResetError:
            cut.set_result("cut")

    async with in_front_of(after_switch(script)) as (sidecar, _):
        wire = await switched(sidecar)
        await wire.send(b"some")
        wire.reset()
        assert await cut == "cut"


@pytest.mark.parametrize("reader", ["app", "upstream"])
async def test_a_side_that_does_not_read_stops_the_other(reader: str) -> None:
    """Backpressure each way: 16 MiB are sent, little of them is held, and all arrive when it reads again."""
    data = bytes(range(256)) * 65536
    theirs: asyncio.Future[Wire] = asyncio.get_running_loop().create_future()

    async def script(wire: Wire) -> None:
        wire.stop_reading()
        theirs.set_result(wire)
        await asyncio.sleep(PATIENCE_S)

    async with in_front_of(after_switch(script)) as (sidecar, _):
        ours = await switched(sidecar)
        ours.stop_reading()
        upstream = await theirs
        sends, reads = (upstream, ours) if reader == "app" else (ours, upstream)
        sends.writer.write(data)
        await until_still(sidecar, sends)
        assert sends.writer.transport.get_write_buffer_size() > len(data) // 16  # the kernel hides the rest
        assert held_bytes(sidecar) <= MOST_HELD_BYTES
        reads.read_again()
        assert hashlib.sha256(await reads.exactly(len(data))).digest() == hashlib.sha256(data).digest()


async def test_a_rejected_upgrade_is_sent_again_with_another_token() -> None:
    """A 401 first, one exchange, and then the switch; what the app sent early arrives once."""

    async def script(wire: Wire) -> None:
        while True:
            request = await wire.request()
            assert request.value("upgrade") == b"websocket"
            if request.value("authorization") == b"Bearer token-2":
                await wire.send(SWITCH)
                await echo(wire)
                return
            await wire.send(response(status="401 Unauthorized"))

    tokens = Tokens()
    async with with_tokens(script, tokens) as (sidecar, _):
        wire = await switched(sidecar, b"early")
        assert await wire.exactly(5) == b"early"
        await wire.send(b"late")
        assert await wire.exactly(4) == b"late"
        assert tokens.count == 2


@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        ("websocket", "other"),
        ("websocket", "h2c"),
        ("websocket, h2c", "h2c"),
        ("foo/1, bar/2", "bar/3"),
        ("foo/1", "foo/1, bar/2"),
    ],
)
async def test_a_protocol_that_was_not_offered_is_refused(asked: str, taken: str) -> None:
    """RFC 9110 7.8; and never HTTP/2, whose requests would pass by the route's rules."""
    switch = f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {taken}\r\n\r\n".encode()

    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(switch)
        await wire.ended()

    async with in_front_of(script) as (sidecar, _):
        answer = await sidecar.ask("GET", "/", "Connection: Upgrade", f"Upgrade: {asked}")
        assert (answer.status, answer.proxy_error) == (502, b"http_protocol_error")


@pytest.mark.parametrize(("asked", "taken"), [("WebSocket", "websocket"), ("foo/1, bar/2", "bar/2")])
async def test_any_protocol_that_was_offered_is_taken(asked: str, taken: str) -> None:
    """Whatever its name, which has no case."""
    switch = f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {taken}\r\n\r\n".encode()

    async def script(wire: Wire) -> None:
        await wire.head()
        await wire.send(switch)
        await echo(wire)

    async with in_front_of(script) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("GET", "/", "Connection: Upgrade", f"Upgrade: {asked}"))
        assert Message(await wire.head()).value("upgrade") == taken.encode()
        await wire.send(b"x")
        assert await wire.exactly(1) == b"x"


async def test_http_10_does_not_upgrade() -> None:
    """An offer in it is to be ignored (RFC 9110 7.8)."""
    async with in_front_of(always(response())) as (sidecar, upstream):
        wire = await sidecar.connect()
        lines = "".join(f"{line}\r\n" for line in ASK)
        await wire.send(f"GET / HTTP/1.0\r\nHost: {sidecar.host.decode()}\r\n{lines}\r\n".encode())
        assert (await wire.response()).status == 200
        assert upstream.requests[0].values("upgrade") == upstream.requests[0].values("connection") == []


@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "403 Forbidden", "426 Upgrade Required"])
async def test_requests_behind_a_refused_upgrade_are_answered(status: str) -> None:
    """The refusal passes as it is, and the connection goes on."""

    async def script(wire: Wire) -> None:
        while True:
            request = await wire.request()
            await wire.send(response(request.target, status=status if request.target == b"/up" else "200 OK"))

    async with in_front_of(script) as (sidecar, upstream):
        wire = await sidecar.connect()
        await wire.send(
            sidecar.ask_bytes("GET", "/before")
            + sidecar.ask_bytes("GET", "/up", *ASK)
            + sidecar.ask_bytes("POST", "/behind", body=b"x")
        )
        answers = [await wire.response() for _ in range(3)]
        assert [answer.body for answer in answers] == [b"/before", b"/up", b"/behind"]
        assert answers[1].start == b"HTTP/1.1 " + status.encode()
        assert len(upstream.connections) == 1


async def test_a_stop_waits_for_a_tunnel_and_then_cuts_both_its_sides() -> None:
    """As it does for a request: what is not done in time is cut visibly."""
    cut: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def script(wire: Wire) -> None:
        try:
            while data := await wire.reader.read(100):
                await wire.send(data)
            cut.set_result("ended")
        except ConnectionResetError:
            cut.set_result("cut")

    async with in_front_of(after_switch(script), drain=DrainConfig(most_s=0.4)) as (sidecar, _):
        wire = await switched(sidecar)
        stopping = asyncio.create_task(sidecar.app.stop())
        await until(lambda: sidecar.app.draining)
        for _ in range(2):
            await wire.send(b"still")
            assert await wire.exactly(5) == b"still"
            await asyncio.sleep(0.1)
        with pytest.raises(ConnectionResetError):
            await wire.rest()
        async with asyncio.timeout(1):
            await stopping
            assert await cut == "cut"


async def test_an_upstream_that_dies_after_its_own_end_cuts_the_app_off() -> None:
    """It has ended what it sends, and cannot take what the app still says: that shows at once, not after a time-out."""
    ended = asyncio.Event()

    async def script(wire: Wire) -> None:
        wire.half_close()
        await ended.wait()
        wire.reset()

    async with in_front_of(after_switch(script)) as (sidecar, _):
        wire = await switched(sidecar)
        assert await wire.rest() == b""
        ended.set()
        await asyncio.sleep(0.05)
        await wire.send(b"still")
        await until(lambda: not sidecar.app_connections(), within_s=1)
        await sidecar.nothing_left()
