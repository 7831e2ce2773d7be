"""A key that the token endpoint refuses: said plainly, not tried on and on, and mended by a new key in its file."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from sidecar.vendor.server import DEMO_KEY
from tests.main_job.client import Admin, Client
from tests.main_job.configuration import ENVIRON, route, vendor_credential
from tests.main_job.process import running
from tests.main_job.vendors import vendor
from tests.servers.nginx import Nginx

# Longer than the first back-off of a failure that passes.
WATCHED_S = 1.2


async def test_until_its_file_changes(tmp_path: Path, nginx: Nginx) -> None:
    """One exchange, then 503 that says so; within 5 s after the file holds a good key, 200."""
    file = tmp_path / "key"
    file.write_text("gct_not_this_one\n")
    file.chmod(0o600)
    async with vendor() as endpoint:
        credential = vendor_credential(endpoint, api_key={"file": str(file)})
        configuration = {"credentials": {"crm": credential}, "routes": [route("crm", nginx.http_url, "crm")]}
        async with running(tmp_path, configuration, ENVIRON) as sidecar:
            client, admin = Client(sidecar.port), Admin(sidecar.admin_port)
            await sidecar.said("next try in")
            answers = []
            for _ in range(20):
                answers.append(await client.ask("GET", "/crm/"))
                await asyncio.sleep(WATCHED_S / 20)
            assert endpoint.journal.counters.exchanges == 1
            assert {(answer.status, answer.reason) for answer in answers} == {(503, "key_rejected")}
            assert {answer.proxy_error for answer in answers} == {b"proxy_configuration_error"}
            assert all(answer.value("retry-after") for answer in answers)
            assert b"refuses the API key" in answers[0].body
            (reason,) = (await admin.json("/readyz"))["reasons"]
            assert reason["state"] == "key_rejected" and str(file) in reason["remedy"]
            assert (await admin.ask("GET", "/livez")).status == 200
            fingerprint = (await admin.json("/status"))["credentials"][0]["fingerprint"]
            replace(file, f"{DEMO_KEY}\n")
            await admin.ready(within_s=5.0)
            assert (await client.ask("GET", "/crm/")).status == 200
            figures = await admin.figures()
            after = (await admin.json("/status"))["credentials"][0]
    assert len(nginx.seen(at_least=1)) == 1
    assert figures.sum("sidecar_exchanges_total", outcome="key_rejected", trigger="start") == 1
    assert figures.sum("sidecar_exchanges_total", outcome="ok", trigger="key_change") == 1
    assert after["state"] == "fresh" and after["fingerprint"] != fingerprint


def replace(file: Path, text: str) -> None:
    """Put a new file in its place, in one step."""
    new = file.with_suffix(".new")
    new.write_text(text)
    os.replace(new, file)
