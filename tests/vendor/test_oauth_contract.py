"""`POST /oauth/token`: the client credentials grant of RFC 6749 4.4."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from sidecar.vendor.server import DEMO_KEY, VendorOptions
from tests.vendor.customer import Answer, Customer, customer

_GRANT = {"grant_type": "client_credentials"}
_POST = {**_GRANT, "client_id": "demo", "client_secret": DEMO_KEY}
_BASIC = {"Authorization": aiohttp.encode_basic_auth("demo", DEMO_KEY)}


async def grant(asked: Customer, form: Any, headers: dict[str, str] | None = None) -> Answer:
    """Ask for a token."""
    return await asked.ask("POST", "/oauth/token", data=form, headers=headers or {})


@pytest.mark.parametrize(("form", "headers"), [(_POST, None), (_GRANT, _BASIC)], ids=["post", "basic"])
async def test_a_client_is_given_a_token(form: dict[str, str], headers: dict[str, str] | None) -> None:
    """The client shows itself in the form or by Basic, and the token works at the API."""
    async with customer(VendorOptions(token_life_s=90.7)) as asked:
        answer = await grant(asked, form, headers)
        assert answer.status == 200
        assert (answer.json["token_type"], answer.json["expires_in"]) == ("Bearer", 90)
        assert answer.headers["Cache-Control"] == "no-store"
        assert (await asked.ask("GET", "/me", answer.json["access_token"])).status == 200


@pytest.mark.parametrize(
    ("form", "headers"),
    [
        ({**_POST, "client_secret": "gct_wrong"}, None),
        ({**_POST, "client_id": "other"}, None),
        (_GRANT, {"Authorization": aiohttp.encode_basic_auth("demo", "gct_wrong")}),
    ],
    ids=["secret", "client", "basic"],
)
async def test_a_wrong_client_is_invalid(form: dict[str, str], headers: dict[str, str] | None) -> None:
    """401 invalid_client."""
    async with customer() as asked:
        answer = await grant(asked, form, headers)
    assert (answer.status, answer.json) == (401, {"error": "invalid_client"})
    assert answer.headers["WWW-Authenticate"] == "Basic"


@pytest.mark.parametrize(
    ("form", "headers"),
    [
        (_GRANT, None),
        (_POST, _BASIC),
        ({**_POST, "grant_type": "password"}, None),
        ([*_POST.items(), ("client_id", "demo")], None),
        (b'{"grant_type": "client_credentials"}', {"Content-Type": "application/json"}),
        (b"", {"Content-Type": "application/x-www-form-urlencoded"}),
        (b"\xff\xfe", {"Content-Type": "application/x-www-form-urlencoded"}),
        (_GRANT, {"Authorization": "Basic !!!"}),
        (_GRANT, {"Authorization": "Basic /w=="}),
        (_GRANT, {"Authorization": "Bearer abc"}),
    ],
    ids=["nobody", "twice", "grant", "double", "json", "empty", "bytes", "no base64", "no text", "bearer"],
)
async def test_a_malformed_request_is_invalid(form: Any, headers: dict[str, str] | None) -> None:
    """400 invalid_request, whatever is wrong with it."""
    async with customer() as asked:
        answer = await grant(asked, form, headers)
    assert (answer.status, answer.json) == (400, {"error": "invalid_request"})


async def test_basic_is_form_encoded_inside() -> None:
    """Client id and secret are form-encoded before they are packed (RFC 6749 2.3.1)."""
    async with customer(VendorOptions(client_id="a:b c")) as asked:
        headers = {"Authorization": aiohttp.encode_basic_auth("a%3Ab+c", DEMO_KEY)}
        assert (await grant(asked, _GRANT, headers)).status == 200
