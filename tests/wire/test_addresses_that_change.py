"""Where a name's addresses change, or some of them are dead, requests find their way without a restart."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sidecar.dataplane import name, pool
from sidecar.dataplane.limits import Timeouts
from sidecar.dataplane.name import AddressInfo
from tests.fakes import Message, Wire, always, response, until
from tests.wire.blackhole import blackhole
from tests.wire.running import Running, route_to, sidecar

PORT = 0  # any: the resolver below gives the port with the address


class Resolver:
    """Resolves every name to what it is told."""

    def __init__(self) -> None:
        self.addresses: list[tuple[str, int]] = []
        # What the answers are from now on, in turn, where that is given.
        self.in_turn: list[list[tuple[str, int]]] = []
        self.failure: OSError | None = None
        self.hangs = False
        self.count = 0
        self.at_once = 0
        self.most_at_once = 0

    async def __call__(self, host: str, port: int) -> list[AddressInfo]:
        self.count += 1
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            await asyncio.sleep(3600 if self.hangs else 0.01)
        finally:
            self.at_once -= 1
        if self.failure is not None:
            raise self.failure
        if self.in_turn:
            self.addresses = self.in_turn[self.count % len(self.in_turn)]
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, number))
            for address, number in self.addresses
        ]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    """What resolves names, a hundred times as often as in earnest."""
    resolver = Resolver()
    monkeypatch.setattr(name, "_ask_the_system", resolver)
    monkeypatch.setattr(pool, "LOOK_UP_S", pool.LOOK_UP_S / 100)
    return resolver


@asynccontextmanager
async def server_at(address: str, body: bytes) -> AsyncIterator[tuple[str, int]]:
    """Serve this body at an address of this machine."""
    wires = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wires.append(wire := Wire(reader, writer))
        try:
            await always(response(body))(wire)
        except (ConnectionError, asyncio.IncompleteReadError):
            wire.close()

    server = await asyncio.start_server(serve, address, 0)
    try:
        yield server.sockets[0].getsockname()[:2]
    finally:
        server.close()
        for wire in wires:
            wire.writer.transport.abort()


@asynccontextmanager
async def to_a_name(**upstream: object) -> AsyncIterator[Running]:
    """Run a sidecar in front of an upstream that has a name."""
    async with sidecar(route_to(PORT, upstream={"url": "http://api.test", **upstream})) as running:
        yield running


async def test_an_old_connection_is_not_kept_for_ever(resolver: Resolver) -> None:
    """The name moves, the old address still answers: within 20 s requests go to the new one."""
    async with (
        server_at("127.0.0.1", b"old") as old,
        server_at("127.0.0.2", b"new") as new,
        to_a_name() as running,
    ):
        resolver.addresses = [old]
        assert (await running.ask()).body == b"old"
        (connection,) = running.upstream_connections()
        for _ in range(3):
            await asyncio.sleep(pool.LOOK_UP_S)
            assert (await running.ask()).body == b"old"
        assert running.upstream_connections() == [connection]
        resolver.addresses = [new]
        moved_at = time.monotonic()
        while (await running.ask()).body != b"new":
            assert time.monotonic() - moved_at < 3 * pool.LOOK_UP_S
            await asyncio.sleep(0.01)
        assert connection not in running.upstream_connections()


async def test_one_answer_without_an_address_does_not_end_its_connections(resolver: Resolver) -> None:
    """A name with many addresses may show a few at a time."""
    async with (
        server_at("127.0.0.1", b"one") as one,
        server_at("127.0.0.2", b"two") as two,
        to_a_name() as running,
    ):
        resolver.addresses = [one]
        assert (await running.ask()).body == b"one"
        (connection,) = running.upstream_connections()
        resolver.in_turn = [[two], [two, one]]
        count = resolver.count
        await until(lambda: resolver.count > count + 6, within_s=5)
        assert running.upstream_connections() == [connection]


async def test_a_request_on_an_old_connection_is_finished(resolver: Resolver) -> None:
    """Only then does the connection end."""
    may_answer = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer)
        await wire.request()
        await may_answer.wait()
        await wire.send(response(b"old"))
        assert await wire.ended() == b""
        wire.close()

    server = await asyncio.start_server(script, "127.0.0.1", 0)
    async with server_at("127.0.0.2", b"new") as new, to_a_name() as running:
        resolver.addresses = [server.sockets[0].getsockname()[:2]]
        asking = asyncio.create_task(running.ask())
        await until(running.upstream_connections)
        resolver.addresses = [new]
        await asyncio.sleep(4 * pool.LOOK_UP_S)
        assert (await running.ask()).body == b"new"
        may_answer.set()
        assert (await asking).body == b"old"
        assert running.pool().idle_count == 1  # the new one alone
        await until(lambda: len(running.upstream_connections()) == 1)
        server.close()


@pytest.mark.parametrize("trouble", ["fails", "hangs", "none"])
async def test_a_resolver_in_trouble_ends_nothing(resolver: Resolver, trouble: str) -> None:
    """The connections that there are go on; no request waits for a look-up."""
    async with server_at("127.0.0.1", b"fine") as address, to_a_name() as running:
        resolver.addresses = [address]
        assert (await running.ask()).body == b"fine"
        (connection,) = running.upstream_connections()
        if trouble == "fails":
            resolver.failure = socket.gaierror(socket.EAI_AGAIN, "try again")
        elif trouble == "hangs":
            resolver.hangs = True
        count = resolver.count
        for _ in range(5):
            await asyncio.sleep(pool.LOOK_UP_S)
            began_at = time.monotonic()
            assert (await running.ask()).body == b"fine"
            assert time.monotonic() - began_at < 0.1
        assert resolver.count > count
        assert running.upstream_connections() == [connection]


async def test_an_upstream_that_is_not_used_is_not_looked_up(resolver: Resolver) -> None:
    """Nor is one whose address is given, once it is connected to."""
    async with server_at("127.0.0.1", b"fine") as address, to_a_name() as running:
        await asyncio.sleep(3 * pool.LOOK_UP_S)
        assert resolver.count == 0
        resolver.addresses = [address]
        async with sidecar(route_to(address[1])) as by_address:
            assert (await by_address.ask()).status == 200
            await asyncio.sleep(3 * pool.LOOK_UP_S)
            assert resolver.count == 1
        assert not running.upstream_connections()


async def test_a_name_is_looked_up_for_each_new_connection(resolver: Resolver) -> None:
    """Nothing is remembered: the next connection goes where the name says then."""
    close = "Connection: close"
    async with server_at("127.0.0.1", b"one") as one, server_at("127.0.0.2", b"two") as two, to_a_name() as running:
        for address, body in ((one, b"one"), (two, b"two"), (one, b"one")):
            resolver.addresses = [address]
            running.pool().close()
            await until(lambda: not running.upstream_connections())
            assert (await running.ask("GET", "/", close)).body == body


async def test_a_dead_address_costs_a_quarter_of_a_second(resolver: Resolver) -> None:
    """An IPv6 address that swallows everything stands first (RFC 8305)."""
    with blackhole("::1") as dead:
        async with server_at("127.0.0.1", b"fine") as alive, to_a_name() as running:
            resolver.addresses = [dead.address, alive]
            began_at = time.monotonic()
            assert (await running.ask()).body == b"fine"
            assert time.monotonic() - began_at < 0.3 + 0.1  # what a busy machine adds


async def test_an_address_that_refuses_costs_nothing(resolver: Resolver) -> None:
    """The next one is tried at once."""
    with socket.create_server(("127.0.0.2", 0)) as sock:
        refuses = sock.getsockname()
    async with server_at("127.0.0.1", b"fine") as alive, to_a_name() as running:
        resolver.addresses = [refuses, alive]
        began_at = time.monotonic()
        assert (await running.ask()).body == b"fine"
        assert time.monotonic() - began_at < 0.15
        resolver.addresses = [refuses, refuses]
        running.pool().close()
        await until(lambda: not running.upstream_connections())
        assert (await running.ask()).proxy_error == b"connection_refused"


async def test_a_resolver_that_hangs_is_asked_once_at_a_time(resolver: Resolver) -> None:
    """By a crowd of requests; when it is well again, so are they."""
    resolver.hangs = True
    async with server_at("127.0.0.1", b"fine") as address, to_a_name(timeouts=Timeouts(connect_s=0.2)) as running:
        answers = await asyncio.gather(*(running.ask() for _ in range(50)))
        assert {(answer.status, answer.proxy_error) for answer in answers} == {(504, b"connection_timeout")}
        assert resolver.most_at_once == 1
        resolver.hangs, resolver.addresses = False, [address]
        assert {answer.body for answer in await asyncio.gather(*(running.ask() for _ in range(50)))} == {b"fine"}


async def test_one_that_leaves_does_not_take_the_look_up_from_the_others(resolver: Resolver) -> None:
    """The first of those who share it leaves; the second looks again."""
    async with server_at("127.0.0.1", b"fine") as address, to_a_name() as running:
        resolver.hangs, resolver.addresses = True, [address]
        first = await running.connect()
        await first.send(running.ask_bytes())
        await until(lambda: resolver.at_once)
        others: list[asyncio.Task[Message]] = [asyncio.create_task(running.ask()) for _ in range(5)]
        await asyncio.sleep(0.05)
        resolver.hangs = False
        first.reset()
        assert {answer.body for answer in await asyncio.gather(*others)} == {b"fine"}
        assert resolver.count == 2
