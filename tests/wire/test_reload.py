"""A reload takes a new configuration while requests run: none is lost, and what has not changed stays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from sidecar.config.values import Address, Config, GateConfig
from sidecar.credentials.rules import Injection
from sidecar.dataplane.limits import Timeouts
from sidecar.errors import ConfigError, Mistake
from tests.fakes import Tokens, Wire, always, response, silent, until, upstream
from tests.wire.running import LOCAL, STATIC, config, exchanging, route_to, sidecar


class Loads:
    """Returns whatever configuration a test sets."""

    def __init__(self, loaded: Config) -> None:
        self.loaded: Config | Callable[[], Config] = loaded

    def __call__(self) -> Config:
        if isinstance(self.loaded, Config):
            return self.loaded
        return self.loaded()


async def test_requests_under_load_lose_nothing() -> None:
    """While routes, upstreams and credentials change, every request is answered by the old or the new one."""

    async def slow(wire: Wire) -> None:
        while True:
            request = await wire.request()
            await asyncio.sleep(0.003)
            await wire.send(response(request.value("authorization") or b""))

    async with upstream(slow) as one, upstream(slow) as two:
        new_key = replace(STATIC, inject=Injection(value="Token {token}"))
        configs = [config(route_to(one.port)), config(route_to(two.port), credential=new_key)]
        loads = Loads(configs[0])
        async with sidecar(route_to(one.port), load=loads) as running:
            reloading = True

            async def asks() -> set[bytes]:
                wire = await running.connect()
                seen = set()
                while reloading:
                    await wire.send(running.ask_bytes("POST", "/", body=b"x" * 1000))
                    answer = await wire.response()
                    assert answer.status == 200
                    seen.add(answer.body)
                return seen

            asking = [asyncio.create_task(asks()) for _ in range(10)]
            for number in range(20):
                loads.loaded = configs[number % 2]
                await running.app.reload()
                await asyncio.sleep(0.01)
            reloading = False
            for seen in await asyncio.gather(*asking):
                assert seen == {b"Bearer the-key", b"Token the-key"}


async def test_what_has_not_changed_stays() -> None:
    """The token and the upstream's connections; nothing is exchanged again."""
    tokens = Tokens()
    async with upstream(tokens) as endpoint, upstream(always(response())) as server:
        credential = exchanging(endpoint.port)
        loads = Loads(config(route_to(server.port), route_to(1, "/new", name="new"), credential=credential))
        async with sidecar(route_to(server.port), credential=credential, load=loads) as running:
            assert (await running.ask()).status == 200
            await running.app.reload()
            assert (await running.ask()).status == 200
            assert (await running.ask(target="/new")).status == 502
            assert (len(server.connections), tokens.count) == (1, 1)


async def test_a_stream_outlives_its_route() -> None:
    """It goes on with what it began with; the next request on its connection takes the new route."""
    go_on = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await go_on.wait()
        await wire.send(b"3\r\ntwo\r\n0\r\n\r\n")
        await wire.ended()

    async with upstream(script) as old, upstream(always(response(b"new"))) as new:
        loads = Loads(config(route_to(new.port)))
        async with sidecar(route_to(old.port), load=loads) as running:
            wire = await running.connect()
            await wire.send(running.ask_bytes())
            await wire.head()
            assert await wire.chunk() == b"one"
            await running.app.reload()
            assert (await running.ask()).body == b"new"
            go_on.set()
            assert await wire.chunk() == b"two"
            assert await wire.exactly(5) == b"0\r\n\r\n"
            await wire.send(running.ask_bytes())
            assert (await wire.response()).body == b"new"


async def test_time_outs_hold_for_upstreams_that_were_let_go() -> None:
    """A request that an old upstream never answers does not wait for ever; nor does one to a new upstream."""
    to = {"timeouts": Timeouts(head_s=0.3)}
    async with upstream(silent) as old, upstream(silent) as new:
        loads = Loads(config(route_to(new.port, upstream=to)))
        async with sidecar(route_to(old.port, upstream=to), load=loads) as running:
            asked = asyncio.create_task(running.ask())
            await until(lambda: old.connections)
            await running.app.reload()
            async with asyncio.timeout(2):
                assert [(await running.ask()).status, (await asked).status] == [504, 504]
        assert len(old.connections) == len(new.connections) == 1


async def test_fields_to_drop_hold_for_connections_that_are_open() -> None:
    """Also for one that has sent the same head before."""
    api_key = replace(STATIC, inject=Injection("X-Api-Key", "{token}"))
    async with upstream(always(response())) as server:
        loads = Loads(config(route_to(server.port), credential=api_key))
        async with sidecar(route_to(server.port), load=loads) as running:
            wire = await running.connect()
            for _ in range(2):
                await wire.send(running.ask_bytes("GET", "/", "X-Api-Key: mine"))
                assert (await wire.response()).status == 200
                await running.app.reload()
            assert [request.values("x-api-key") for request in server.requests] == [[b"mine"], [b"the-key"]]


async def test_a_gate_that_closes_closes_for_open_connections_too() -> None:
    """From their next request on."""
    async with upstream(always(response())) as server:
        loads = Loads(config(route_to(server.port)))
        async with sidecar(route_to(server.port), load=loads, gate=GateConfig(origins=("https://a.com",))) as running:
            wire = await running.connect()
            ask = running.ask_bytes("GET", "/", "Origin: https://a.com")
            await wire.send(ask)
            assert (await wire.response()).status == 200
            await running.app.reload()
            await wire.send(ask)
            assert (await wire.response()).status == 403


async def test_a_wrong_configuration_changes_nothing() -> None:
    """The old one serves on; the next right one is taken."""

    def wrong() -> Config:
        raise ConfigError([Mistake("x.yaml", 1, 2, "listen", "expected an address")])

    async with upstream(always(response())) as server:
        loads = Loads(config(route_to(server.port)))
        loads.loaded = wrong
        async with sidecar(route_to(server.port), load=loads) as running:
            with pytest.raises(ConfigError):
                await running.app.reload()
            assert (await running.ask()).status == 200
            loads.loaded = config(route_to(server.port, "/only"))
            await running.app.reload()
            assert (await running.ask()).status == 404


async def test_a_reload_that_breaks_shows_like_a_wrong_configuration() -> None:
    """A defect of ours in reading it; its text could hold anything."""

    def broken() -> Config:
        raise ZeroDivisionError("the-key")

    async with upstream(always(response())) as server:
        loads = Loads(config(route_to(server.port)))
        loads.loaded = broken
        async with sidecar(route_to(server.port), load=loads) as running:
            with pytest.raises(ZeroDivisionError):
                await running.app.reload()
            assert running.app.last_reload is not None and "ZeroDivisionError" in running.app.last_reload.error
            assert "the-key" not in running.app.last_reload.error
            assert not running.app.gauges().reload_successful
            assert (await running.ask()).status == 200


async def test_listeners_come_and_go(tmp_path: object) -> None:
    """A new address is served; one that is gone is closed, and its open connections finish."""
    path = f"{tmp_path}/app.sock"
    async with upstream(always(response())) as server:
        both = config(route_to(server.port), listen=(LOCAL, Address(path=path)))
        loads = Loads(both)
        async with sidecar(route_to(server.port), load=loads) as running:
            await running.app.reload()
            wire = await running.connect(path)
            ask = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
            await wire.send(ask)
            assert (await wire.response()).status == 200
            loads.loaded = config(route_to(server.port))
            await running.app.reload()
            with pytest.raises((ConnectionError, FileNotFoundError)):
                await running.connect(path)
            await wire.send(ask)
            assert (await wire.response()).status == 200
            assert (await running.ask()).status == 200


async def test_what_a_new_configuration_warns_of_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """As at a start: a listener may have become open to everybody."""
    async with upstream(always(response())) as server:
        route = route_to(server.port)
        async with sidecar(route, load=Loads(config(route, warnings=("listen: open to everybody",)))) as running:
            await running.app.reload()
    assert "listen: open to everybody" in caplog.text
