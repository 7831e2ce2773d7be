"""Keys that are never sent: an OpenID provider that nobody here wrote verifies what they sign; `check` knows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.cli import main
from tests.cli.command import sidecar as command
from tests.main_job.client import Client
from tests.main_job.configuration import SHORT_LIVES, Section, route
from tests.main_job.process import SidecarProcess, running
from tests.private_keys import pem
from tests.servers.nginx import Nginx
from tests.servers.oidc import OidcProvider

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def credential(server: OidcProvider, key: Section) -> Section:
    """Return a credential whose client authenticates by what it signs (RFC 7523 2.2, OpenID's private_key_jwt)."""
    exchange = {
        "url": server.token_url,
        "basic": None,
        "sign": {"claims": {"iss": server.jwt_client_id, "sub": server.jwt_client_id}},
        "form": {
            "client_id": server.jwt_client_id,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": "{assertion}",
        },
    }
    return {"preset": "oauth2", "api_key": key, "exchange": exchange, **SHORT_LIVES}


async def test_a_client_that_signs(tmp_path: Path, nginx: Nginx, oidc: OidcProvider) -> None:
    """Its PEM is in a variable, mangled to one line; the provider takes each assertion once, and many follow."""
    environ = {"PEM": pem("rsa").decode().replace("\n", "\\n")}
    routes = [route("a", nginx.http_url, "oidc")]
    configuration = {"credentials": {"oidc": credential(oidc, {"env": "PEM"})}, "routes": routes}
    async with running(tmp_path, configuration, environ) as sidecar:
        assert (await Client(sidecar.port).ask("GET", "/a/")).status == 200
        done = command("check", "-c", str(sidecar.file), "--exchange", environ=environ)
    assert done.code == 0, done
    assert f"signs for {oidc.token_url} (RS256) and is never sent" in done.out
    assert "ok: a token for" in done.out
    (seen,) = nginx.seen(at_least=1)
    assert oidc.verify(seen.authorization.removeprefix("Bearer "))["client_id"] == oidc.jwt_client_id


def test_check_says_what_is_wrong_with_a_key(
    tmp_path: Path, oidc: OidcProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the wrong kind, encrypted, none at all: each in a sentence, and nothing of it repeated."""
    file = tmp_path / "key.pem"
    file.touch(0o600)
    routes = [route("a", "http://[::1]", "c")]
    process = SidecarProcess(tmp_path, {"credentials": {"c": credential(oidc, {"file": str(file)})}, "routes": routes})
    for content, word in (
        (pem("p384"), "set exchange.sign.alg to ES384"),
        (pem("rsa", password=b"secret"), "encrypted"),
        (b"gct_something-else", "no private key in PEM"),
    ):
        file.write_bytes(content)
        assert main(["check", "-c", str(process.file), "--exchange"]) == 1
        out, err = capsys.readouterr()
        assert word in out
        assert not any(line in out + err for line in content.decode().splitlines() if "-----" not in line)
