"""SIGSTOP and SIGCONT across a token's life: as a container that is frozen, or a debugger's prisoner.

Three seconds and lives of two in the suite; longer than a minute where `SIDECAR_LONG` is set.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sidecar.dataplane.standstill import LONGEST_GAP_S
from sidecar.vendor.faults import Fault
from tests.fakes import always, response, until, upstream
from tests.main_job.client import Admin, Client
from tests.main_job.configuration import ENVIRON, route, vendor_credential
from tests.main_job.process import SidecarProcess, running
from tests.main_job.vendors import vendor

LONG = bool(os.environ.get("SIDECAR_LONG"))
TOKEN_LIFE_S = 60.0 if LONG else 2.0
# An exchange that stood still is told from one that was slow by as much as that.
EXCHANGE_TIMEOUT_S = 0.4
STOPPED_S = 65.0 if LONG else LONGEST_GAP_S + EXCHANGE_TIMEOUT_S + 0.1
WAITED_AT_MOST_S = 3.0


@asynccontextmanager
async def stopped(sidecar: SidecarProcess) -> AsyncIterator[None]:
    """Stop it for so long; the block runs meanwhile."""
    sidecar.signal(signal.SIGSTOP)
    over_at = time.monotonic() + STOPPED_S
    try:
        yield
        await asyncio.sleep(over_at - time.monotonic())
    finally:
        sidecar.signal(signal.SIGCONT)


@pytest.mark.timeout(120)
async def test_the_first_requests_after_a_stop(tmp_path: Path) -> None:
    """Sent while it was stopped or just after, on old connections or new ones: 200 with one exchange, no dead token.

    The upstream has closed the connections that were idle: no POST is lost or sent twice. An exchange that was under
    way has not failed for it (`late`): its time-out passed while nobody could read the answer.
    """
    async with vendor(token_life_s=TOKEN_LIFE_S) as api, vendor(token_life_s=2) as late:
        async with upstream(always(response())) as origin:
            exchange = {"url": f"{late.url}/auth/token", "timeout": f"{EXCHANGE_TIMEOUT_S}s"}
            configuration = {
                "credentials": {"api": vendor_credential(api), "late": vendor_credential(late, exchange=exchange)},
                "routes": [
                    route("api", api.url, "api"),
                    route("late", late.url, "late"),
                    route("other", f"http://127.0.0.1:{origin.port}", "api"),
                ],
                # What arrived while nobody could read it must not be taken for silence.
                "limits": {"idle_timeout": "2s", "head_timeout": "2s"},
            }
            async with running(tmp_path, configuration, ENVIRON) as sidecar:
                client, admin = Client(sidecar.port), Admin(sidecar.admin_port)
                await admin.ready()
                late.faults.add(Fault("token", "slow", count=1, delay_s=EXCHANGE_TIMEOUT_S / 2))
                async with client.connected() as kept, client.connected() as other:
                    await until(lambda: late.journal.counters.exchanges == 2)
                    for wire, name in ((kept, "api"), (other, "other")):
                        await wire.send(client.request("GET", f"/{name}/me"))
                        assert (await wire.response()).status == 200
                    async with stopped(sidecar):
                        for connection in origin.connections:
                            connection.close()
                        before = api.journal.counters.exchanges
                        await kept.send(client.request("POST", "/api/echo/1", body=b"x"))
                        await other.send(client.request("POST", "/other/1", body=b"x"))
                    began_at = time.monotonic()
                    answers = await asyncio.gather(
                        kept.response(),
                        other.response(),
                        client.ask("GET", "/api/me"),
                        client.ask("POST", "/other/2"),
                        client.ask("GET", "/late/me"),
                    )
                    took_s = time.monotonic() - began_at
                figures = await admin.figures()
    assert [answer.status for answer in answers] == [200] * 5
    assert api.journal.counters.exchanges == before + 1
    assert took_s < WAITED_AT_MOST_S
    assert sorted(request.target for request in origin.requests) == [b"/1", b"/2", b"/me"]
    assert figures.sum("sidecar_exchanges_total") == figures.sum("sidecar_exchanges_total", outcome="ok")
    for server in (api, late):
        assert server.journal.counters.expired_tokens_seen == server.journal.counters.rejected == 0
