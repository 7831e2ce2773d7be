"""A customer of a vendor: what the vendor's tests ask it with, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from sidecar.vendor.server import DEMO_KEY, Vendor, VendorOptions


class Clock:
    """A wall clock that stands still until a test moves it."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Answer:
    """One answer, read to its end."""

    def __init__(self, response: aiohttp.ClientResponse, body: bytes, json: Any) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = body
        self.json = json


class Customer:
    """Asks one vendor."""

    def __init__(self, vendor: Vendor, session: aiohttp.ClientSession) -> None:
        self.vendor = vendor
        self.session = session

    async def ask(self, method: str, path: str, token: str | None = None, **more: Any) -> Answer:
        """Send one request, with a token where one is given, and read the answer."""
        headers = dict(more.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        url = self.vendor.url + path
        async with self.session.request(method, url, headers=headers, allow_redirects=False, **more) as response:
            body = await response.read()
            is_json = response.content_type == "application/json" and body
            return Answer(response, body, await response.json() if is_json else None)

    async def exchange(self, key: str = DEMO_KEY) -> Answer:
        """Exchange an API key as Giant Context's clients do."""
        return await self.ask("POST", "/auth/token", json={"apiKey": key})

    async def token(self) -> str:
        """Return a token."""
        return str((await self.exchange()).json["token"])

    async def control(self, **wish: object) -> Answer:
        """Set a fault or have a deed done; it must be accepted."""
        answer = await self.ask("POST", "/-/faults", json=wish)
        assert answer.status == 200, answer.body
        return answer

    async def counters(self) -> dict[str, int]:
        """Return the vendor's counters."""
        counters: dict[str, int] = (await self.ask("GET", "/-/log")).json["counters"]
        return counters


@asynccontextmanager
async def customer(options: VendorOptions | None = None, clock: Clock | None = None) -> AsyncIterator[Customer]:
    """Start a vendor on a free port and return somebody who asks it; the clock stands still unless it is moved."""
    vendor = Vendor(options, now=clock or Clock())
    await vendor.start()
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            yield Customer(vendor, session)
    finally:
        await vendor.stop()


async def raw(vendor: Vendor, request: bytes) -> bytes:
    """Send bytes; return all that comes until the vendor closes. Raises ConnectionResetError for a reset."""
    host, port = vendor.url.removeprefix("http://").rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request)
        async with asyncio.timeout(5):
            return await reader.read()
    finally:
        writer.close()
