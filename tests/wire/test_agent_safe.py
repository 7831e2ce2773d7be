"""An agent-safe route: no login is begun there, and what is wrong is said in words that an MCP client hands on."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import replace
from typing import Any

import pytest

from sidecar.agent import MOST_WORDS, words_of
from sidecar.app import App
from sidecar.credentials.remedies import NO_HELP_REMEDY
from sidecar.credentials.rules import Injection
from sidecar.credentials.token import make_token
from sidecar.routes import Allow
from sidecar.secret import Secret
from tests.fakes import Message, Tokens, Wire, always, response, until, upstream
from tests.wire.running import STATIC, Running, in_front_of, route_to, sidecar, with_tokens
from tests.wire.test_rejection import takes

AGENT_SAFE = {"agent_safe": True}
CALL = json.dumps({"jsonrpc": "2.0", "id": 7, "method": "tools/list"}).encode()
# As the SDKs send it.
ACCEPT = "Accept: application/json, text/event-stream"
CHALLENGE = 'WWW-Authenticate: Bearer resource_metadata="http://127.0.0.1/.well-known/oauth-protected-resource"'
REJECTED = response(
    b'{"error": "invalid_token", "error_description": "The account is suspended"}',
    CHALLENGE,
    "Content-Type: application/json",
    status="401 Unauthorized",
)


class TokensOnce(Tokens):
    """One token, and from then on this answer.

    Args:
        then: a whole response.
    """

    def __init__(self, then: bytes) -> None:
        super().__init__()
        self._then = then

    async def __call__(self, wire: Wire) -> None:
        while not self.count:
            await wire.request()
            self.count = 1
            await wire.send(response(b'{"token": "token-1", "expires_in": 3600}', "Content-Type: application/json"))
        while True:
            await wire.request()
            await wire.send(self._then)


async def call(running: Running, *lines: str, method: str = "POST", accept: str = ACCEPT) -> Message:
    """Call as an MCP client does."""
    return await running.ask(method, "/mcp", accept, *lines, body=CALL if method == "POST" else b"")


def words(answer: Message) -> str:
    """Return what an MCP client would hand on."""
    assert answer.value("content-type") == b"application/json" and answer.status >= 400
    assert answer.values("www-authenticate") == []
    said = json.loads(answer.body)
    assert (said["jsonrpc"], said["id"], said["error"]["code"]) == ("2.0", None, -32000)
    assert said["error"]["data"]["status"] == answer.status
    message = said["error"]["message"]
    assert isinstance(message, str) and message.startswith("sidecar: ")
    return message


async def test_our_own_problems_come_as_errors_of_json_rpc() -> None:
    """With the status and the fields that they have anyway, and the problem itself as data."""
    rule = {"route": AGENT_SAFE | {"allow": (Allow(("GET",)),)}}
    async with in_front_of(always(response()), **rule) as (sidecar, _):
        answer = await call(sidecar)
        assert answer.status == 403 and answer.proxy_error == b"http_request_denied"
        assert words(answer) == "sidecar: no rule of this route allows this"
        assert json.loads(answer.body)["error"]["data"]["reason"] == "rule"


async def test_a_read_only_view_of_an_api() -> None:
    """What an agent may look at, it may not change, by whatever field it says so; it is told that a rule forbids it."""
    rules = {"route": AGENT_SAFE | {"allow": (Allow(("GET", "HEAD"), ("/projects/**",)),)}}
    async with in_front_of(always(response()), **rules) as (running, upstream):
        for method in ("GET", "HEAD"):
            assert (await running.ask(method, "/projects/7")).status == 200
        for method, lines in (("DELETE", []), ("PATCH", []), ("GET", ["X-HTTP-Method-Override: DELETE"])):
            assert (await running.ask(method, "/projects/7", *lines)).reason == "rule"
        assert words(await call(running)) == "sidecar: no rule of this route allows this"
        assert [one.method for one in upstream.requests] == [b"GET", b"HEAD"]


@pytest.mark.parametrize(
    ("method", "accept", "agent_safe"),
    [
        ("GET", ACCEPT, True),
        ("POST", "Accept: application/json", True),
        ("POST", "Accept: */*", True),
        ("POST", "X-Accept: application/json, text/event-stream", True),
        ("POST", ACCEPT, False),
    ],
)
async def test_others_are_told_as_everywhere(method: str, accept: str, agent_safe: bool) -> None:
    """Who has not asked for JSON-RPC gets problem+json, and so does everybody on other routes."""
    route = {"agent_safe": agent_safe, "allow": (Allow(("PUT",)),)}
    async with in_front_of(always(response()), route=route) as (sidecar, _):
        assert (await call(sidecar, method=method, accept=accept)).reason == "rule"


@pytest.mark.parametrize("lines", [["Accept: text/event-stream"], ["accept: TEXT/event-stream;q=0.5"]])
async def test_an_accept_of_two_lines_says_both(lines: list[str]) -> None:
    """RFC 9110 5.3; whatever its case."""
    route = AGENT_SAFE | {"allow": (Allow(("PUT",)),)}
    async with in_front_of(always(response()), route=route) as (sidecar, _):
        assert "no rule" in words(await call(sidecar, *lines, accept="Accept: application/json"))


async def test_a_401_that_stays_is_told_in_words(caplog: pytest.LogCaptureFixture) -> None:
    """A new token is rejected too: exchanging does not help. The upstream's words go to the agent, not into the log."""
    async with with_tokens(always(REJECTED), Tokens(), route=AGENT_SAFE) as (sidecar, upstream):
        assert sidecar.app.stats.refusals.by_reason[("rejected", "crm")] == 0
        for count in (2, 3):  # with a replay, and held down
            answer = await call(sidecar)
            assert answer.status == 502
            assert answer.value("proxy-status") == b"sidecar; error=proxy_configuration_error; received-status=401"
            said = words(answer)
            assert "the upstream answers 401 to the token of credential crm, and exchanging" in said
            assert NO_HELP_REMEDY in said and said.endswith("The upstream says: The account is suspended")
            assert len(upstream.requests) == count
        other = await sidecar.ask("GET", "/mcp", "Accept: text/event-stream")
        assert (other.status, other.reason, other.values("www-authenticate")) == (502, "rejected", [])
        assert json.loads(other.body)["upstream"] == "The account is suspended"
        assert sidecar.app.stats.refusals.by_reason[("rejected", "crm")] == 3
    assert "suspended" not in caplog.text and "the upstream answers 401" in caplog.text


async def test_a_rejection_that_a_new_token_mends_is_none() -> None:
    """As on any route."""
    async with with_tokens(takes("token-2", otherwise=REJECTED), Tokens(), route=AGENT_SAFE) as (sidecar, _):
        assert (await call(sidecar)).status == 200


async def test_a_401_that_the_next_try_may_mend_says_so() -> None:
    """The request could not be sent again; by the next one there is another token."""
    route = AGENT_SAFE | {"replay_body_bytes": 0}
    async with with_tokens(takes("token-2", otherwise=REJECTED), tokens := Tokens(), route=route) as (sidecar, _):
        answer = await call(sidecar)
        assert (answer.status, answer.value("retry-after")) == (503, b"1")
        assert "what to do: try again in a moment" in words(answer)
        await until(lambda: tokens.count == 2 and sidecar.app.credentials()[0].recent[-1].trigger == "rejection")
        assert (await call(sidecar)).status == 200


@pytest.mark.parametrize(
    ("then", "said"),
    [
        (response(b"{}", status="401 Unauthorized"), "refuses the API key"),
        (response(b"oops", status="500 Oops"), "500"),
    ],
)
async def test_a_401_where_no_other_token_is_to_be_had(then: bytes, said: str) -> None:
    """Why there is none is what has to be mended."""
    async with with_tokens(always(REJECTED), TokensOnce(then), route=AGENT_SAFE) as (sidecar, _):
        message = words(answer := await call(sidecar))
        assert answer.status == 503
        assert "and there is no other: " in message and said in message and "what to do: " in message


async def test_a_route_without_a_credential_hides_the_challenge_too() -> None:
    """An agent could do no more about it there."""
    route = AGENT_SAFE | {"credential": None}
    async with in_front_of(always(REJECTED), route=route) as (sidecar, _):
        answer = await call(sidecar)
        assert answer.status == 502 and "name a credential on this route" in words(answer)


async def test_a_401_that_is_no_rejection_is_hidden_as_well() -> None:
    """`reject_statuses` may leave it out; a client looks at the status alone."""
    credential = replace(STATIC, reject_statuses=(403,))
    async with in_front_of(always(REJECTED), route=AGENT_SAFE, credential=credential) as (sidecar, _):
        answer = await call(sidecar)
        assert answer.status == 502 and NO_HELP_REMEDY in words(answer)


async def test_a_key_that_is_the_token_cannot_be_exchanged() -> None:
    """So a 401 to it is one that stays."""
    async with in_front_of(always(REJECTED), route=AGENT_SAFE) as (sidecar, _):
        for _ in range(2):
            answer = await call(sidecar)
            assert answer.status == 502 and NO_HELP_REMEDY in words(answer)


async def test_a_403_loses_its_challenge_alone() -> None:
    """`insufficient_scope` has a client ask for a login with more; status and body are the upstream's."""
    forbidden = response(
        b'{"error": "insufficient_scope"}',
        'WWW-Authenticate: Bearer error="insufficient_scope"',
        status="403 Forbidden",
    )
    async with in_front_of(always(forbidden), route=AGENT_SAFE) as (sidecar, _):
        answer = await call(sidecar)
        assert (answer.status, answer.body) == (403, b'{"error": "insufficient_scope"}')
        assert answer.values("www-authenticate") == answer.values("proxy-status") == []


@pytest.mark.parametrize("framing", ["chunked", "large", "slow", "cut"])
async def test_a_401_without_an_end_is_not_waited_for(framing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is large, or not whole in a moment, has no words; the app is told, and its connection goes on."""
    monkeypatch.setattr("sidecar.agent.PATIENCE_S", 0.05)

    async def script(wire: Wire) -> None:
        await wire.request()
        head = b"HTTP/1.1 401 Unauthorized\r\n"
        lines = {
            "chunked": b"Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n",
            "large": b"Content-Length: 99999\r\n\r\nx",
        }
        await wire.send(head + lines.get(framing, b"Content-Length: 9\r\n\r\nfirst"))
        if framing != "cut":
            await wire.ended()

    async with in_front_of(script, route=AGENT_SAFE) as (sidecar, _):
        wire = await sidecar.connect()
        for _ in range(2):
            await wire.send(sidecar.ask_bytes("POST", "/mcp", ACCEPT, body=CALL))
            said = words(await wire.response())
            assert "the upstream answers 401" in said and "The upstream says" not in said
        wire.close()
        await sidecar.nothing_left()


async def test_the_words_of_a_401_that_comes_in_chunks() -> None:
    """As it does from behind most content delivery networks."""
    text = b'{"message": "The account is suspended"}'

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await wire.send(b"HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n")
            await wire.send(b"%x\r\n%b\r\n" % (len(text), text), b"0\r\n\r\n")

    async with in_front_of(script, route=AGENT_SAFE) as (sidecar, _):
        assert words(await call(sidecar)).endswith("The upstream says: The account is suspended")


async def test_a_replacement_that_is_not_the_current_token_any_more_is_not_told_either() -> None:
    """It was sent, and may be good elsewhere, though another has come since."""
    answered = asyncio.Event()
    apps: list[App] = []

    async def script(wire: Wire) -> None:
        while True:
            token = (await wire.request()).values("authorization")[0]
            if token != b"Bearer token-1":
                await apps[0].refresh(None)
                answered.set()
            await wire.send(response(b"not good: " + token, status="401 Unauthorized"))

    async with with_tokens(script, Tokens(), route=AGENT_SAFE) as (running, _):
        apps.append(running.app)
        assert "token-2" not in words(await call(running))
        assert answered.is_set()


TOKEN = make_token(Secret(b"the-token"), Injection(), obtained_at=0.0, expires_at=9.0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"error": "invalid_token", "error_description": "It was revoked"}', "It was revoked"),
        (b'{"message": "No such\\n user \\u001b[31m", "code": "X"}', "No such user [31m"),
        (b'{"error": {"message": "Not yours"}}', "Not yours"),
        (b'{"title": "Unauthorized", "detail": "Suspended"}', "Suspended"),
        (b'"quoted"', "quoted"),
        (b"Plain text.\r\n", "Plain text."),
        (b"<html>login</html>", ""),
        (b'{"code": 7}', ""),
        (b"[1, 2]", ""),
        (b"\xff\xfe", ""),
        (b"", ""),
        (b'{"detail": "not the-token"}', ""),  # it would be a secret in a model's context
        (b"x" * 400, "x" * (MOST_WORDS - 3) + "..."),
        (b"[" * 10_000, "[" * (MOST_WORDS - 3) + "..."),
        (b"x" * 20_000, ""),
    ],
)
async def test_the_upstream_s_words(content: bytes, said: str) -> None:
    """One line of what a person would read; no page, no control characters, no token."""
    assert await words_of(content, TOKEN, None) == said


@pytest.mark.parametrize(
    "content",
    [
        b'{"detail": "not abc/def+0123456789=="}',
        rb'{"detail": "not abc\/def+0123456789=="}',  # as PHP writes it
        rb'{"detail": "not \u0061bc\u002fdef+01234\u00356789=="}',
        b"not abc/def+0...",
        b"not ...3456789==",
        b"abc/def+\n0123456789==",
        b"not abc%2Fdef%2B0123456789%3D%3D",
    ],
)
async def test_no_part_of_a_token_is_among_the_words(content: bytes) -> None:
    """Neither as it is, nor as JSON or a URL spells it, nor its beginning alone."""
    token = make_token(Secret(b"abc/def+0123456789=="), Injection(), obtained_at=0.0, expires_at=9.0)
    assert await words_of(content, None, token) == ""


async def test_nothing_of_it_is_in_the_way_elsewhere(caplog: pytest.LogCaptureFixture) -> None:
    """A route that is not agent-safe relays a 401 byte for byte."""
    caplog.set_level(logging.CRITICAL)
    keys: dict[str, Any] = {"route": {"agent_safe": False}}
    async with with_tokens(always(REJECTED), Tokens(), **keys) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", "/mcp", ACCEPT, body=CALL))
        assert await wire.exactly(len(REJECTED)) == REJECTED


async def test_the_metadata_of_its_path_stands_elsewhere_and_is_hidden_there() -> None:
    """RFC 9728 3.1 puts it at the root, where another route may be; that one keeps its own."""
    async with upstream(always(response())) as server:
        routes = (route_to(server.port), route_to(server.port, "/mcp/", name="mcp", agent_safe=True))
        async with sidecar(*routes) as running:
            for name in ("oauth-protected-resource", "oauth-authorization-server", "openid-configuration"):
                for path in ("/mcp", "/mcp/", "/mcp/x", "/%6dcp", "/x/../mcp"):
                    answer = await running.ask("GET", f"/.well-known/{name}{path}")
                    assert answer.status in (403, 404) and answer.proxy_error, path
            assert server.requests == []
            for path in ("/.well-known/oauth-protected-resource", "/.well-known/openid-configuration/mcps", "/mcp"):
                assert (await running.ask("GET", path)).status == 200
