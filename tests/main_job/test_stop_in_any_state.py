"""A stop ends when it should, whatever it meets: no token yet, a hung exchange, streams, tunnels, a lame duck."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.cli.command import environment
from tests.fakes import Wire, response, silent, until, upstream
from tests.main_job.client import Admin, Client
from tests.main_job.configuration import Section, route
from tests.main_job.process import SidecarProcess, running
from tests.ports import free_port

ENVIRON = {"STOPPED_KEY": "key-of-the-stopped"}
# What a stop may take beyond what the configuration says. A tenth of it would do on an idle machine.
SPARE_S = 1.0
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def streams(wire: Wire) -> None:
    """Send without an end: a body, or after an upgrade just bytes."""
    request = await wire.request()
    if request.value("upgrade"):
        await wire.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    else:
        await wire.send(CHUNKED if request.target == b"/chunked" else b"HTTP/1.1 200 OK\r\n\r\n")
    while not wire.writer.is_closing():
        await wire.send(b"4\r\nmore\r\n")
        await asyncio.sleep(0.01)


async def ends_later(wire: Wire) -> None:
    """Send a stream that ends by itself after a while."""
    await wire.request()
    await wire.send(CHUNKED)
    for _ in range(15):
        await wire.send(b"4\r\nmore\r\n")
        await asyncio.sleep(0.1)
    await wire.send(b"0\r\n\r\n")


def of_token(port: int, **keys: object) -> Section:
    """Return a configuration whose key is the token, and whose upstream is this port."""
    return {
        "upstream": f"http://127.0.0.1:{port}",
        "credential": {"preset": "static", "api_key": {"env": "STOPPED_KEY"}},
        **keys,
    }


def exchanging(port: int, **keys: object) -> Section:
    """Return a configuration whose token endpoint is this port, and whose upstream nobody."""
    exchange = {"url": f"http://127.0.0.1:{port}/token", "headers": {"X-Key": "{api_key}"}}
    return {
        "upstream": "http://127.0.0.1:9",
        "credential": {"api_key": {"env": "STOPPED_KEY"}, "exchange": exchange},
        **keys,
    }


@asynccontextmanager
async def stopped(sidecar: SidecarProcess, within_s: float, code: int = 0) -> AsyncIterator[None]:
    """Send SIGTERM; at the block's end the process has ended within this time and with this code."""
    began_at = time.monotonic()
    sidecar.signal(signal.SIGTERM)
    yield
    assert await sidecar.ended(within_s=within_s + SPARE_S) == code
    assert time.monotonic() - began_at < within_s + SPARE_S


async def test_before_the_first_token(tmp_path: Path) -> None:
    """The exchange hangs, and nobody waits for it: it ends at once. The token endpoint sees it leave."""
    async with upstream(silent) as endpoint, running(tmp_path, exchanging(endpoint.port), ENVIRON) as sidecar:
        assert (await Admin(sidecar.admin_port).ask("GET", "/readyz")).status == 503
        await until(lambda: len(endpoint.connections) == 1)  # the exchange has begun
        async with stopped(sidecar, 0.0):
            pass
        await endpoint.connections[0].ended(1.0)


async def test_before_the_start_is_done(tmp_path: Path) -> None:
    """The gate's token comes from a program that takes its time."""
    asked = tmp_path / "asked"
    command = {"command": ["sh", "-c", f"touch {asked}; exec sleep 30"]}
    routes = [route("crm", "http://127.0.0.1:9", None)]
    sidecar = SidecarProcess(tmp_path, {"routes": routes, "gate": {"require_token": command}})
    with subprocess.Popen(sidecar.command, env=environment(None)) as process:
        try:
            await until(asked.exists, within_s=10)
            began_at = time.monotonic()
            process.terminate()
            await until(lambda: process.poll() is not None, within_s=10)
            assert time.monotonic() - began_at < 1.0 + SPARE_S
        finally:
            process.kill()
    assert process.returncode == 0


async def test_in_back_off(tmp_path: Path) -> None:
    """Nobody listens at the token endpoint, and the next try is far away."""
    configuration = exchanging(free_port())
    configuration["credential"]["refresh"] = {"backoff": {"first": "30s", "most": "30s"}}
    async with running(tmp_path, configuration, ENVIRON) as sidecar:
        await Admin(sidecar.admin_port).until(1, "sidecar_exchange_consecutive_failures")
        async with stopped(sidecar, 0.0):
            pass


async def test_with_a_request_that_waits_for_a_token(tmp_path: Path) -> None:
    """It has until `drain.most`; then it is cut."""
    configuration = exchanging(0, drain={"most": "400ms"})
    async with upstream(silent) as endpoint:
        configuration["credential"]["exchange"]["url"] = f"http://127.0.0.1:{endpoint.port}/token"
        async with running(tmp_path, configuration, ENVIRON) as sidecar:
            client = Client(sidecar.port)
            async with client.connected() as wire:
                await wire.send(client.request())
                await Admin(sidecar.admin_port).until(1, "sidecar_requests_in_flight")
                async with stopped(sidecar, 0.4):
                    with pytest.raises(ConnectionResetError):
                        await wire.rest()
        assert "were cut: 1" in sidecar.output()


async def test_within_a_stream_that_ends_in_time(tmp_path: Path) -> None:
    """It is passed on to its end."""
    async with upstream(ends_later) as server, running(tmp_path, of_token(server.port), ENVIRON) as sidecar:
        client = Client(sidecar.port)
        asked = asyncio.create_task(client.ask())
        await Admin(sidecar.admin_port).until(1, "sidecar_upstream_connections", state="busy")
        async with stopped(sidecar, 3.0):
            answer = await asked
        assert answer.body == b"more" * 15


async def streaming(client: Client, wire: Wire, kind: str) -> None:
    """Ask for something without an end, and read its beginning."""
    upgrade = ("Connection: Upgrade", "Upgrade: echo") if kind == "tunnel" else ()
    ask = client.request("GET", f"/{kind.replace(' ', '-')}", *upgrade)
    # Of unknown length to HTTP/1.0: nothing but the connection's end ends it, so a clean one would be a lie.
    await wire.send(ask.replace(b"HTTP/1.1", b"HTTP/1.0") if kind == "until the end" else ask)
    await wire.head()
    await wire.exactly(8)


KINDS = ("chunked", "until the end", "tunnel")


@pytest.mark.parametrize("again", [False, True])
async def test_within_streams_that_do_not_end(tmp_path: Path, again: bool) -> None:
    """They are cut visibly when their time is over, or told to end once more; the second signal shows in the code."""
    configuration = of_token(0, drain={"most": "30s" if again else "500ms"})
    async with upstream(streams) as server:
        configuration["upstream"] = f"http://127.0.0.1:{server.port}"
        async with running(tmp_path, configuration, ENVIRON) as sidecar:
            client = Client(sidecar.port)
            async with client.connected() as one, client.connected() as two, client.connected() as three:
                wires = (one, two, three)
                for wire, kind in zip(wires, KINDS, strict=True):
                    await streaming(client, wire, kind)
                async with stopped(sidecar, 0.5, code=128 + signal.SIGINT if again else 0):
                    if again:
                        await sidecar.said("stopping")
                        sidecar.signal(signal.SIGINT)
                    for wire in wires:
                        with pytest.raises(ConnectionResetError):
                            await wire.rest()


async def test_a_lame_duck(tmp_path: Path) -> None:
    """Not ready at once, but serving; each answer is the last of its connection, so that nothing is lost at the end."""
    async with upstream(answers) as server:
        configuration = of_token(server.port, drain={"lame_duck": "900ms", "most": "5s"})
        async with running(tmp_path, configuration, ENVIRON) as sidecar:
            client, admin = Client(sidecar.port), Admin(sidecar.admin_port)
            statuses: list[int] = []

            async def ask_until(leave_at: float) -> None:
                while time.monotonic() < leave_at:
                    async with client.connected() as wire:
                        said_to_close = False
                        while not said_to_close:
                            await wire.send(client.request())
                            answer = await wire.response()
                            statuses.append(answer.status)
                            said_to_close = answer.value("connection") == b"close"

            async with admin.connected() as probe, stopped(sidecar, 0.9):
                began_at = time.monotonic()
                asking = [asyncio.create_task(ask_until(began_at + 0.6)) for _ in range(4)]
                while True:
                    await probe.send(admin.request("GET", "/readyz"))
                    answer = await probe.response()
                    if answer.status == 503:
                        break
                assert time.monotonic() - began_at < 0.5  # 0.1 s but for the load of this machine
                assert json.loads(answer.body)["reasons"][0]["state"] == "draining"
                await asyncio.gather(*asking)
            assert set(statuses) == {200} and len(statuses) > 20


async def answers(wire: Wire) -> None:
    """Answer each request at once."""
    while True:
        await wire.request()
        await wire.send(response())


async def test_told_again_within_a_lame_duck(tmp_path: Path) -> None:
    """It does not go on waiting, and leaves no file of a socket behind."""
    path = tmp_path / "app.sock"
    async with upstream(answers) as server:
        configuration = of_token(server.port, drain={"lame_duck": "30s"}, listen=[f"unix:{path}"])
        async with running(tmp_path, configuration, ENVIRON) as sidecar:
            assert path.exists()
            async with stopped(sidecar, 0.0, code=128 + signal.SIGTERM):
                await sidecar.said("stopping")
                sidecar.signal(signal.SIGTERM)
    assert not path.exists()


async def test_with_an_order_that_hangs(tmp_path: Path) -> None:
    """A refresh through the admin listener waits for an exchange that does not end; the stop does not wait for it."""
    async with upstream(silent) as endpoint, running(tmp_path, exchanging(endpoint.port), ENVIRON) as sidecar:
        admin = Admin(sidecar.admin_port)
        async with admin.connected() as wire:
            await wire.send(admin.request("POST", "/-/refresh"))
            await asyncio.sleep(0.05)
            async with stopped(sidecar, 0.0):
                pass
