"""Debian's Prometheus scrapes a running sidecar, and promtool has nothing to say about it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.main_job.client import Admin, Client
from tests.main_job.configuration import ENVIRON, route, vendor_credential
from tests.main_job.process import running
from tests.main_job.vendors import vendor
from tests.servers.nginx import Nginx
from tests.servers.prometheus import Prometheus, promtool_check

OPENMETRICS = "Accept: application/openmetrics-text; version=1.0.0"


async def test_what_prometheus_knows(
    tmp_path: Path, nginx: Nginx, start_prometheus: Callable[[str], Prometheus]
) -> None:
    """The target is up, and queries return what has happened; also zeros, before anything has."""
    async with vendor() as endpoint:
        configuration = {
            "credentials": {"crm": vendor_credential(endpoint)},
            "routes": [route("crm", nginx.http_url, "crm"), route("idle", nginx.http_url, "crm")],
        }
        async with running(tmp_path, configuration, ENVIRON) as sidecar:
            client, admin = Client(sidecar.port), Admin(sidecar.admin_port)
            for target in ["/crm/"] * 7 + ["/crm/status/404"] * 3 + ["/crm/status/401"] * 2 + ["/nowhere"]:
                await client.ask("GET", target)
            (credential,) = (await admin.json("/status"))["credentials"]
            text = (await admin.ask("GET", "/metrics")).body.decode()
            strict = await admin.ask("GET", "/metrics", OPENMETRICS)
            prometheus = await asyncio.to_thread(start_prometheus, sidecar.admin)

            async def value(expression: str) -> float:
                ((_, number),) = await asyncio.to_thread(prometheus.wait_for, expression)
                return number

            assert await value("up") == 1
            assert (await asyncio.to_thread(prometheus.target))["health"] == "up"
            assert await value("sum(sidecar_requests_total)") == 12
            assert await value('sidecar_requests_total{route="crm", method="GET", code_class="2xx"}') == 7
            assert await value('sidecar_requests_total{route="crm", method="GET", code_class="4xx"}') == 5
            assert await value('sum(sidecar_requests_total{route="idle"})') == 0
            assert await value('sidecar_request_duration_seconds_count{route="crm"}') == 12
            assert await value('sum(sidecar_rejections_total{route="crm"})') == 2
            assert await value('sidecar_refused_total{reason="no_route"}') == 1
            assert await value('sidecar_credential_state{credential="crm", state="fresh"}') == 1
            assert await value('sum(sidecar_credential_state{credential="crm"})') == 1
            assert await value('sum(sidecar_exchanges_total{outcome="ok"})') == endpoint.journal.counters.exchanges
            assert 3500 < await value("sidecar_token_expiry_timestamp_seconds - time()") < 3600
            info = f'sidecar_credential_info{{fingerprint="{credential["fingerprint"]}"}}'
            assert await value(info) == 1
    assert await asyncio.to_thread(promtool_check, text) == ""
    content_type = strict.value("content-type") or b""
    assert content_type.startswith(b"application/openmetrics-text")
    families = text_string_to_metric_families(strict.body.decode())  # type: ignore[no-untyped-call]  # theirs
    names = {family.name for family in families}
    assert {"sidecar_requests", "sidecar_exchanges", "sidecar_overhead_seconds", "sidecar_build_info"} <= names
