"""npm's oauth2-mock-server: a token endpoint that issues signed JWTs to whoever asks, and fails on demand."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import TypedDict

import jwt

from tests.ports import free_port
from tests.servers import programs
from tests.servers.process import ANSWER_WITHIN_S, ServerProcess, answers


class Fault(TypedDict, total=False):
    """What one token request meets: a status, a body, a Retry-After, another life of its token."""

    status: int
    body: object
    retry_after: str
    expires_in: int


class OAuth2Mock(ServerProcess):
    """An oauth2-mock-server of our own.

    Args:
        directory: an empty one, for its output.
    """

    def __init__(self, directory: Path) -> None:
        if not (programs.OAUTH2_MOCK_DIRECTORY / "node_modules").is_dir():
            programs.unavailable("oauth2-mock-server is not installed (python -m tests.servers.install)")
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.token_url = f"{self.issuer}/token"
        settings = json.dumps({"issuer": self.issuer, "port": self.port})
        command: list[str | Path] = [programs.node(), programs.OAUTH2_MOCK_DIRECTORY / "server.mjs", settings]
        super().__init__(command, directory, ready=lambda: answers(f"{self.issuer}/jwks"))

    def meet(self, *faults: Fault) -> None:
        """Have each of the next token requests meet one of these; later ones, and those after them, are answered."""
        request = urllib.request.Request(f"{self.issuer}/faults", json.dumps(faults).encode())
        urllib.request.urlopen(request, timeout=ANSWER_WITHIN_S).close()

    def verify(self, token: str) -> dict[str, object]:
        """Return the claims of a token, verified against its published keys, issuer and expiry.

        Raises:
            jwt.PyJWTError: it is not a token of this server, or has expired.
        """
        key = jwt.PyJWKClient(f"{self.issuer}/jwks").get_signing_key_from_jwt(token)
        claims: dict[str, object] = jwt.decode(token, key.key, algorithms=["RS256"], issuer=self.issuer)
        return claims
