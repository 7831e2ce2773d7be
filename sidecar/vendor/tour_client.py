"""What the tour asks with: a plain HTTP client that knows no key and no token.

Not the data plane, and no part of a running sidecar. The rule: it sends what the
`curl` lines of the tour send, nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

_PATIENCE_S = 8.0


class NoAnswer(Exception):
    """Nothing answered, or not in time; the text says what was asked."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `duration_s` is from the request's first byte to the answer's last."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    duration_s: float

    def header(self, name: str) -> str | None:
        """Return the first field of that name, whatever its case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class TourClient:
    """Asks over one pool of connections."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def get(self, url: str) -> Answer:
        """Send a GET. Raises NoAnswer."""
        return await self._ask("GET", url, None)

    async def post(self, url: str, body: str) -> Answer:
        """Send a POST with a JSON text. Raises NoAnswer."""
        return await self._ask("POST", url, body)

    async def _ask(self, method: str, url: str, body: str | None) -> Answer:
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with self._session.request(method, url, data=body, allow_redirects=False) as response:
                content = await response.read()
                return Answer(response.status, tuple(response.headers.items()), content, clock() - began)
        except (aiohttp.ClientError, TimeoutError) as problem:
            raise NoAnswer(f"{method} {url}: {type(problem).__name__}") from problem


@asynccontextmanager
async def tour_client() -> AsyncIterator[TourClient]:
    """Open a client; close it at the end."""
    timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
        yield TourClient(session)
