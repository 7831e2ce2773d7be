"""After a 101 the two connections are one pipe: a WebSocket, or whatever the two sides agreed on."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from sidecar.dataplane.limits import Timeouts
from tests.fakes import Message, Script, Wire, response
from tests.wire.running import STATIC_LINE, Running, in_front_of

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


async def test_silence_is_no_reason_to_end_it() -> None:
    """Neither time-out applies: which side speaks, and when, is the protocol's affair."""
    timeouts = {"timeouts": Timeouts(head_s=0.2, idle_s=0.2)}
    limits = {"body_idle_timeout_s": 0.2, "idle_timeout_s": 0.2, "head_timeout_s": 0.2}
    async with in_front_of(after_switch(echo), route={"upstream": timeouts}, limits=limits) as (sidecar, _):
        wire = await switched(sidecar)
        for _ in range(2):
            await wire.send(b"x")
            assert await wire.exactly(1) == b"x"
            await asyncio.sleep(0.9)  # past all of them, and past the sweep that would notice


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
