"""An MCP server of the SDK's, with its own OAuth guard, run by uvicorn in a thread.

Imported where it is used alone: the SDK takes a second.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import Context, MCPServer
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

STEPS = 3
PATIENCE_S = 5.0


@dataclass(slots=True)
class Seen:
    """One request as the server saw it; `status` is 0 until it answers, `ended` once the answer has ended."""

    method: str
    path: str
    session: str | None
    authorization: str | None
    status: int = 0
    ended: bool = False


class Tokens:
    """Lets in every token but the dead ones."""

    def __init__(self) -> None:
        self.dead: set[str] = set()
        self.closed = False

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return whose token it is, or None."""
        if self.closed or token in self.dead:
            return None
        return AccessToken(token=token, client_id="app", scopes=[])


@contextmanager
def unchanged_logging() -> Iterator[None]:
    """Undo what is done to the root logger: the SDK gives it a handler of its own, and other tests look at theirs."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


class McpServer:
    """The server, and what it saw."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.tokens = Tokens()
        self.seen: list[Seen] = []
        self.forbids = False
        self.go = threading.Semaphore(0)
        settings = AuthSettings.model_validate(
            {"issuer_url": self.url, "resource_server_url": f"{self.url}/mcp", "validate_token_resource": False}
        )
        with unchanged_logging():
            self._server = MCPServer("tools", token_verifier=self.tokens, auth=settings)
        self._server.tool()(self.count)
        self._server.tool()(self.announce)
        self._server.custom_route("/.well-known/oauth-authorization-server", ["GET"])(self.metadata)
        self._server.custom_route("/register", ["POST"])(self.register)

    async def count(self, context: Context) -> str:
        """Report progress step by step, each once the client has had the one before."""
        for step in range(STEPS):
            if step and not await asyncio.to_thread(self.go.acquire, timeout=PATIENCE_S):
                return "the client has not had the last step"
            await context.report_progress(step, STEPS, f"step {step}")
        return "counted"

    async def announce(self, context: Context) -> str:
        """Tell the client, on its GET stream, that there are other tools now."""
        await context.session.send_tool_list_changed()
        return "announced"

    async def metadata(self, _request: Request) -> JSONResponse:
        """Describe an authorization server that does not exist but for this and the registration."""
        endpoints = {f"{name}_endpoint": f"{self.url}/{path}" for name, path in ENDPOINTS.items()}
        kinds = {"response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"]}
        return JSONResponse({"issuer": self.url, **endpoints, **kinds})

    async def register(self, request: Request) -> JSONResponse:
        """Take any client."""
        return JSONResponse({**await request.json(), "client_id": "client-1"}, 201)

    @contextmanager
    def serving(self) -> Iterator[McpServer]:
        """Run it."""
        app = self._noting(self._server.streamable_http_app())
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1, ws="none"))
        thread = threading.Thread(target=server.run, args=([self._socket],))
        thread.start()
        try:
            while not server.started:
                thread.join(0.01)
            yield self
        finally:
            server.should_exit = True
            thread.join()
            self._socket.close()

    def _noting(self, app: ASGIApp) -> ASGIApp:
        """Return the app, which now notes what it is asked."""

        async def noting(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            fields = {name.decode(): value.decode() for name, value in scope["headers"]}
            seen = Seen(scope["method"], scope["path"], fields.get("mcp-session-id"), fields.get("authorization"))
            self.seen.append(seen)

            async def noting_send(message: Message) -> None:
                seen.status = message.get("status", seen.status)
                await send(message)

            if self.forbids and scope["path"] == "/mcp":
                challenge = 'Bearer error="insufficient_scope", scope="all"'
                await Response("not yours", 403, {"WWW-Authenticate": challenge})(scope, receive, noting_send)
            else:
                await app(scope, receive, noting_send)
            seen.ended = True

        return noting


ENDPOINTS = {"authorization": "authorize", "token": "token", "registration": "register"}
