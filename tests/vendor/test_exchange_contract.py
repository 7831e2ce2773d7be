"""`POST /auth/token`: Giant Context's contract."""

from __future__ import annotations

import io

import jwt
import pytest

from sidecar.secret import Secret
from sidecar.vendor.server import DEMO_KEY, VendorOptions
from tests.vendor.customer import Clock, customer


async def test_a_key_is_exchanged_for_a_token() -> None:
    """The answer is a JWT, and its expiry in ISO 8601 with milliseconds and Z, in both places the same."""
    async with customer(VendorOptions(token_life_s=60), Clock(1_800_000_000.0)) as asked:
        answer = await asked.exchange()
    claims = jwt.decode(answer.json["token"], options={"verify_signature": False, "verify_exp": False})
    assert answer.status == 200
    assert set(answer.json) == {"token", "expiresAt"}
    assert answer.json["expiresAt"] == "2027-01-15T08:01:00.000Z"
    assert set(claims) == {"sub", "iat", "exp", "jti"}
    assert (claims["iat"], claims["exp"]) == (1_800_000_000, 1_800_000_060)
    assert jwt.get_unverified_header(answer.json["token"]) == {"alg": "HS256", "typ": "JWT"}


async def test_expiry_keeps_its_fraction() -> None:
    """A life of parts of a second is exact to the millisecond."""
    async with customer(VendorOptions(token_life_s=1.5), Clock(1_800_000_000.25)) as asked:
        answer = await asked.exchange()
    claims = jwt.decode(answer.json["token"], options={"verify_signature": False, "verify_exp": False})
    assert answer.json["expiresAt"] == "2027-01-15T08:00:01.750Z"
    assert claims["exp"] == 1_800_000_001.75


async def test_date_is_the_clock_that_expiry_is_counted_from() -> None:
    """A client that corrects for clocks that differ finds the vendor's own in `Date`."""
    async with customer(clock=Clock(1_800_000_000.0)) as asked:
        assert (await asked.exchange()).headers["Date"] == "Fri, 15 Jan 2027 08:00:00 GMT"


async def test_every_token_is_another() -> None:
    """Two exchanges in the same instant give two tokens, and every answer has its own request id."""
    async with customer() as asked:
        first, second = await asked.exchange(), await asked.exchange()
    assert first.json["token"] != second.json["token"]
    assert first.headers["X-Request-Id"] != second.headers["X-Request-Id"]


@pytest.mark.parametrize("key", ["gct_wrong", "", DEMO_KEY + "x", DEMO_KEY[:-1], "ключ", "\ud800"])
async def test_a_wrong_key_is_unauthorized(key: str) -> None:
    """401 with the contract's message and code."""
    async with customer() as asked:
        answer = await asked.exchange(key)
    assert answer.status == 401
    assert answer.json == {"message": "Invalid or expired API key", "code": "UNAUTHORIZED"}


async def test_the_key_is_the_configured_one() -> None:
    """With a key of its own, the built-in one is worth nothing."""
    async with customer(VendorOptions(api_key=Secret("gct_mine"))) as asked:
        assert (await asked.exchange("gct_mine")).status == 200
        assert (await asked.exchange()).status == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b"{}",
        b'{"apiKey": 7}',
        b'{"apikey": "gct_x"}',
        b"\xff",
        b"[" * 20_000,
        b" " * 1_048_576 + b"{}",
    ],
)
async def test_a_malformed_request_is_a_bad_request(body: bytes) -> None:
    """400 with the contract's code, whatever is wrong with it."""
    async with customer() as asked:
        answer = await asked.ask("POST", "/auth/token", data=io.BytesIO(body))
    assert answer.status == 400
    assert answer.json["code"] == "BAD_REQUEST"


async def test_only_post_is_allowed() -> None:
    """405 with Allow."""
    async with customer() as asked:
        answer = await asked.ask("GET", "/auth/token")
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")
