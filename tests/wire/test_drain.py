"""A stop lets what runs finish, takes nothing new, and cuts visibly what takes too long."""

from __future__ import annotations

import asyncio
import select
import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from sidecar import assembly
from sidecar.config.values import Address, Config, DrainConfig
from sidecar.dataplane.listener import JUST_CONNECTED_S
from sidecar.errors import NothingToReload
from tests.fakes import Wire, always, response, until, upstream
from tests.wire.running import LOCAL, config, in_front_of, route_to, sidecar

CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Held:
    """A script that answers when it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()

    async def __call__(self, wire: Wire) -> None:
        while True:
            request = await wire.request()
            self.asked += 1
            await self.may_answer.wait()
            await wire.send(response(request.body))


async def test_requests_under_way_finish_and_say_that_the_connection_ends() -> None:
    """Also one whose body is still coming; nothing new is accepted meanwhile."""
    script = Held()
    async with in_front_of(script, drain=DrainConfig(most_s=5)) as (running, _):
        port_was = running.port
        wires = [await running.connect() for _ in range(5)]
        for wire in wires:
            await wire.send(running.ask_bytes("POST", "/", "Content-Length: 4"), b"bo")
        await until(lambda: len(running.upstream_connections()) == 5)
        stopping = asyncio.create_task(running.app.stop())
        await until(lambda: running.app.draining)
        await asyncio.sleep(0)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port_was)
        for wire in wires:
            await wire.send(b"dy")
        await until(lambda: script.asked == 5)
        assert not stopping.done()
        script.may_answer.set()
        for wire in wires:
            answer = await wire.response()
            assert (answer.status, answer.body, answer.value("connection")) == (200, b"body", b"close")
            assert await wire.rest() == b""
            wire.close()
        async with asyncio.timeout(1):
            await stopping


async def test_idle_connections_end_at_once() -> None:
    """Those that have sent something and those that have not; the stop takes no time."""
    async with in_front_of(always(response()), drain=DrainConfig(most_s=5)) as (running, _):
        used, fresh = await running.connect(), await running.connect()
        await used.send(running.ask_bytes())
        assert (await used.response()).status == 200
        async with asyncio.timeout(1):
            await running.app.stop()
        assert await used.rest() == b""
        assert await fresh.rest() == b""


async def test_a_request_in_the_kernel_is_answered() -> None:
    """One that was sent on an idle connection, and one on a connection that nobody has accepted yet."""
    async with in_front_of(always(response()), drain=DrainConfig(most_s=5)) as (running, _):
        to, ask = ("127.0.0.1", running.port), running.ask_bytes()
        with socket.create_connection(to) as used:
            used.sendall(ask)
            await until(lambda: select.select([used], [], [], 0)[0])
            assert b"Connection: close" not in used.recv(65536)
            # Without a turn of the loop in between: all of it is in the kernel when the drain begins.
            used.sendall(ask)
            async with asyncio.timeout(2):
                await running.app.stop()
            assert_answered(used)
    async with in_front_of(always(response()), drain=DrainConfig(most_s=5)) as (running, _):
        with socket.create_connection(("127.0.0.1", running.port)) as queued:
            queued.sendall(running.ask_bytes())
            async with asyncio.timeout(2):
                await running.app.stop()
            assert_answered(queued)


def assert_answered(sock: socket.socket) -> None:
    """Assert that an answer has come which says that the connection ends, and its end."""
    sock.settimeout(1)
    answer = sock.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n") and b"Connection: close" in answer
    assert sock.recv(65536) == b""


async def test_who_has_just_connected_may_still_ask() -> None:
    """A moment later, once; the drain does not wait for it any longer than that."""
    async with in_front_of(always(response()), drain=DrainConfig(most_s=5)) as (running, _):
        ask = running.ask_bytes()
        with socket.create_connection(("127.0.0.1", running.port)):
            wires = [await running.connect() for _ in range(2)]
            stopping = asyncio.create_task(running.app.stop())
            await until(lambda: running.app.draining)
            await asyncio.sleep(JUST_CONNECTED_S / 5)
            await wires[0].send(ask)
            answer = await wires[0].response()
            assert (answer.status, answer.value("connection")) == (200, b"close")
            async with asyncio.timeout(JUST_CONNECTED_S + 2):
                assert await wires[1].rest() == b""
                wires[0].close()
                await stopping


async def test_a_request_whose_head_is_still_coming_is_answered() -> None:
    """What has begun is not thrown away."""
    async with in_front_of(always(response()), drain=DrainConfig(most_s=5)) as (running, _):
        wire = await running.connect()
        ask = running.ask_bytes()
        await wire.send(ask[:20])
        await until(lambda: running.app_connections())
        await asyncio.sleep(0.02)
        stopping = asyncio.create_task(running.app.stop())
        await until(lambda: running.app.draining)
        await wire.send(ask[20:])
        answer = await wire.response()
        assert (answer.status, answer.value("connection")) == (200, b"close")
        wire.close()
        await stopping


async def test_pipelined_requests_are_answered_before_the_end() -> None:
    """As many as had come, or at least with a close that says that the rest was not done."""
    script = Held()
    async with in_front_of(script, drain=DrainConfig(most_s=5)) as (running, upstream):
        wire = await running.connect()
        await wire.send(running.ask_bytes("POST", "/", body=b"1") + running.ask_bytes("POST", "/", body=b"2"))
        await until(lambda: script.asked == 1)
        stopping = asyncio.create_task(running.app.stop())
        await until(lambda: running.app.draining)
        script.may_answer.set()
        answer = await wire.response()
        assert (answer.body, answer.value("connection")) == (b"1", b"close")
        assert await wire.rest() == b""
        assert len(upstream.requests) == 1
        wire.close()
        await stopping


async def test_a_stream_past_the_time_is_cut_and_not_ended() -> None:
    """The app can tell that it is not whole."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(CHUNKED_HEAD)
        while True:
            await wire.send(b"4\r\nmore\r\n")
            await asyncio.sleep(0.01)

    for version in (b"1.0", b"1.1"):
        async with in_front_of(script, drain=DrainConfig(most_s=0.2)) as (running, _):
            wire = await running.connect()
            await wire.send(b"GET / HTTP/%b\r\nHost: %b\r\n\r\n" % (version, running.host))
            await wire.head()
            stopping = asyncio.create_task(running.app.stop())
            with pytest.raises(ConnectionResetError):
                await wire.rest()
            async with asyncio.timeout(1):
                await stopping


async def test_a_lame_duck_still_serves() -> None:
    """Not ready any more, but accepting, until its time is over."""
    async with in_front_of(always(response()), drain=DrainConfig(lame_duck_s=0.3, most_s=1)) as (running, _):
        port_was = running.port
        stopping = asyncio.create_task(running.app.stop())
        await until(lambda: running.app.draining)
        for _ in range(3):
            assert (await running.ask()).status == 200
        await stopping
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port_was)


async def test_nothing_stays_behind() -> None:
    """No connection, on either side."""
    ended: list[bytes] = []

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(response())
        ended.append(await wire.ended())

    async with in_front_of(script, drain=DrainConfig(most_s=1)) as (running, _):
        assert (await running.ask()).status == 200
        await running.app.stop()
        await until(lambda: ended and not running.connections())


async def test_a_reload_that_is_under_way_opens_nothing_any_more(tmp_path: Path) -> None:
    """Its file takes long to read; the stop does not wait for that, and what it brings comes too late."""
    go_on = threading.Event()
    path = tmp_path / "late.sock"

    async with upstream(always(response())) as server:
        route = route_to(server.port)

        def slowly() -> Config:
            go_on.wait(5)
            return config(route, listen=(LOCAL, Address(path=str(path))))

        async with sidecar(route, load=slowly) as running:
            reloading = asyncio.create_task(running.app.reload())
            await asyncio.sleep(0.02)
            async with asyncio.timeout(2):
                await running.app.stop()
            assert not reloading.done()
            go_on.set()
            with pytest.raises(NothingToReload):
                await reloading
            assert not path.exists()


async def test_clients_that_connect_without_pause_do_not_keep_it_from_ending() -> None:
    """For each that is let in from the kernel's queue another one comes, as soon as the loop turns."""
    async with in_front_of(always(response()), drain=DrainConfig(most_s=0.2)) as (running, _):
        to, loop = ("127.0.0.1", running.port), asyncio.get_running_loop()
        came: list[socket.socket] = []
        coming = True

        def another() -> None:
            with suppress(OSError):
                came.append(socket.create_connection(to, 1))
                if coming and len(came) < 500:
                    loop.call_soon(another)

        another()
        stopping = asyncio.create_task(running.app.stop())
        try:
            async with asyncio.timeout(3):
                await stopping
            assert len(came) < 500
        finally:
            coming = False
            for sock in came:
                sock.close()


async def test_a_reload_that_is_being_put_together_opens_nothing_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is read, and what callers must send is still being fetched when the stop begins."""
    go_on, fetching = asyncio.Event(), asyncio.Event()
    path = tmp_path / "late.sock"

    async def slowly(*_: object) -> None:
        fetching.set()
        await go_on.wait()

    async with upstream(always(response())) as server:
        route = route_to(server.port)
        late = config(route, listen=(LOCAL, Address(path=str(path))))
        async with sidecar(route, load=lambda: late) as running:
            monkeypatch.setattr(assembly, "gate_token", slowly)
            before = running.app._parts
            reloading = asyncio.create_task(running.app.reload())
            await fetching.wait()
            async with asyncio.timeout(2):
                await running.app.stop()
            go_on.set()
            done = (await asyncio.gather(reloading, return_exceptions=True))[0]
            opened = list(running.app.listeners)
            running.app.abort()
            assert isinstance(done, NothingToReload) and not opened
            assert running.app._parts is before and not path.exists()
