"""The MCP SDK's client, by streamable HTTP, against a server of the same SDK's that wants a token.

Each function imports what it uses: the SDK takes a second, and every worker of a parallel run reads this file.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.mirror import Mirror
from tests.clients.stand import KEY, credential, discreet, serving
from tests.fakes import until
from tests.main_job.process import SidecarProcess
from tests.ports import free_port

if TYPE_CHECKING:
    from mcp.client import Client
    from mcp.client.session import IncomingMessage

    from tests.clients.mcp_server import McpServer


@dataclass(frozen=True, slots=True)
class Place:
    """The server, what issues tokens for it, and its URL through the sidecar."""

    server: McpServer
    issuer: Mirror
    url: str


@pytest.fixture(scope="module")
def shared_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """All of it, once for these tests: three ways to the one server."""
    from tests.clients.mcp_server import McpServer

    with McpServer().serving() as server, serving() as issuer:
        common = {"upstream": server.url, "agent_safe": True}
        routes: list[dict[str, object]] = [
            {"name": "mcp", "credential": "app", **common},
            {"name": "readable", "match": {"path": "/readable/"}, "allow": [{"methods": ["GET"]}], **common},
            {"name": "tokenless", "match": {"path": "/tokenless/"}, "credential": "none", **common},
        ]
        nobody = f"http://127.0.0.1:{free_port()}"
        configuration = {"credentials": {"app": credential(issuer.url), "none": credential(nobody)}, "routes": routes}
        directory = tmp_path_factory.mktemp("mcp")
        with discreet(SidecarProcess(directory, configuration, {"CLIENTS_KEY": KEY})) as sidecar:
            yield Place(server, issuer, f"http://127.0.0.1:{sidecar.port}/mcp")


@pytest.fixture
def place(shared_place: Place) -> Place:
    """The same, with nothing left of the test before but what the sidecar knows of its tokens."""
    shared_place.server.seen.clear()
    shared_place.server.go = threading.Semaphore(0)
    shared_place.server.tokens.closed = shared_place.server.forbids = False
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


@dataclass(slots=True)
class Agent:
    """An agent that can log in by OAuth, and what it did.

    `pages` are those that it would have opened in a browser, `asked` path and status of each of its requests.
    """

    pages: list[str] = field(default_factory=list)
    asked: list[tuple[str, int]] = field(default_factory=list)

    def assert_no_login(self) -> None:
        """It has begun none, and found nowhere that there is one."""
        assert self.pages == []
        assert {status for path, status in self.asked if path.startswith("/.well-known/")} <= {404}
        assert 401 not in {status for _, status in self.asked}

    @asynccontextmanager
    async def connected(self, url: str, mode: str = "legacy") -> AsyncIterator[Client]:
        """Connect to an MCP server."""
        import httpx2
        from mcp.client import Client
        from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
        from mcp.client.streamable_http import streamable_http_client
        from mcp.shared.auth import OAuthClientMetadata

        async def open_browser(page: str) -> None:
            self.pages.append(page)

        async def come_back() -> AuthorizationCodeResult:
            raise RuntimeError("nobody is there to log in")

        async def note(response: httpx2.Response) -> None:
            self.asked.append((response.request.url.path, response.status_code))

        metadata = OAuthClientMetadata.model_validate({"redirect_uris": ["http://localhost:3000/callback"]})
        provider = OAuthClientProvider(url, metadata, NoStorage(), open_browser, come_back)
        hooks: Any = {"response": [note]}
        async with httpx2.AsyncClient(auth=provider, timeout=20, event_hooks=hooks) as http:
            async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
                yield client

    async def told(self, url: str, mode: str = "legacy") -> str:
        """Try to connect and to list the tools; return what the user is told."""
        try:
            async with self.connected(url, mode) as client:
                await client.list_tools()
        except Exception as error:
            return " / ".join(texts(error))
        return ""


def texts(error: BaseException) -> list[str]:
    """Return what the errors in a group say."""
    if isinstance(error, BaseExceptionGroup):
        return [text for inner in error.exceptions for text in texts(inner)]
    return [str(error)]


async def test_a_token_endpoint_that_is_down(place: Place) -> None:
    """There is no token at all: what to mend is said in words."""
    for mode in ("legacy", "auto"):
        agent = Agent()
        said = await agent.told(place.url.replace("/mcp", "/tokenless/mcp"), mode)
        assert "sidecar: no token for credential none: no connection to 127.0.0.1" in said, mode
        assert "check host and port in exchange.url" in said
        agent.assert_no_login()
    assert place.server.seen == []


async def test_what_a_rule_forbids(place: Place) -> None:
    """`allow` with GET is a read-only view of an API; of an MCP server it is none, as every call is a POST."""
    agent = Agent()
    said = await agent.told(place.url.replace("/mcp", "/readable/mcp"))
    assert "sidecar: no rule of this route allows this" in said
    agent.assert_no_login()
    assert place.server.seen == []


async def test_an_account_that_lacks_a_scope(place: Place) -> None:
    """403: directly it begins a login that asks for more; through an agent-safe route it does not."""
    place.server.forbids = True
    directly, agent = Agent(), Agent()
    await directly.told(f"{place.server.url}/mcp")
    assert len(directly.pages) == 1
    await agent.told(place.url)
    agent.assert_no_login()
    assert agent.asked[0] == ("/mcp", 403)


# From here on, the sidecar knows that exchanging again does not help.


async def test_a_session_whose_account_is_shut_out(place: Place) -> None:
    """In mid-session: the tool's caller hears it, the session goes on, and works once the account is let in again."""
    from mcp import MCPError

    agent = Agent()
    async with agent.connected(place.url) as client:
        await client.list_tools()
        place.server.tokens.closed = True
        with pytest.raises(MCPError, match="sidecar: the upstream answers 401 to the token of credential app"):
            await client.call_tool("announce", {})
        place.server.tokens.closed = False
        assert not (await client.call_tool("announce", {})).is_error
    agent.assert_no_login()


async def test_no_agent_starts_to_log_in(place: Place) -> None:
    """A 401 that stays one: directly it begins an OAuth login; through an agent-safe route the user hears why."""
    place.server.tokens.closed = True
    directly = Agent()
    await directly.told(f"{place.server.url}/mcp")
    (page,) = directly.pages
    assert page.startswith(f"{place.server.url}/authorize?")
    place.server.seen.clear()
    for mode in ("legacy", "auto"):
        agent = Agent()
        said = await agent.told(place.url, mode)
        assert "sidecar: the upstream answers 401 to the token of credential app" in said, mode
        assert "Exchanging again will not help: ask the upstream's administrator" in said
        agent.assert_no_login()
    assert {seen.path for seen in place.server.seen} == {"/mcp"}
