"""More connections than the limit: those beyond it are told or cut, and nobody else notices; a free place is free."""

from __future__ import annotations

import asyncio
import resource
import socket
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from sidecar.dataplane.limits import most_connections
from tests.attack.test_no_descriptors_left import LIMIT, served, with_few
from tests.fakes import PATIENCE_S, always, response, until, upstream
from tests.main_job.client import Admin, Client
from tests.main_job.process import running as running_process
from tests.wire.running import in_front_of

# Connects as fast as it can for as long as it is told, and closes the oldest beyond 200.
FLOOD = """
import socket, sys, time
port, ends_at, open_ones, made = int(sys.argv[1]), time.monotonic() + float(sys.argv[2]), [], 0
while time.monotonic() < ends_at:
    one = socket.socket()
    one.setblocking(False)
    one.connect_ex(("127.0.0.1", port))
    open_ones.append(one)
    made += 1
    if len(open_ones) > 200:
        open_ones.pop(0).close()
print(made)
"""


async def test_a_place_is_free_at_once() -> None:
    """Those who are still being told that there was none do not keep it taken."""
    async with in_front_of(always(response()), limits={"connections": 2}) as (running, _):
        kept = [await running.connect() for _ in range(2)]
        await until(lambda: len(running.app_connections()) == 2)
        told = [await running.connect() for _ in range(30)]
        for wire in told:
            assert (await wire.response()).status == 503
        for wire in kept:
            wire.close()
        await until(lambda: len(running.app_connections()) == 30)  # they may still be sending, and are read for a while
        assert [(await running.ask()).status for _ in range(3)] == [200] * 3


async def test_those_who_are_cut_are_counted() -> None:
    """An operator sees every connection that was turned away, told or not."""
    async with in_front_of(always(response()), limits={"connections": 1}) as (running, _):
        kept = await running.connect()
        await until(running.app_connections)
        await asyncio.gather(*[(await running.connect()).ended() for _ in range(150)])
        assert running.app.stats.refusals.by_reason["connections", ""] == 150
        kept.close()


async def test_a_crowd_that_connects_at_once_is_queued() -> None:
    """By the kernel, while the loop has no time: beyond the queue, connecting takes a second or more, or is lost."""
    async with in_front_of(always(response())) as (running, _):
        with ExitStack() as stack:
            crowd = []
            for _ in range(400):
                one = socket.create_connection(("127.0.0.1", running.port), timeout=0.5)
                crowd.append(stack.enter_context(one))
                one.sendall(running.ask_bytes())
                one.settimeout(PATIENCE_S)  # asyncio's own loop takes them all in before it answers the first
            answers = await asyncio.to_thread(lambda: [one.recv(20) for one in crowd])
        assert {answer[:12] for answer in answers} == {b"HTTP/1.1 200"}


async def test_a_flood_harms_nobody(tmp_path: Path) -> None:
    """Tens of thousands of connections against a full sidecar: probes and those within the limit are answered."""
    async with upstream(always(response())) as server:
        configuration = {
            "upstream": f"http://127.0.0.1:{server.port}",
            "credential": {"preset": "static", "api_key": {"env": "FLOOD_KEY"}},
            "limits": {"connections": 20},
            "log": {"level": "info"},
        }
        async with running_process(tmp_path, configuration, {"FLOOD_KEY": "key-of-the-flood-tests"}) as process:
            app, admin = Client(process.port), Admin(process.admin_port)
            kept = [await asyncio.open_connection("127.0.0.1", process.port) for _ in range(20)]
            reader, writer = kept[0]
            await admin.until(20, "sidecar_connections")
            flood = await asyncio.create_subprocess_exec(
                sys.executable, "-c", FLOOD, str(process.port), "1", stdout=asyncio.subprocess.PIPE
            )
            probes_s, requests_s = [], []
            while flood.returncode is None:
                began_s = time.perf_counter()
                assert (await admin.ask("GET", "/livez")).status == 200
                probes_s.append(time.perf_counter() - began_s)
                began_s = time.perf_counter()
                writer.write(app.request())
                assert (await reader.readuntil(b"fine")).startswith(b"HTTP/1.1 200 ")
                requests_s.append(time.perf_counter() - began_s)
                await asyncio.sleep(0.001)
            assert flood.stdout is not None
            made = int(await flood.stdout.read())
            assert made > 2000
            # The machine is shared with the flood and the tests: one may be unlucky, not one of 50.
            for times_s in (probes_s, requests_s):
                assert sorted(times_s)[int(len(times_s) * 0.98)] < 0.1
            for _, other in kept:
                other.transport.abort()
            await app.until_answered("/", 200, within_s=2.0)
            assert (await admin.figures()).sum("sidecar_refused_total", reason="connections") > 1000
        assert (
            process.output().count("turned away") <= 40
        )  # the log says so 20 times a minute, and how many it left out


@pytest.mark.parametrize(
    ("descriptors", "most"),
    [(1, 1), (64, 32), (1024, 512), (20_000, 10_000), (1_048_576, 10_000), (resource.RLIM_INFINITY, 10_000)],
)
def test_the_usual_limit(descriptors: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the file descriptors, for a request may need two; 10,000 where there is no end of them."""
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (descriptors, descriptors))
    assert most_connections() == most


async def test_half_of_the_descriptors_is_the_limit_where_none_is_set(tmp_path: Path) -> None:
    """Of 64: the 33rd is told that there are too many connections, while there are descriptors yet."""
    async with upstream(always(response())) as server:
        configuration = {
            "upstream": f"http://127.0.0.1:{server.port}",
            "credential": {"preset": "static", "api_key": {"env": "FEW_KEY"}},
        }
        async with with_few(tmp_path, configuration) as process:
            app = Client(process.port)
            kept = [await asyncio.open_connection("127.0.0.1", process.port) for _ in range(LIMIT // 2)]
            await Admin(process.admin_port).until(len(kept), "sidecar_connections")
            answer = await app.ask()
            assert (answer.status, answer.reason, answer.value("connection")) == (503, "connections", b"close")
            for _, writer in kept:
                writer.transport.abort()
            await served(app, within_s=2.0)
