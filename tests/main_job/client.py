"""An app, or a person with curl: plain HTTP to one port of this machine, and whole answers back."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.fakes import Message, Wire
from tests.main_job.figures import Figures

POLL_S = 0.02


class Client:
    """Asks one port.

    Args:
        port: of 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self.port = port

    def request(self, method: str = "GET", target: str = "/", *lines: str, body: bytes = b"") -> bytes:
        """Return the bytes of a request; a body gets its Content-Length."""
        sized = [f"Content-Length: {len(body)}"] if body else []
        head = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *lines, *sized, "", ""]
        return "\r\n".join(head).encode() + body

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Wire]:
        """Connect for the length of a block."""
        wire = Wire(*await asyncio.open_connection("127.0.0.1", self.port, limit=2**20))
        try:
            yield wire
        finally:
            wire.writer.transport.abort()

    async def ask(self, method: str = "GET", target: str = "/", *lines: str, body: bytes = b"") -> Message:
        """Make one request on a connection of its own, and return its answer."""
        async with self.connected() as wire:
            await wire.send(self.request(method, target, *lines, body=body))
            return await wire.response(to=method)

    async def until_accepts(self, within_s: float = 10.0) -> None:
        """Wait until somebody listens there."""
        deadline = time.monotonic() + within_s
        while True:
            try:
                async with self.connected():
                    return
            except OSError:
                assert time.monotonic() < deadline, f"nobody listens on port {self.port}"
            await asyncio.sleep(POLL_S)

    async def until_answered(self, target: str, status: int, within_s: float = 5.0) -> Message:
        """Ask for a target until it is answered with this status; return that answer."""
        deadline = time.monotonic() + within_s
        while (answer := await self.ask("GET", target)).status != status:
            assert time.monotonic() < deadline, answer
            await asyncio.sleep(POLL_S)
        return answer


class Admin(Client):
    """Asks an admin listener."""

    async def json(self, path: str) -> Any:
        """Return what a path answers, whatever its status."""
        return json.loads((await self.ask("GET", path)).body)

    async def figures(self) -> Figures:
        """Return the metrics of now."""
        return Figures((await self.ask("GET", "/metrics")).body.decode())

    async def until(self, count: float, name: str, within_s: float = 10.0, **labels: str) -> None:
        """Wait until the samples of a metric that have these labels sum up to this."""
        deadline = time.monotonic() + within_s
        while (value := (await self.figures()).sum(name, **labels)) != count:
            assert time.monotonic() < deadline, f"{name} is {value}, not {count}"
            await asyncio.sleep(POLL_S)

    async def ready(self, within_s: float = 5.0) -> None:
        """Wait until it is ready."""
        await self.until_answered("/readyz", 200, within_s)
