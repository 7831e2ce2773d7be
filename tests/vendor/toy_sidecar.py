"""A sidecar of sixty lines, to try the tour on: it keeps the promises, or breaks the one that a test names."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import Any

import aiohttp
from aiohttp import web

from sidecar.config.values import Config


class ToySidecar:
    """Forwards to the one route of its configuration.

    Args:
        config: as the tour makes it.
        breaks: a promise to break: `refresh`, `replay`, `forbidden`, `metrics`, `answer` or nothing.
    """

    def __init__(self, config: Config, breaks: str = "") -> None:
        self._exchange_rules = config.credentials[0].exchange
        self._upstream = config.routes[0].upstream.url
        self._listen, self._admin_listen = config.listen[0], config.admin.listen
        self._breaks = breaks
        self._token, self._expires_at, self._life_s, self._exchanges = "", 0.0, 0.0, 0
        self._refresh: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen on both, and exchange once."""
        self._session = aiohttp.ClientSession()
        self._app = await self._serve(self._forward, self._listen.host, self._listen.port)
        self._admin = await self._serve(self._tell, self._admin_listen.host, self._admin_listen.port)
        await self._exchange()
        if self._breaks != "refresh":
            self._refresh = asyncio.create_task(self._renew())

    async def stop(self) -> None:
        """Close everything."""
        if self._refresh is not None:
            self._refresh.cancel()
        await self._app.cleanup()
        await self._admin.cleanup()
        await self._session.close()

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where apps connect."""
        return [self._app.addresses[0]]

    @property
    def admin_address(self) -> tuple[str, int]:
        """Where health is asked for."""
        address: tuple[str, int] = self._admin.addresses[0]
        return address

    async def _serve(self, handler: Any, host: str, port: int) -> web.ServerRunner:
        runner = web.ServerRunner(web.Server(handler))
        await runner.setup()
        await web.TCPSite(runner, host, port).start()
        return runner

    async def _exchange(self) -> None:
        rules = self._exchange_rules
        assert rules is not None
        async with self._session.post(rules.url, json={"apiKey": "gct_demo_0123456789abcdef"}) as answer:
            told = await answer.json()
        self._token, self._exchanges = told["token"], self._exchanges + 1
        self._life_s = datetime.fromisoformat(told["expiresAt"]).timestamp() - datetime.now().timestamp()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._life_s * 0.4)
            await self._exchange()

    async def _forward(self, request: web.BaseRequest) -> web.Response:
        if self._breaks == "answer":
            return web.Response(status=502)
        status, content_type, body = await self._send(request)
        rejected = status == 401 and self._breaks != "replay"
        if rejected or (status == 403 and self._breaks == "forbidden"):
            await self._exchange()
            status, content_type, body = await self._send(request)
        return web.Response(status=status, body=body, content_type=content_type)

    async def _send(self, request: web.BaseRequest) -> tuple[int, str, bytes]:
        headers = {"Authorization": f"Bearer {self._token}"}
        async with self._session.get(self._upstream + request.raw_path, headers=headers) as answer:
            return answer.status, answer.content_type, await answer.read()

    async def _tell(self, request: web.BaseRequest) -> web.Response:
        if request.path == "/status":
            credential = {"name": "demo", "state": "fresh", "usable": True, "expires_in_s": 1, "last_exchange": None}
            return web.Response(text=json.dumps({"credentials": [credential]}))
        count = self._exchanges + (self._breaks == "metrics")
        return web.Response(text=f'sidecar_exchanges_total{{credential="demo",outcome="ok",trigger="start"}} {count}\n')
