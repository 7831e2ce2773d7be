"""The vendor's own SDKs exchange keys themselves: they get a placeholder, and the vendor never hears of it."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sidecar.config.values import ShieldConfig
from tests.fakes import Wire, response
from tests.wire.running import STATIC, in_front_of

SHIELDED = replace(STATIC, shield=ShieldConfig("/auth/token"))


async def _echo_token(wire: Wire) -> None:
    while True:
        request = await wire.request()
        await wire.send(response(request.value("authorization") or b""))


@pytest.mark.parametrize("path", ["/auth/token", "/api/auth/token", "/auth/token?x=1"])
async def test_a_key_exchange_is_answered_here(path: str) -> None:
    """With a placeholder that lasts a day; nothing of it goes upstream, and the connection goes on."""
    async with in_front_of(_echo_token, credential=SHIELDED) as (sidecar, upstream):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", path, body=b'{"apiKey": "gct_placeholder"}'))
        answer = await wire.response()
        given = json.loads(answer.body)
        assert answer.status == 200
        assert given["expiresAt"].endswith("Z")
        left = datetime.fromisoformat(given["expiresAt"]) - datetime.now(UTC)
        assert timedelta(hours=23) < left <= timedelta(hours=24)
        assert upstream.requests == []
        await wire.send(sidecar.ask_bytes("GET", "/me", f"Authorization: Bearer {given['token']}"))
        assert (await wire.response()).body == b"Bearer the-key"


async def test_other_requests_to_that_path_go_upstream() -> None:
    """Only a POST is an exchange."""
    async with in_front_of(_echo_token, credential=SHIELDED) as (sidecar, upstream):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("GET", "/auth/token"))
        assert (await wire.response()).body == b"Bearer the-key"
        assert len(upstream.requests) == 1


async def test_a_real_key_is_warned_about_and_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    """It is neither forwarded nor logged."""
    async with in_front_of(_echo_token, credential=SHIELDED) as (sidecar, upstream):
        wire = await sidecar.connect()
        with caplog.at_level(logging.DEBUG):
            await wire.send(sidecar.ask_bytes("POST", "/auth/token", body=b'{"apiKey": "gct_0123456789abcdef"}'))
            assert (await wire.response()).status == 200
        assert "looks like a real API key" in caplog.text
        assert "gct_0123" not in caplog.text
        assert upstream.requests == []


async def test_a_large_or_unknown_body_is_not_waited_for() -> None:
    """The answer comes at once, and the connection ends."""
    async with in_front_of(_echo_token, credential=SHIELDED) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", "/auth/token", "Content-Length: 1000000"))
        answer = await wire.response()
        assert (answer.status, answer.value("connection")) == (200, b"close")


async def test_nothing_on_an_agent_safe_route_begins_a_login() -> None:
    """A 404 of ours for metadata, and for what agents try where there is none, whatever the upstream would say."""
    metadata = ("oauth-protected-resource", "oauth-authorization-server/mcp", "openid-configuration")
    asked = [*(f"/.well-known/{name}" for name in metadata), "/mcp/.well-known/openid-configuration", "/authorize?x=1"]
    async with in_front_of(_echo_token, route={"agent_safe": True}) as (sidecar, upstream):
        for path in asked:
            answer = await sidecar.ask("GET", path)
            assert (answer.status, answer.reason) == (404, "agent_safe"), path
        for path in ("/register", "/token"):
            assert (await sidecar.ask("POST", path, body=b"{}")).status == 404
        assert upstream.requests == []
        for path in ("/mcp", "/mcp/register", "/tokens", "/authorized"):
            assert (await sidecar.ask("GET", path)).status == 200


async def test_an_sdk_that_waits_to_be_told_to_post_its_key() -> None:
    """RFC 9110 10.1.1: with Expect the body may come only after the 100."""
    async with in_front_of(_echo_token, credential=SHIELDED) as (sidecar, upstream):
        wire = await sidecar.connect()
        body = b'{"apiKey": "gct_placeholder"}'
        lines = ("Expect: 100-continue", f"Content-Length: {len(body)}")
        await wire.send(sidecar.ask_bytes("POST", "/auth/token", *lines))
        assert (await wire.response()).status == 100
        await wire.send(body)
        assert (await wire.response()).status == 200
        assert upstream.requests == []
