"""Signals: an end that lets what runs finish, one that does not wait, and a new configuration under load."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.fakes import silent, until, upstream
from tests.main_job.client import Admin, Client
from tests.main_job.configuration import ENVIRON, Section, route, vendor_credential
from tests.main_job.process import running
from tests.main_job.vendors import vendor
from tests.servers.nginx import Nginx
from tests.servers.process import accepts


async def test_a_drain_lets_what_runs_finish(tmp_path: Path) -> None:
    """After SIGTERM it is not ready, takes no connection after its lame duck, answers what it has, and exits with 0."""
    async with vendor() as server:
        configuration = {
            "credentials": {"crm": vendor_credential(server)},
            "routes": [route("crm", server.url, "crm")],
            "drain": {"lame_duck": "600ms", "most": "10s"},
        }
        async with running(tmp_path, configuration, ENVIRON) as sidecar:
            client, admin = Client(sidecar.port), Admin(sidecar.admin_port)
            async with client.connected() as idle:
                await idle.send(client.request("GET", "/crm/me"))
                assert (await idle.response()).status == 200
                slow = asyncio.create_task(client.ask("GET", "/crm/slow?ms=1500"))
                await admin.until(1, "sidecar_requests_in_flight")
                sidecar.signal(signal.SIGTERM)
                unready = await admin.until_answered("/readyz", 503)
                assert json.loads(unready.body)["reasons"][0]["state"] == "draining"
                assert (await client.ask("GET", "/crm/me")).status == 200, "the lame duck still serves"
                assert await idle.rest() == b"", "an idle connection ends cleanly"
                assert not accepts(sidecar.port)
                assert not slow.done()
            answer = await slow
            assert (answer.status, answer.value("connection")) == (200, b"close")
            assert await sidecar.ended(within_s=2.0) == 0


async def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    """The request that would have kept it is cut, at once."""
    async with upstream(silent) as server:
        configuration = {
            "credentials": {"crm": {"preset": "static", "api_key": {"env": "VENDOR_KEY"}}},
            "routes": [route("crm", f"http://127.0.0.1:{server.port}", "crm")],
        }
        async with running(tmp_path, configuration, ENVIRON) as sidecar:
            client = Client(sidecar.port)
            async with client.connected() as wire:
                await wire.send(client.request("GET", "/crm/"))
                await Admin(sidecar.admin_port).until(1, "sidecar_requests_in_flight")
                sidecar.signal(signal.SIGTERM)
                await sidecar.said("stopping")
                sidecar.signal(signal.SIGTERM)
                await sidecar.ended(within_s=1.0)
                assert await wire.ended() == b""


async def test_new_configurations_under_load(tmp_path: Path, nginx: Nginx) -> None:
    """No request is lost to a reload; a bad file leaves the old configuration in use, and the metric says so."""
    async with vendor() as server:
        old = configuration_of(nginx, server.url, ["crm"])
        new = configuration_of(nginx, server.url, ["crm", "more"], timeouts={"connect": "4s"})
        async with running(tmp_path, old, ENVIRON) as sidecar:
            client, admin = Client(sidecar.port), Admin(sidecar.admin_port)
            await admin.ready()
            async with load(client) as statuses:
                slow = asyncio.create_task(client.ask("GET", "/slow/slow?ms=1000"))
                await admin.until(1, "sidecar_requests_in_flight", route="slow")
                assert (await client.ask("GET", "/more/")).status == 404
                for turn in range(6):
                    sidecar.configure((new, old)[turn % 2])
                    sidecar.signal(signal.SIGHUP)
                    await client.until_answered("/more/", (200, 404)[turn % 2])
                    await more(statuses)
                assert (await slow).status == 200, "it goes on by the configuration that it began with"
                sidecar.configure({**new, "drain": {"most": "soon"}})
                sidecar.signal(signal.SIGHUP)
                await admin.until(0, "sidecar_config_reload_successful")
                assert "drain.most" in (await admin.json("/status"))["last_reload"]["error"]
                assert (await client.ask("GET", "/more/")).status == 404
                assert (await admin.ask("GET", "/readyz")).status == 200
                sidecar.configure(new)
                sidecar.signal(signal.SIGHUP)
                await admin.until(1, "sidecar_config_reload_successful")
                assert (await client.ask("GET", "/more/")).status == 200
                await more(statuses)
        assert "drain.most" in sidecar.output()
        assert set(statuses) == {200}
        assert server.journal.counters.exchanges == 1, "a credential that has not changed keeps its token"


def configuration_of(nginx: Nginx, vendor_url: str, routes: list[str], **upstream: object) -> Section:
    """Return a configuration with these routes to nginx, and one to the pretend vendor."""
    slow = route("slow", {"url": vendor_url, **upstream}, "crm")
    return {
        "credentials": {"crm": vendor_credential(vendor_url)},
        "routes": [slow, *(route(name, {"url": nginx.http_url, **upstream}, "crm") for name in routes)],
    }


@asynccontextmanager
async def load(client: Client) -> AsyncIterator[list[int]]:
    """Ask all the time, on kept connections and on new ones; yield the statuses of the answers."""
    statuses: list[int] = []
    over = asyncio.Event()

    async def on_one_connection() -> None:
        async with client.connected() as wire:
            while not over.is_set():
                await wire.send(client.request("POST", "/crm/sink", body=b"x" * 5000))
                statuses.append((await wire.response()).status)
                await asyncio.sleep(0.005)

    async def on_new_connections() -> None:
        while not over.is_set():
            statuses.append((await client.ask("GET", "/crm/")).status)
            await asyncio.sleep(0.005)

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(on_one_connection())
            group.create_task(on_new_connections())
        try:
            yield statuses
        finally:
            over.set()


async def more(statuses: list[int]) -> None:
    """Wait until some more requests have been answered."""
    enough = len(statuses) + 40
    await until(lambda: len(statuses) >= enough, within_s=5.0)
