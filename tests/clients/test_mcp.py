"""The MCP SDK's client, by streamable HTTP, against a server of the same SDK's that wants a token.

Each function imports what it uses: the SDK takes a second, and every worker of a parallel run reads this file.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.mirror import Mirror
from tests.clients.stand import KEY, credential, discreet, serving
from tests.fakes import until
from tests.main_job.process import SidecarProcess

if TYPE_CHECKING:
    from mcp.client.session import IncomingMessage

    from tests.clients.mcp_server import McpServer


@dataclass(frozen=True, slots=True)
class Place:
    """The server, what issues tokens for it, and its URL through the sidecar."""

    server: McpServer
    issuer: Mirror
    url: str


@contextmanager
def placed(directory: Path) -> Iterator[Place]:
    """Start all of it."""
    from tests.clients.mcp_server import McpServer

    with McpServer().serving() as server, serving() as issuer:
        route = {"name": "mcp", "upstream": server.url, "credential": "app", "agent_safe": True}
        configuration = {"credentials": {"app": credential(issuer.url)}, "routes": [route]}
        with discreet(SidecarProcess(directory, configuration, {"CLIENTS_KEY": KEY})) as sidecar:
            yield Place(server, issuer, f"http://127.0.0.1:{sidecar.port}/mcp")


@pytest.fixture(scope="module")
def shared_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """All of it, once for these tests."""
    with placed(tmp_path_factory.mktemp("mcp")) as place:
        yield place


@pytest.fixture
def place(shared_place: Place) -> Place:
    """The same, with nothing left of the test before."""
    shared_place.server.seen.clear()
    shared_place.server.go = threading.Semaphore(0)
    return shared_place


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_progress_arrives_as_it_is_made(place: Place, mode: str) -> None:
    """Each event before the next is sent, in both of the protocol's ages."""
    from mcp.client import Client

    steps: list[str | None] = []

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        steps.append(message)
        place.server.go.release()

    async with Client(place.url, mode=mode) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == {"count", "announce"}
        result = await client.call_tool("count", {}, progress_callback=heard)
    assert [getattr(part, "text", "") for part in result.content] == ["counted"]
    assert steps == ["step 0", "step 1", "step 2"]
    assert {seen.authorization for seen in place.server.seen} == {f"Bearer token-{place.issuer.exchanges}"}


async def test_a_session_from_handshake_to_delete(place: Place) -> None:
    """The session's id on every request, what the server says of itself on the GET stream, and DELETE at the end."""
    from mcp.client import Client

    told = asyncio.Event()

    async def heard(message: IncomingMessage) -> None:
        if getattr(message, "method", "") == "notifications/tools/list_changed":
            told.set()

    async with Client(place.url, mode="legacy", message_handler=heard) as client:
        await until(lambda: any(seen.method == "GET" and seen.status == 200 for seen in place.server.seen))
        await client.call_tool("announce", {})
        async with asyncio.timeout(2):
            await told.wait()
    first, *rest = place.server.seen
    assert (first.method, first.session) == ("POST", None)
    assert len({seen.session for seen in rest}) == 1 and rest[0].session
    assert (rest[-1].method, rest[-1].status) == ("DELETE", 200)
    await until(lambda: all(seen.ended for seen in place.server.seen))


async def test_a_rejected_token_does_not_end_a_session(place: Place) -> None:
    """The server takes the token no longer, in mid-session: the tool answers, in the same session, with a new one."""
    from mcp.client import Client

    async with Client(place.url, mode="legacy") as client:
        await until(lambda: any(seen.method == "GET" and seen.status == 200 for seen in place.server.seen))
        before, tokens = len(place.server.seen), place.issuer.exchanges
        place.server.tokens.dead.add(f"token-{tokens}")
        result = await client.call_tool("announce", {})
        assert not result.is_error
    outcomes = [(seen.authorization, seen.status) for seen in place.server.seen[before:]]
    assert outcomes[:2] == [(f"Bearer token-{tokens}", 401), (f"Bearer token-{tokens + 1}", 200)]
    assert place.issuer.exchanges == tokens + 1
    assert len({seen.session for seen in place.server.seen[1:]}) == 1


class NoStorage:
    """Remembers no login."""

    async def get_tokens(self) -> None:
        """None."""

    async def set_tokens(self, tokens: Any) -> None:
        """Forget them."""

    async def get_client_info(self) -> None:
        """None."""

    async def set_client_info(self, client_info: Any) -> None:
        """Forget it."""


async def logins_begun_at(url: str) -> list[str]:
    """Connect as an agent that can log in by OAuth; return the pages that it would have opened in a browser."""
    import httpx2
    from mcp.client import Client
    from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared.auth import OAuthClientMetadata

    pages: list[str] = []

    async def open_browser(page: str) -> None:
        pages.append(page)

    async def come_back() -> AuthorizationCodeResult:
        raise RuntimeError("nobody is there to log in")

    metadata = OAuthClientMetadata.model_validate({"redirect_uris": ["http://localhost:3000/callback"]})
    provider = OAuthClientProvider(url, metadata, NoStorage(), open_browser, come_back)
    async with httpx2.AsyncClient(auth=provider, timeout=20) as http:
        with pytest.raises(Exception):  # noqa: B017  # a group of whatever the SDK makes of it
            async with Client(streamable_http_client(url, http_client=http), mode="legacy"):
                pass
    return pages


async def test_no_agent_starts_to_log_in(tmp_path: Path) -> None:
    """A 401 that stays one: directly it begins an OAuth login; through an agent-safe route it does not."""
    with placed(tmp_path) as place:
        place.server.tokens.closed = True
        (page,) = await logins_begun_at(f"{place.server.url}/mcp")
        assert page.startswith(f"{place.server.url}/authorize?")
        place.server.seen.clear()
        assert await logins_begun_at(place.url) == []
        assert {seen.path for seen in place.server.seen} == {"/mcp"}
