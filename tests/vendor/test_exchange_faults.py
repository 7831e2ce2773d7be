"""What the token endpoint does when it is told to misbehave."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from sidecar.vendor.server import DEMO_KEY
from tests.vendor.customer import Answer, Clock, Customer, customer, raw

_EXCHANGE = (
    b"POST /auth/token HTTP/1.1\r\nHost: v\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    % len(json.dumps({"apiKey": DEMO_KEY}))
    + json.dumps({"apiKey": DEMO_KEY}).encode()
)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("revoked_key", 401, "UNAUTHORIZED"),
        ("forbidden", 403, "FORBIDDEN"),
        ("rate_limited", 429, "RATE_LIMITED"),
        ("server_error", 500, "INTERNAL_ERROR"),
    ],
)
async def test_a_good_key_is_refused(fault: str, status: int, code: str) -> None:
    """A status with the contract's code, as often as asked for, and then a token again."""
    async with customer() as asked:
        await asked.control(on="token", fault=fault, count=2)
        answers = [await asked.exchange() for _ in range(3)]
    assert [answer.status for answer in answers] == [status, status, 200]
    assert answers[0].json["code"] == code


async def test_a_refusal_in_oauths_words() -> None:
    """The same fault at `/oauth/token` is worded as RFC 6749 does."""
    async with customer() as asked:
        await asked.control(on="token", fault="revoked_key", count=1)
        answer = await asked.ask("POST", "/oauth/token")
    assert (answer.status, answer.json) == (401, {"error": "invalid_client"})


async def test_rate_limited_says_when() -> None:
    """Retry-After is what was asked for."""
    async with customer() as asked:
        await asked.control(on="token", fault="rate_limited", retry_after_s=7)
        assert (await asked.exchange()).headers["Retry-After"] == "7"


async def test_slow_waits_and_then_goes_on() -> None:
    """A slow exchange takes its time and ends with a token."""
    loop = asyncio.get_running_loop()
    async with customer() as asked:
        await asked.control(on="token", fault="slow", delay_s=0.2, count=1)
        began = loop.time()
        assert (await asked.exchange()).status == 200
        assert loop.time() - began >= 0.2


async def test_slow_and_refused_together() -> None:
    """A delay does not hide another fault."""
    async with customer() as asked:
        await asked.control(on="token", fault="forbidden", count=1)
        await asked.control(on="token", fault="slow", delay_s=0.01, count=1)
        assert [(await asked.exchange()).status for _ in range(2)] == [403, 200]


async def test_down_resets_the_connection() -> None:
    """Not a byte comes back, and the log has no status for it."""
    async with customer() as asked:
        await asked.control(on="token", fault="down", count=1)
        with pytest.raises(ConnectionResetError):
            await raw(asked.vendor, _EXCHANGE)
        entry = (await asked.ask("GET", "/-/log")).json["entries"][-1]
    assert (entry["on"], entry["status"]) == ("token", None)


async def test_truncated_ends_before_its_announced_end() -> None:
    """The head and half of the body come, then the end of the connection."""
    async with customer() as asked:
        await asked.control(on="token", fault="truncated", count=1)
        head, _, body = (await raw(asked.vendor, _EXCHANGE)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length"))
        assert 0 < len(body) < length
        await asked.control(on="token", fault="truncated", count=1)
        with pytest.raises(aiohttp.ClientPayloadError):
            await asked.exchange()


async def misbehaving(asked: Customer, fault: str) -> Answer:
    """Return the answer of an endpoint that has this fault."""
    await asked.control(on="token", fault=fault, count=1)
    return await asked.ask("POST", "/auth/token", data=b"{}")


async def test_malformed_answers() -> None:
    """HTML at 200, nothing at 200, JSON without a token."""
    async with customer() as asked:
        page, nothing, other = [await misbehaving(asked, fault) for fault in ("html200", "empty", "no_token")]
    assert (page.status, page.headers["Content-Type"], page.body[:5]) == (200, "text/html; charset=utf-8", b"<!doc")
    assert (nothing.status, nothing.headers["Content-Type"], nothing.body) == (200, "application/json", b"")
    assert (other.status, "token" in other.json) == (200, False)


async def test_already_expired() -> None:
    """A token that is a minute past its expiry; the API refuses it."""
    async with customer(clock=Clock(1_800_000_000.0)) as asked:
        await asked.control(on="token", fault="already_expired", count=1)
        answer = await asked.exchange()
        assert answer.json["expiresAt"] == "2027-01-15T07:59:00.000Z"
        assert (await asked.ask("GET", "/me", answer.json["token"])).status == 401


async def test_a_redirect_would_carry_the_key_along() -> None:
    """307, so that a client that follows it sends method and body again, and the log shows it."""
    async with customer() as asked:
        response = await misbehaving(asked, "redirect")
        assert (response.status, response.headers["Location"]) == (307, "/moved/auth/token")
        await asked.control(on="token", fault="redirect", count=1)
        async with asked.session.post(f"{asked.vendor.url}/auth/token", json={}) as followed:
            assert followed.status == 401
        entry = (await asked.ask("GET", "/-/log")).json["entries"][-1]
    assert (entry["method"], entry["path"]) == ("POST", "/moved/auth/token")
