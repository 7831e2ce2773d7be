"""The soak's token endpoint: short-lived tokens, some of which are revoked."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable
from typing import Literal, cast


class Tokens:
    """The tokens that were given out.

    Args:
        life_s: of each.
        clock: seconds.
    """

    def __init__(self, life_s: float, clock: Callable[[], float]) -> None:
        self.life_s = life_s
        self.issued = 0
        self.revoked = 0
        self._clock = clock
        self._expiries: dict[bytes, float] = {}
        self._revoked: set[bytes] = set()
        self._latest = b""

    def issue(self) -> bytes:
        """Return a new token."""
        self.issued += 1
        self._latest = secrets.token_urlsafe(24).encode()
        self._expiries[self._latest] = self._clock() + self.life_s
        return self._latest

    def revoke(self) -> None:
        """Take back the newest."""
        self.revoked += 1
        self._revoked.add(self._latest)

    def judge(self, token: bytes) -> Literal["good", "revoked", "expired", "unknown"]:
        """Say what a token that came with a request is worth now."""
        if token in self._revoked:
            return "revoked"
        expires_at = self._expiries.get(token)
        if expires_at is None:
            return "unknown"
        return "good" if self._clock() < expires_at else "expired"


class TokenEndpoint(asyncio.Protocol):
    """One connection to the token endpoint."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (asyncio calls this)."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answer each request (asyncio calls this); its JSON body ends with a brace."""
        self._buffer += data
        if b"\r\n\r\n" in self._buffer and self._buffer.endswith(b"}"):
            self._buffer = b""
            token = self._tokens.issue().decode()
            body = json.dumps({"token": token, "expires_in": self._tokens.life_s}).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self._transport.write(head.encode() + body)
