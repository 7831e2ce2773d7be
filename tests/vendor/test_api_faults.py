"""What the API does when it is told to misbehave, and the deeds of the remote control."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sidecar.vendor.server import DEMO_KEY, VendorOptions
from tests.vendor.customer import customer, raw


@pytest.mark.parametrize(
    ("fault", "status"), [("unauthorized", 401), ("forbidden", 403), ("rate_limited", 429), ("server_error", 500)]
)
async def test_the_next_requests_fail(fault: str, status: int) -> None:
    """As many as asked for; exchanges are not among them."""
    async with customer() as asked:
        await asked.control(on="api", fault=fault, count=2, retry_after_s=3)
        token = await asked.token()
        answers = [await asked.ask("GET", "/me", token) for _ in range(3)]
    assert [answer.status for answer in answers] == [status, status, 200]
    assert answers[0].headers.get("Retry-After") == ("3" if fault == "rate_limited" else None)


async def test_a_fault_without_a_count_lasts_until_cleared() -> None:
    """DELETE ends it, and brings the usual life of tokens back."""
    async with customer(VendorOptions(token_life_s=60)) as asked:
        token = await asked.token()
        await asked.control(on="api", fault="forbidden")
        await asked.control(do="token_life", token_life_s=5)
        assert {(await asked.ask("GET", "/me", token)).status for _ in range(5)} == {403}
        state = await asked.ask("DELETE", "/-/faults")
        assert (state.json["faults"], state.json["token_life_s"]) == ([], 60)
        assert (await asked.ask("GET", "/me", token)).status == 200


async def test_slow_api() -> None:
    """A slow request takes its time and is answered."""
    loop = asyncio.get_running_loop()
    async with customer() as asked:
        token = await asked.token()
        await asked.control(on="api", fault="slow", delay_s=0.2, count=1)
        began = loop.time()
        assert (await asked.ask("GET", "/me", token)).status == 200
        assert loop.time() - began >= 0.199  # the clock counts milliseconds


async def test_down_api() -> None:
    """The connection is reset."""
    async with customer() as asked:
        await asked.control(on="api", fault="down", count=1)
        with pytest.raises(ConnectionResetError):
            await raw(asked.vendor, b"GET /me HTTP/1.1\r\nHost: v\r\n\r\n")


async def test_revoking_kills_every_token_at_once() -> None:
    """Old tokens are 401, the key still gives new ones."""
    async with customer() as asked:
        tokens = [await asked.token() for _ in range(3)]
        await asked.control(do="revoke_tokens")
        assert {(await asked.ask("GET", "/me", token)).status for token in tokens} == {401}
        assert (await asked.ask("GET", "/me", await asked.token())).status == 200


async def test_regenerating_kills_key_and_tokens() -> None:
    """The old key and its tokens are 401; the new key, told once, works."""
    async with customer() as asked:
        token = await asked.token()
        key = (await asked.control(do="regenerate_key")).json["api_key"]
        assert key.startswith("gct_")
        assert (await asked.ask("GET", "/me", token)).status == 401
        assert (await asked.exchange(DEMO_KEY)).status == 401
        assert (await asked.exchange(key)).status == 200
        assert key not in (await asked.ask("GET", "/-/faults")).body.decode()


async def test_regenerating_with_a_key_of_choice() -> None:
    """A key that the asker brought is not told back."""
    async with customer() as asked:
        answer = await asked.control(do="regenerate_key", api_key="gct_chosen")
        assert b"gct_chosen" not in answer.body
        assert (await asked.exchange("gct_chosen")).status == 200


async def test_regenerating_may_leave_the_tokens() -> None:
    """The old key is dead at once, what it was exchanged for lives on to its expiry."""
    async with customer() as asked:
        token = await asked.token()
        await asked.control(do="regenerate_key", api_key="gct_chosen", keep_tokens=True)
        assert (await asked.exchange(DEMO_KEY)).status == 401
        assert (await asked.ask("GET", "/me", token)).status == 200
        assert (await asked.ask("GET", "/me", (await asked.exchange("gct_chosen")).json["token"])).status == 200


async def test_token_life_is_changed() -> None:
    """The next token lives as long as was asked for."""
    async with customer() as asked:
        await asked.control(do="token_life", token_life_s=2.5)
        assert (await asked.exchange()).json["expiresAt"] == "2027-01-15T08:00:02.500Z"


@pytest.mark.parametrize(
    "wish",
    [
        {},
        [],
        {"on": "api"},
        {"on": "moon", "fault": "down"},
        {"on": "api", "fault": "html200"},
        {"on": "api", "fault": ["down"]},
        {"on": "api", "fault": "down", "count": 0},
        {"on": "api", "fault": "down", "count": 1.5},
        {"on": "api", "fault": "down", "count": True},
        {"on": "api", "fault": "slow", "delay_s": -1},
        {"on": "api", "fault": "slow", "delay_s": "2"},
        {"on": "api", "fault": "down", "cuont": 1},
        {"do": "nothing"},
        {"do": "token_life"},
        {"do": "token_life", "token_life_s": 0},
        {"do": "regenerate_key", "api_key": 7},
        {"do": "regenerate_key", "api_key": "a\r\nb"},
        {"do": "regenerate_key", "keep_tokens": "yes"},
    ],
)
async def test_a_wish_that_cannot_be_granted(wish: Any) -> None:
    """400 that says what is possible, and nothing is set."""
    async with customer() as asked:
        before = (await asked.ask("GET", "/-/faults")).json
        answer = await asked.ask("POST", "/-/faults", json=wish)
        assert (answer.status, answer.json["code"]) == (400, "BAD_REQUEST")
        assert answer.json["message"] != "Invalid request"
        assert (await asked.ask("GET", "/-/faults")).json == before


async def test_a_wish_that_is_not_json() -> None:
    """400."""
    async with customer() as asked:
        for body in (b"", b"{", b"\xff", b"[" * 20_000):
            assert (await asked.ask("POST", "/-/faults", data=body)).status == 400


async def test_faults_are_shown_with_what_is_left_of_them() -> None:
    """GET tells what is set and every fault there is; other paths are 404."""
    async with customer() as asked:
        await asked.control(on="token", fault="slow", delay_s=0.01, count=2)
        await asked.exchange()
        state = (await asked.ask("GET", "/-/faults")).json
        assert (await asked.ask("GET", "/-/other")).status == 404
    assert [(fault["kind"], fault["count"]) for fault in state["faults"]] == [("slow", 1)]
    assert "html200" in state["known"]["token"]
