"""What the live test looks at: a sidecar in much trouble, one that is well, a Prometheus that scrapes them both ways.

The troubled one meets, within seconds, what the alerts are about: a key that is refused, tokens that are revoked, a
token endpoint that goes away, an upstream that is not there and one that rejects for ever, strangers, a
configuration with a mistake. A third one is scraped and then ended.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidecar.vendor.server import Vendor
from tests.main_job.client import Admin, Client
from tests.main_job.configuration import ENVIRON, route, vendor_credential
from tests.main_job.process import SidecarProcess, running
from tests.main_job.vendors import vendor
from tests.monitoring.rules import ALERTS_FILE
from tests.ports import free_port
from tests.servers.nginx import Nginx
from tests.servers.prometheus import Prometheus

# Nothing is sent there: it makes a setting insecure that is never used.
UNUSED = {"url": "http://192.0.2.1", "insecure": True}
# Renewed every 5 s at most: for the second in between requests wait.
SHORT_S = 4.0
# What a PodMonitor puts on a target, beside the instance.
POD = {"namespace": "shop", "pod": "crm-0", "container": "sidecar", "endpoint": "sidecar-admin"}


@dataclass(frozen=True, slots=True)
class Stand:
    """The servers of the live tests."""

    troubled: SidecarProcess
    well: SidecarProcess
    ended: SidecarProcess
    prometheus: Prometheus


def prometheus_of(directory: Path, pods: list[str], static: list[str]) -> Prometheus:
    """Return a Prometheus, not started, that evaluates the alerts every second.

    Args:
        directory: an empty one.
        pods: targets scraped as a PodMonitor has them scraped: with labels of a pod each.
        static: targets scraped from a plain list.
    """
    server = Prometheus(directory, static[0])
    as_pods = [{"targets": [target], "labels": {**POD, "pod": f"crm-{n}"}} for n, target in enumerate(pods)]
    configuration: dict[str, Any] = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(ALERTS_FILE)],
        "scrape_configs": [
            {"job_name": "shop/sidecar", "static_configs": as_pods},
            {"job_name": "sidecar", "static_configs": [{"targets": static}]},
        ],
    }
    (directory / "prometheus.yml").write_text(json.dumps(configuration))  # JSON is YAML
    return server


@asynccontextmanager
async def stand(directory: Path, nginx: Nginx) -> AsyncIterator[Stand]:
    """Run it all, in trouble, and asked for things all the time until the block ends."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        good, short, dying = await enter(vendor()), await enter(vendor(token_life_s=SHORT_S)), Vendor()
        dying.issuer.token_life_s = 6
        await dying.start()
        stack.push_async_callback(dying.stop)
        folders = [directory / name for name in ("troubled", "well", "ended", "prometheus")]
        for folder in folders:
            folder.mkdir()
        well = await enter(running(folders[1], _well(nginx, good), ENVIRON))
        ended = await enter(running(folders[2], _well(nginx, good), ENVIRON))
        troubled = await enter(running(folders[0], _troubled(nginx, good, short, dying), ENVIRON))
        prometheus = prometheus_of(folders[3], [troubled.admin, ended.admin], [troubled.admin, well.admin])
        await asyncio.to_thread(prometheus.start)
        stack.callback(prometheus.stop)
        async with asyncio.TaskGroup() as group:
            over = asyncio.Event()
            for ask in (_usual(well, "/crm/"), _usual(troubled, "/crm/"), _usual(troubled, "/short/"), _sick(troubled)):
                group.create_task(_until(over, ask))
            for scraped in (ended, troubled):
                await asyncio.to_thread(prometheus.wait_for, f'sidecar_build_info{{instance="{scraped.admin}"}}')
            await _trouble(troubled, good, dying)
            await asyncio.to_thread(ended.stop)
            try:
                yield Stand(troubled, well, ended, prometheus)
            finally:
                over.set()


def _well(nginx: Nginx, good: Vendor) -> dict[str, Any]:
    return {"credentials": {"crm": vendor_credential(good)}, "routes": [route("crm", nginx.http_url, "crm")]}


def _troubled(nginx: Nginx, good: Vendor, short: Vendor, dying: Vendor) -> dict[str, Any]:
    refused = vendor_credential(good, api_key={"value": "gct_not_this_one"})
    return {
        "credentials": {
            "crm": vendor_credential(good),
            "short": vendor_credential(short),
            "dying": vendor_credential(dying),
            "refused": refused,
        },
        "routes": [
            route("crm", nginx.http_url, "crm"),
            route("api", good.url, "crm"),
            route("away", f"http://127.0.0.1:{free_port()}", "crm"),
            route("short", nginx.http_url, "short"),
            route("dying", nginx.http_url, "dying"),
            route("refused", nginx.http_url, "refused"),
            route("unused", UNUSED, None),
        ],
    }


async def _trouble(sidecar: SidecarProcess, good: Vendor, dying: Vendor) -> None:
    """Make what a request alone cannot."""
    client = Client(sidecar.port)
    await Admin(sidecar.admin_port).until(1, "sidecar_token_valid", credential="dying")
    await dying.stop()
    for _ in range(6):
        # The route has taken the token, so it is replaced, though /crm/ rejects every one.
        assert (await client.ask("GET", "/api/me")).status == 200
        good.issuer.revoke_tokens()
        assert (await client.ask("GET", "/api/me")).status == 200
    sidecar.file.write_text("routes: [")
    sidecar.signal(signal.SIGHUP)
    await Admin(sidecar.admin_port).until(0, "sidecar_config_reload_successful")


def _usual(sidecar: SidecarProcess, path: str) -> Callable[[], Awaitable[object]]:
    client = Client(sidecar.port)
    return lambda: client.ask("GET", path)


def _sick(sidecar: SidecarProcess) -> Callable[[], Awaitable[None]]:
    """Ask for what is not given."""
    client = Client(sidecar.port)
    stranger = client.request().replace(b"Host: 127.0.0.1", b"Host: evil.example")

    async def ask() -> None:
        for target in (
            "/crm/status/401",
            "/crm/status/401",
            "/crm/status/500",
            "/away/",
            "/dying/",
            "/refused/",
            "/no",
        ):
            await client.ask("GET", target)
        for _ in range(4):
            async with client.connected() as wire:
                await wire.send(stranger)
                await wire.response()

    return ask


async def _until(over: asyncio.Event, ask: Callable[[], Awaitable[object]]) -> None:
    while not over.is_set():
        # On a machine with much else to do an answer may be late. What counts is what Prometheus sees.
        with suppress(TimeoutError):
            await ask()
        await asyncio.sleep(0.05)
