"""A token endpoint that is away at the start: it stays up and recovers, or ends at once where that is wanted."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.fakes import ScriptedUpstream, Tokens, always, response, silent, upstream
from tests.main_job.client import Admin, Client
from tests.main_job.configuration import Section
from tests.main_job.process import SidecarProcess, running
from tests.ports import free_port

ENVIRON = {"FIRST_KEY": "key-that-comes-first"}


def configuration(endpoint: int, server: int, **keys: object) -> Section:
    """Return a configuration with one credential, exchanged at one port, for an upstream at another."""
    exchange = {
        "url": f"http://127.0.0.1:{endpoint}/token",
        "json": {"key": "{api_key}"},
        "response": {"token": "/token", "expires_in": "/expires_in"},
    }
    credential = {"api_key": {"env": "FIRST_KEY"}, "exchange": exchange, "refresh": {"backoff": {"most": "1s"}}}
    return {"upstream": f"http://127.0.0.1:{server}", "credential": credential, **keys}


async def test_it_stays_up_and_is_ready_one_back_off_after_its_return(tmp_path: Path) -> None:
    """Alive, not ready, 503 with Retry-After until then."""
    port = free_port()
    async with upstream(always(response())) as server:
        async with running(tmp_path, configuration(port, server.port), ENVIRON) as sidecar:
            client, admin = Client(sidecar.port), Admin(sidecar.admin_port)
            await admin.until(2, "sidecar_exchange_consecutive_failures")
            assert (await admin.ask("GET", "/livez")).status == 200
            assert (await admin.ask("GET", "/readyz")).status == 503
            began_at = time.monotonic()
            answer = await client.ask()
            assert (answer.status, answer.reason) == (503, "no_token")
            assert int(answer.value("retry-after") or 0) >= 1
            assert time.monotonic() - began_at < 0.25
            scripted = ScriptedUpstream(Tokens())
            endpoint = await asyncio.start_server(scripted.serve, "127.0.0.1", port)
            await admin.ready(within_s=1.0 + 1.5)
            assert (await client.ask()).status == 200
            endpoint.close()
            await scripted.end()


@pytest.mark.parametrize("why", ["refused", "key missing", "key rejected"])
async def test_where_it_is_to_fail_fast_it_ends(tmp_path: Path, why: str) -> None:
    """With code 1, a line that names the credential and the reason, and nothing left that listens."""
    refusal = response(b"{}", status="401 Unauthorized")
    async with upstream(always(refusal)) as endpoint:
        port = free_port() if why == "refused" else endpoint.port
        wanted = configuration(port, free_port(), fail_fast=True)
        if why == "key missing":
            wanted["credential"]["api_key"] = {"file": str(tmp_path / "nowhere")}
        process = SidecarProcess(tmp_path, wanted, ENVIRON)
        with pytest.raises(RuntimeError) as caught:
            # It may have answered already, while the exchange was under way.
            await asyncio.to_thread(process.start)
            assert await process.ended(5.0) == 1
            raise RuntimeError
    said = process.output() or str(caught.value)
    assert "fail_fast: no first token: default: " in said
    assert "Traceback" not in said and "please report" not in said
    assert {"refused": "refused", "key missing": "nowhere", "key rejected": "refuses the API key"}[why] in said


async def test_where_all_is_well_it_serves(tmp_path: Path) -> None:
    """Fail-fast changes nothing then."""
    async with upstream(Tokens()) as endpoint, upstream(always(response())) as server:
        wanted = configuration(endpoint.port, server.port, fail_fast=True)
        async with running(tmp_path, wanted, ENVIRON) as sidecar:
            await Admin(sidecar.admin_port).ready()
            assert (await Client(sidecar.port).ask()).status == 200


async def test_a_signal_ends_a_start_that_waits(tmp_path: Path) -> None:
    """The first exchange hangs; that it is to fail fast does not make it deaf."""
    import signal

    async with upstream(silent) as endpoint:
        async with running(tmp_path, configuration(endpoint.port, 9, fail_fast=True), ENVIRON) as sidecar:
            sidecar.signal(signal.SIGTERM)
            assert await sidecar.ended(within_s=1.0) == 0
