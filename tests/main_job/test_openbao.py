"""OpenBao as the vendor: a secret id for a token of its API, that token for a JWT of others, and a login by signature.

Vault's protocol throughout: the token goes into `X-Vault-Token`, a bad secret id is 400, a dead token 403.
"""

from __future__ import annotations

import json
from pathlib import Path

import jwt

from tests.main_job.client import Admin, Client
from tests.main_job.configuration import SHORT_LIVES, Section, route
from tests.main_job.process import running
from tests.main_job.test_rejected_key import replace
from tests.private_keys import pem, public_pem
from tests.servers.nginx import Nginx
from tests.servers.openbao import OpenBao

LEASE: Section = {"token": "/auth/client_token", "expires_in": "/auth/lease_duration"}
VAULT_TOKEN: Section = {"header": "X-Vault-Token", "value": "{token}"}


def approle(server: OpenBao, secret_id: Path) -> Section:
    """Return a credential that logs in by AppRole; the secret id is in a file."""
    secret_id.touch(0o600)
    return {
        "api_key": {"file": str(secret_id)},
        "exchange": {
            "url": server.url + server.login_path,
            "json": {"role_id": server.role_id, "secret_id": "{api_key}"},
            "response": LEASE,
        },
        "inject": VAULT_TOKEN,
        "reject_statuses": [403],
        **SHORT_LIVES,
    }


async def test_a_login_its_end_and_another(tmp_path: Path, openbao: OpenBao) -> None:
    """A token is worn until it dies; a destroyed secret id is the key's fault and said so; a new one mends it."""
    file = tmp_path / "secret-id"
    credential = approle(openbao, file)
    secret_id = openbao.secret_id()
    file.write_text(secret_id)
    configuration = {"credentials": {"vault": credential}, "routes": [route("v", openbao.url, "vault")]}
    target = f"/v{openbao.secret_path}"
    async with running(tmp_path, configuration, {"UNUSED": secret_id}) as sidecar:
        client, admin = Client(sidecar.port), Admin(sidecar.admin_port)
        assert json.loads((await client.ask("GET", target)).body)["data"]["data"] == {"answer": "42"}
        # Revoked: one rejection, one exchange, and the app sees the answer only.
        openbao.revoke_tokens()
        assert (await client.ask("GET", target)).status == 200
        await admin.until(1, "sidecar_replays_total", outcome="ok")
        # The secret id is dead, the token it brought is not.
        openbao.destroy(secret_id)
        refused = await admin.ask("POST", "/-/refresh")
        assert refused.status == 502 and secret_id.encode() not in refused.body
        await admin.until(1, "sidecar_exchanges_total", outcome="key_rejected", trigger="manual")
        assert (await client.ask("GET", target)).status == 200
        (state,) = (await admin.json("/status"))["credentials"]
        assert (state["state"], state["usable"]) == ("key_rejected", True)
        assert str(file) in state["remedy"]
        replace(file, openbao.secret_id())
        await admin.until(1, "sidecar_exchanges_total", outcome="ok", trigger="key_change")
        assert (await client.ask("GET", target)).status == 200


async def test_a_token_for_an_identity_token(tmp_path: Path, openbao: OpenBao, nginx: Nginx) -> None:
    """A GET with the key in a field brings a JWT for other APIs, which lives as long as its answer says."""
    token = openbao.login(openbao.secret_id())
    credential = {
        "api_key": {"env": "VAULT_TOKEN"},
        "exchange": {
            "method": "GET",
            "url": openbao.url + openbao.oidc_path,
            "headers": {"X-Vault-Token": "{api_key}"},
            "response": {"token": "/data/token", "expires_in": "/data/ttl"},
        },
        **SHORT_LIVES,
    }
    configuration = {"credentials": {"oidc": credential}, "routes": [route("a", nginx.http_url, "oidc")]}
    async with running(tmp_path, configuration, {"VAULT_TOKEN": token}) as sidecar:
        assert (await Client(sidecar.port).ask("GET", "/a/")).status == 200
        (state,) = (await Admin(sidecar.admin_port).json("/status"))["credentials"]
    (seen,) = nginx.seen(at_least=1)
    keys = jwt.PyJWKClient(f"{openbao.url}/v1/identity/oidc/.well-known/keys")
    worn = seen.authorization.removeprefix("Bearer ")
    claims = jwt.decode(worn, keys.get_signing_key_from_jwt(worn).key, ["RS256"], options={"verify_aud": False})
    assert claims["exp"] - claims["iat"] == openbao.oidc_life_s
    assert state["state"] == "fresh"


async def test_a_login_by_what_the_key_signs(tmp_path: Path, openbao: OpenBao) -> None:
    """OpenBao verifies the assertion by the public key that it was given; the private one never leaves the process."""
    openbao.trust(public_pem("rsa"), audience="openbao")
    file = tmp_path / "key.pem"
    file.touch(0o600)
    file.write_bytes(pem("rsa"))
    credential = {
        "api_key": {"file": str(file)},
        "exchange": {
            "url": openbao.url + openbao.jwt_login_path,
            "sign": {"claims": {"iss": "me", "sub": "app", "aud": "openbao"}},
            "json": {"role": "app", "jwt": "{assertion}"},
            "response": LEASE,
        },
        "inject": VAULT_TOKEN,
        **SHORT_LIVES,
    }
    configuration = {"credentials": {"vault": credential}, "routes": [route("v", openbao.url, "vault")]}
    async with running(tmp_path, configuration) as sidecar:
        client, admin = Client(sidecar.port), Admin(sidecar.admin_port)
        assert (await client.ask("GET", f"/v{openbao.secret_path}")).status == 200
        # A key that OpenBao does not know, in its place: refused, and the old token stays in use.
        file.write_bytes(pem("p256"))
        await admin.until(1, "sidecar_exchanges_total", outcome="key_rejected", trigger="key_change")
        assert (await client.ask("GET", f"/v{openbao.secret_path}")).status == 200
        output = sidecar.output()
    assert "set exchange.sign.alg to ES256" in output
    assert not any(line.decode() in output for kind in ("rsa", "p256") for line in pem(kind).splitlines()[1:-1])
