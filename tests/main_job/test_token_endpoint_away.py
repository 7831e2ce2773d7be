"""Without a token endpoint the process stays, says what is missing, and recovers by itself."""

from __future__ import annotations

from pathlib import Path

from tests.main_job.client import Admin, Client
from tests.main_job.configuration import ENVIRON, SHORT_LIVES, oidc_credential, route, vendor_credential
from tests.main_job.process import running
from tests.main_job.vendors import vendor
from tests.ports import free_port
from tests.servers.nginx import Nginx
from tests.servers.oidc import OidcProvider

BACKOFF_MOST_S = 1.0
# An exchange, and the time between two looks.
MARGIN_S = 0.5


async def test_none_at_the_start(tmp_path: Path, nginx: Nginx) -> None:
    """Alive but not ready, with a remedy; 503 with Retry-After; ready one back-off step after it is there."""
    port = free_port()
    refresh = {**SHORT_LIVES["refresh"], "backoff": {"first": "500ms", "most": f"{BACKOFF_MOST_S}s"}}
    configuration = {
        "credentials": {"crm": vendor_credential(f"http://127.0.0.1:{port}", refresh=refresh)},
        "routes": [route("crm", nginx.http_url, "crm"), route("open", nginx.http_url, None)],
    }
    async with running(tmp_path, configuration, ENVIRON) as sidecar:
        client, admin = Client(sidecar.port), Admin(sidecar.admin_port)
        await sidecar.said("next try in")
        assert [(await admin.ask("GET", path)).status for path in ("/livez", "/startupz", "/readyz")] == [200, 503, 503]
        (reason,) = (await admin.json("/readyz"))["reasons"]
        assert reason["credential"] == "crm" and "127.0.0.1" in reason["reason"]
        assert "token endpoint" in reason["remedy"]
        answer = await client.ask("GET", "/crm/")
        assert (answer.status, answer.reason) == (503, "no_token")
        assert int(answer.value("retry-after") or 0) >= 1
        assert answer.proxy_error == b"proxy_internal_response"
        assert (await client.ask("GET", "/open/")).status == 200
        assert [request.authorization for request in nginx.seen(at_least=1)] == [""]
        async with vendor(port=port):
            await admin.ready(within_s=BACKOFF_MOST_S + MARGIN_S)
            assert [(await admin.ask("GET", path)).status for path in ("/startupz", "/readyz")] == [200, 200]
            assert (await client.ask("GET", "/crm/")).status == 200


async def test_none_for_a_while(tmp_path: Path, nginx: Nginx) -> None:
    """A real one that is stopped: the token is worn to its end, then 503; one back-off step after the restart, 200."""
    folder = tmp_path / "oidc"
    folder.mkdir()
    refresh = {**SHORT_LIVES["refresh"], "backoff": {"first": "500ms", "most": f"{BACKOFF_MOST_S}s"}}
    with OidcProvider(folder, token_life_s=3) as server:
        configuration = {
            "credentials": {"crm": oidc_credential(server, refresh=refresh)},
            "routes": [route("crm", nginx.http_url, "crm")],
        }
        async with running(tmp_path, configuration, ENVIRON) as sidecar:
            client, admin = Client(sidecar.port), Admin(sidecar.admin_port)
            await admin.ready()
            server.stop()
            assert (await client.ask("GET", "/crm/")).status == 200
            await sidecar.said("next try in")
            statuses = [(await client.ask("GET", "/crm/")).status]
            assert (await admin.ask("GET", "/readyz")).status == 200, "ready while the old token is valid"
            while statuses[-1] == 200:
                statuses.append((await client.ask("GET", "/crm/")).status)
            assert statuses[-1] == 503
            assert (await admin.ask("GET", "/readyz")).status == 503
            server.start()
            await admin.ready(within_s=BACKOFF_MOST_S + MARGIN_S)
            assert (await client.ask("GET", "/crm/")).status == 200
