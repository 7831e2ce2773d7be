"""OpenBao, a fork of Vault: AppRole and JWT logins, tokens with a lease, an API that takes them, and OIDC tokens.

A bad secret id is answered 400, a token that is none any more 403.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.servers import programs
from tests.servers.process import ANSWER_WITHIN_S, ServerProcess, answers

_ROOT = "root-token-of-the-tests"
_POLICY = """
path "secret/data/*" { capabilities = ["read"] }
path "identity/oidc/token/*" { capabilities = ["read"] }
"""


class OpenBao(ServerProcess):
    """An OpenBao of our own, in memory, with one role `app` for logins, and one for OIDC tokens.

    Args:
        directory: an empty one, for its output.
        token_life_s: how long a login's token lives, in whole seconds.
        oidc_life_s: how long an OIDC token lives.
    """

    login_path = "/v1/auth/approle/login"
    jwt_login_path = "/v1/auth/jwt/login"
    oidc_path = "/v1/identity/oidc/token/app"
    secret_path = "/v1/secret/data/app"

    def __init__(self, directory: Path, token_life_s: int = 3600, oidc_life_s: int = 30) -> None:
        self.token_life_s = token_life_s
        self.oidc_life_s = oidc_life_s
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.role_id = ""
        command: list[str | Path] = [
            programs.openbao(),
            "server",
            "-dev",
            "-dev-no-store-token",
            f"-dev-root-token-id={_ROOT}",
            f"-dev-listen-address=127.0.0.1:{self.port}",
        ]
        super().__init__(command, directory, ready=lambda: answers(f"{self.url}/v1/sys/health"))

    def start(self) -> None:
        """Start it, and return once it serves and has its roles: nothing outlives a stop."""
        super().start()
        self.call("PUT", "/v1/sys/policies/acl/app", {"policy": _POLICY})
        self.call("POST", self.secret_path, {"data": {"answer": "42"}})
        self.call("POST", "/v1/sys/auth/approle", {"type": "approle"})
        life = {"token_ttl": f"{self.token_life_s}s", "token_policies": ["app"]}
        self.call("POST", "/v1/auth/approle/role/app", life)
        self.role_id = self.call("GET", "/v1/auth/approle/role/app/role-id")["data"]["role_id"]
        self.call("POST", "/v1/identity/oidc/key/app", {"allowed_client_ids": "*"})
        self.call("POST", "/v1/identity/oidc/role/app", {"key": "app", "ttl": f"{self.oidc_life_s}s"})

    def secret_id(self) -> str:
        """Return a new secret id of the role."""
        return str(self.call("POST", "/v1/auth/approle/role/app/secret-id", {})["data"]["secret_id"])

    def destroy(self, secret_id: str) -> None:
        """Have a secret id be refused from now on; tokens that it brought live on."""
        self.call("POST", "/v1/auth/approle/role/app/secret-id/destroy", {"secret_id": secret_id})

    def login(self, secret_id: str) -> str:
        """Return a new token, exchanged as an app would."""
        answer = self.call("POST", self.login_path, {"role_id": self.role_id, "secret_id": secret_id})
        return str(answer["auth"]["client_token"])

    def revoke_tokens(self) -> None:
        """Make every token that AppRole logins have brought dead at once."""
        self.call("PUT", "/v1/sys/leases/revoke-prefix/auth/approle/login", {})

    def trust(self, public_key: bytes, audience: str) -> None:
        """Let in by JWT whoever signs for this audience by this key, given in PEM."""
        self.call("POST", "/v1/sys/auth/jwt", {"type": "jwt"})
        self.call("POST", "/v1/auth/jwt/config", {"jwt_validation_pubkeys": [public_key.decode()]})
        role = {
            "role_type": "jwt",
            "user_claim": "sub",
            "bound_audiences": [audience],
            "token_policies": ["app"],
            "token_ttl": f"{self.token_life_s}s",
        }
        self.call("POST", "/v1/auth/jwt/role/app", role)

    def call(self, method: str, path: str, body: object | None = None) -> Any:
        """Return what it answers to its administrator, who must not be refused."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"X-Vault-Token": _ROOT}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_WITHIN_S) as response:
                return json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{method} {path}: {error.code} {error.read()!r}") from None
