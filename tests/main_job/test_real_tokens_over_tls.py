"""From an app's plain request to a real HTTPS server, with tokens of two token endpoints that nobody here wrote."""

from __future__ import annotations

from pathlib import Path

from tests.main_job.client import Admin, Client
from tests.main_job.configuration import (
    ENVIRON,
    oidc_credential,
    pocketbase_credential,
    route,
    tls_upstream,
)
from tests.main_job.process import running
from tests.servers.certificates import Certificates
from tests.servers.nginx import Nginx
from tests.servers.oidc import OidcProvider
from tests.servers.pocketbase import PocketBase


async def test_two_credentials_and_two_routes(
    tmp_path: Path, nginx: Nginx, certificates: Certificates, oidc: OidcProvider, pocketbase: PocketBase
) -> None:
    """Each route's token is one that its issuer vouches for; the app's own Authorization does not pass."""
    upstream = tls_upstream(nginx.https_url, certificates)
    configuration = {
        "credentials": {"oidc": oidc_credential(oidc), "records": pocketbase_credential(pocketbase)},
        "routes": [route("a", upstream, "oidc"), route("b", upstream, "records")],
    }
    async with running(tmp_path, configuration, ENVIRON) as sidecar:
        client = Client(sidecar.port)
        first = await client.ask("GET", "/a/x%2Fy?q=%20", "Authorization: Bearer of-the-app")
        second = await client.ask("POST", "/b/sink", body=b"x" * 100_000)
        assert (await Admin(sidecar.admin_port).ask("GET", "/readyz")).status == 200
    assert (first.status, first.body) == (200, b"GET /x%2Fy?q=%20\n")
    assert (second.status, second.body) == (200, b"read\n")
    of_oidc, of_pocketbase = nginx.seen(at_least=2)
    assert of_oidc.host == of_pocketbase.host == f"localhost:{nginx.https_port}"
    assert of_oidc.server_name == of_pocketbase.server_name == "localhost"
    assert of_oidc.authorization.startswith("Bearer ") and of_pocketbase.authorization.startswith("Bearer ")
    assert oidc.verify(of_oidc.authorization.removeprefix("Bearer "))["aud"] == oidc.audience
    assert pocketbase.verify(of_pocketbase.authorization.removeprefix("Bearer "))


async def test_a_server_that_our_authority_did_not_sign_gets_nothing(
    tmp_path: Path, nginx: Nginx, certificates: Certificates, oidc: OidcProvider
) -> None:
    """502 that says why, and neither request nor token has reached it."""
    stranger = {"url": nginx.https_url, "tls": {"ca_file": str(certificates.other_ca_file)}}
    configuration = {"credentials": {"oidc": oidc_credential(oidc)}, "routes": [route("a", stranger, "oidc")]}
    async with running(tmp_path, configuration, ENVIRON) as sidecar:
        answer = await Client(sidecar.port).ask("GET", "/a/")
        figures = await Admin(sidecar.admin_port).figures()
    assert answer.status == 502
    assert answer.proxy_error.startswith(b"tls_")
    assert figures.sum("sidecar_upstream_failures_total", route="a", phase="tls") == 1
    assert nginx.seen() == []
