"""What the vendor remembers of what it saw."""

from __future__ import annotations

import jwt

from sidecar.vendor.server import DEMO_KEY, VendorOptions
from tests.vendor.customer import Clock, customer


async def test_requests_in_their_order() -> None:
    """Time, method, path, status, token id and whether the token had expired on arrival; no query."""
    clock = Clock(1_800_000_000.0)
    async with customer(VendorOptions(token_life_s=60), clock) as asked:
        token = await asked.token()
        await asked.ask("GET", "/me?secret=1", token)
        clock.now += 61
        await asked.ask("PUT", "/upload", token)
        await asked.ask("GET", "/nowhere")
        log = (await asked.ask("GET", "/-/log")).json
    token_id = jwt.decode(token, options={"verify_signature": False, "verify_exp": False})["jti"]
    seen = [
        (entry["on"], entry["method"], entry["path"], entry["status"], entry["token_id"], entry["expired"])
        for entry in log["entries"]
    ]
    assert seen == [
        ("token", "POST", "/auth/token", 200, None, False),
        ("api", "GET", "/me", 200, token_id, False),
        ("api", "PUT", "/upload", 401, token_id, True),
        ("api", "GET", "/nowhere", 401, None, False),
    ]
    assert log["entries"][2]["time"] == "2027-01-15T08:01:01.000Z"
    assert [entry["token"] for entry in log["entries"]] == [None, "good", "expired", None]
    assert log["counters"] == {
        "exchanges": 1, "tokens_issued": 1, "requests": 3, "rejected": 2, "expired_tokens_seen": 1,
    }  # fmt: skip


async def test_a_revoked_token_is_still_known_by_its_id() -> None:
    """Revoked and expired are told apart; a token that was never signed has no id."""
    async with customer() as asked:
        token = await asked.token()
        await asked.control(do="revoke_tokens")
        await asked.ask("GET", "/me", token)
        await asked.ask("GET", "/me", token[:-1])
        entries = (await asked.ask("GET", "/-/log")).json["entries"]
    assert [(entry["token"], entry["expired"]) for entry in entries[1:]] == [("revoked", False), ("unknown", False)]
    assert [entry["token_id"] is None for entry in entries[1:]] == [False, True]


async def test_exchanges_that_failed_are_counted_too() -> None:
    """`exchanges` counts those that were asked for, `tokens_issued` those that brought a token."""
    async with customer() as asked:
        await asked.exchange("gct_wrong")
        await asked.exchange()
        counters = await asked.counters()
    assert (counters["exchanges"], counters["tokens_issued"]) == (2, 1)


async def test_neither_key_nor_token_is_in_it() -> None:
    """Nothing that could be used is kept."""
    async with customer() as asked:
        token = await asked.token()
        await asked.ask("GET", f"/me?key={DEMO_KEY}", token)
        body = (await asked.ask("GET", "/-/log")).body
    assert token.encode() not in body
    assert DEMO_KEY.encode() not in body


async def test_it_is_bounded() -> None:
    """Only the last ones are remembered, long paths are cut; the counters count on."""
    async with customer(VendorOptions(log_entries=3)) as asked:
        for number in range(5):
            await asked.ask("GET", f"/{number}" + "x" * 1000)
        log = (await asked.ask("GET", "/-/log")).json
    assert [entry["path"][:2] for entry in log["entries"]] == ["/2", "/3", "/4"]
    assert max(len(entry["path"]) for entry in log["entries"]) == 256
    assert log["counters"]["requests"] == 5


async def test_it_is_forgotten_on_demand() -> None:
    """DELETE empties log and counters."""
    async with customer() as asked:
        await asked.ask("GET", "/me")
        await asked.ask("DELETE", "/-/log")
        log = (await asked.ask("GET", "/-/log")).json
    assert log["entries"] == []
    assert set(log["counters"].values()) == {0}
