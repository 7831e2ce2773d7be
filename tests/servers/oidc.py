"""npm's oidc-provider as a token endpoint: client_credentials in, a signed JWT access token (RFC 9068) out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import jwt

from tests.ports import free_port
from tests.private_keys import public_jwk
from tests.servers import programs
from tests.servers.process import ServerProcess, answers


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """One answered request to the token endpoint; `at` is wall-clock seconds."""

    at: float
    status: int


class OidcProvider(ServerProcess):
    """An oidc-provider of our own, with clients that authenticate by Basic, by form fields, and by what they sign.

    The first two have `client_secret`; to change it, assign and `restart()`. A bad one is answered 401. The third
    has the `rsa` key of `tests.private_keys`.

    Args:
        directory: an empty one, for its output.
        token_life_s: how long its tokens live, in whole seconds from 1.
    """

    basic_client_id = "basic-client"
    post_client_id = "post-client"
    jwt_client_id = "jwt-client"
    audience = "https://api.test"

    def __init__(self, directory: Path, token_life_s: int = 5) -> None:
        if not (programs.OIDC_DIRECTORY / "node_modules").is_dir():
            programs.unavailable("oidc-provider is not installed (python -m tests.servers.install)")
        self.token_life_s = token_life_s
        self.client_secret = "oidc-client-secret-of-the-tests"
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.token_url = f"{self.issuer}/token"
        super().__init__([], directory, ready=lambda: answers(f"{self.issuer}/.well-known/openid-configuration"))

    def start(self) -> None:
        """Start it with the settings of now, and return once it serves."""
        settings = {
            "issuer": self.issuer,
            "port": self.port,
            "basic_client_id": self.basic_client_id,
            "post_client_id": self.post_client_id,
            "jwt_client_id": self.jwt_client_id,
            "jwt_client_key": public_jwk("rsa"),
            "client_secret": self.client_secret,
            "audience": self.audience,
            "token_life_s": self.token_life_s,
        }
        self.command = [programs.node(), programs.OIDC_DIRECTORY / "server.mjs", json.dumps(settings)]
        super().start()

    def answered(self) -> list[TokenAnswer]:
        """Return every request to the token endpoint that it has answered, in order."""
        lines = (line for line in self.output().splitlines() if line.startswith('{"at"'))
        return [TokenAnswer(**json.loads(line)) for line in lines]

    def verify(self, token: str) -> dict[str, object]:
        """Return the claims of a token, verified against its published keys, audience, issuer and expiry.

        Raises:
            jwt.PyJWTError: it is not a token of this server, or has expired.
        """
        key = jwt.PyJWKClient(f"{self.issuer}/jwks").get_signing_key_from_jwt(token)
        claims: dict[str, object] = jwt.decode(
            token, key.key, algorithms=["RS256"], audience=self.audience, issuer=self.issuer
        )
        return claims
