"""A crowd before the first token: one exchange for all of them, owned by none."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.fakes import Tokens, upstream
from tests.main_job.client import Admin, Client
from tests.main_job.configuration import ENVIRON, route, tls_upstream, vendor_credential
from tests.main_job.process import running
from tests.servers.certificates import Certificates
from tests.servers.nginx import Nginx

CROWD = 500


@pytest.mark.parametrize("first_leaves", [False, True])
async def test_one_exchange_for_a_cold_crowd(
    tmp_path: Path, nginx: Nginx, certificates: Certificates, first_leaves: bool
) -> None:
    """500 requests wait for the first token and are answered 200, also where whoever came first has left at once."""
    all_wait = asyncio.Event()
    async with upstream(Tokens(wait_for=all_wait)) as endpoint:
        configuration = {
            "credentials": {"crm": vendor_credential(f"http://127.0.0.1:{endpoint.port}")},
            "routes": [route("crm", tls_upstream(nginx.https_url, certificates), "crm")],
        }
        async with running(tmp_path, configuration, ENVIRON) as sidecar:
            client, admin = Client(sidecar.port), Admin(sidecar.admin_port)
            if first_leaves:
                async with client.connected() as wire:
                    await wire.send(client.request("GET", "/crm/first"))
                    await admin.until(1, "sidecar_requests_in_flight")
                    wire.reset()
                await admin.until(0, "sidecar_requests_in_flight")
            crowd = [asyncio.create_task(client.ask("GET", f"/crm/{number}")) for number in range(CROWD)]
            await admin.until(CROWD, "sidecar_requests_in_flight")
            all_wait.set()
            answers = await asyncio.gather(*crowd)
            figures = await admin.figures()
        assert len(endpoint.requests) == 1
    assert [answer.status for answer in answers] == [200] * CROWD
    assert [answer.body for answer in answers] == [b"GET /%d\n" % number for number in range(CROWD)]
    assert figures.sum("sidecar_exchanges_total", credential="crm") == 1
    assert figures.sum("sidecar_token_wait_seconds_count", route="crm") == CROWD + first_leaves
    seen = nginx.seen(at_least=CROWD)
    assert len(seen) == CROWD
    assert {request.authorization for request in seen} == {"Bearer token-1"}
