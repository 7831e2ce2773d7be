"""What an exchange sends, and to whom."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import parse_qsl, unquote_plus

import pytest

from sidecar import __version__
from sidecar.credentials.exchange import StaticExchanger
from sidecar.credentials.rules import BasicAuth, ExchangeRules, Injection
from sidecar.errors import ExchangeFailed, KeyUnavailable
from sidecar.secret import Secret
from tests.credentials.endpoint import answer, endpoint, says
from tests.credentials.exchanging import GOOD, KEY, exchange, exchanger, rules, sent_by
from tests.credentials.manual_clock import NOW, ManualClock


async def test_a_key_becomes_a_token() -> None:
    """The vendor's contract, from request to token."""
    body = b'{"token": "abc", "expiresAt": "2030-01-01T01:00:00Z"}'
    async with endpoint(says(answer(body, "Content-Type: application/json"))) as server:
        token = await exchange(rules(server.port, json={"apiKey": "{api_key}"}))
    assert token.line.reveal() == b"Authorization: Bearer abc\r\n"
    assert (token.obtained_at, token.expires_at) == (NOW, NOW + 3600)


async def test_the_key_in_json() -> None:
    """Every string of the template is filled in, however deep; names and other values stay."""
    template = {"apiKey": "{api_key}", "{api_key}": [1, None, True, {"x": "<{api_key}>"}], "scope": "a b"}
    async with endpoint(says(GOOD)) as server:
        line, fields, body = await sent_by(rules(server.port, json=template), server)
    assert line == b"POST /auth/token HTTP/1.1"
    assert json.loads(body) == {
        "apiKey": "gct_canary",
        "{api_key}": [1, None, True, {"x": "<gct_canary>"}],
        "scope": "a b",
    }
    assert fields == {
        "host": f"127.0.0.1:{server.port}",
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": f"sidecar/{__version__}",
        "content-type": "application/json",
        "content-length": str(len(body)),
        "connection": "close",
    }


async def test_a_key_with_json_s_own_characters() -> None:
    """A key is data: quotes, backslashes and braces in it change nothing around it."""
    key = Secret('a"b\\c{api_key}%+&=;')
    async with endpoint(says(GOOD)) as server:
        _, _, body = await sent_by(rules(server.port, json={"k": "{api_key}"}), server, key)
        assert json.loads(body) == {"k": key.reveal().decode()}
        _, _, body = await sent_by(rules(server.port, form=(("k", "{api_key}"),)), server, key)
        assert parse_qsl(body.decode(), strict_parsing=True) == [("k", key.reveal().decode())]


async def test_the_key_in_a_form() -> None:
    """Values are filled in and encoded; names may repeat."""
    form = (("grant_type", "client_credentials"), ("resource", "a"), ("resource", "b c"), ("secret", "{api_key}"))
    async with endpoint(says(GOOD)) as server:
        _, fields, body = await sent_by(rules(server.port, form=form), server)
    assert parse_qsl(body.decode()) == [(name, value.replace("{api_key}", "gct_canary")) for name, value in form]
    assert fields["content-type"] == "application/x-www-form-urlencoded"


async def test_the_key_in_basic_authentication() -> None:
    """Both halves are filled in, beside a form or with no body at all."""
    async with endpoint(says(GOOD)) as server:
        basic = BasicAuth("me", "{api_key}")
        _, fields, body = await sent_by(rules(server.port, basic=basic), server)
    assert base64.b64decode(fields["authorization"].removeprefix("Basic ")) == b"me:gct_canary"
    assert (body, fields["content-length"]) == (b"", "0")
    assert "content-type" not in fields


@pytest.mark.parametrize("secret", ["p%41+q:r/s=t&u", "\"'<>;,?@", "plain-_.~0"])
async def test_basic_is_form_urlencoded_where_oauth_wants_it(secret: str) -> None:
    """Each half by itself, so that a client id may hold a colon (RFC 6749 2.3.1); else as it is (RFC 7617)."""
    async with endpoint(says(GOOD)) as server:
        for username, form_encoded in (("my client:1+1%", True), ("my client", False)):
            basic = BasicAuth(username, "{api_key}", form_encoded)
            _, fields, _ = await sent_by(rules(server.port, basic=basic), server, Secret(secret))
            pair = base64.b64decode(fields["authorization"].removeprefix("Basic ")).decode()
            halves = pair.split(":", 1)
            if form_encoded:
                assert pair.count(":") == 1 and " " not in pair
                halves = [unquote_plus(half) for half in halves]
            assert halves == [username, secret]


async def test_the_key_in_a_field_of_a_get() -> None:
    """Any method, and fields of the configuration in place of ours, whatever their case."""
    headers = (("X-Api-Key", "{api_key}"), ("accept", "application/vnd.vendor+json"), ("USER-AGENT", "mine"))
    async with endpoint(says(GOOD)) as server:
        line, fields, _ = await sent_by(rules(server.port, method="GET", headers=headers), server)
    assert line == b"GET /auth/token HTTP/1.1"
    assert fields["x-api-key"] == "gct_canary"
    assert fields["accept"] == "application/vnd.vendor+json"
    assert fields["user-agent"] == "mine"


@pytest.mark.parametrize("key", [b"", b"a b", b"a\r\nX: y", b"a\n", b"a\0", b"a\x7f", "ké".encode(), b"\xff"])
async def test_a_key_that_could_split_a_field_is_never_sent(key: bytes) -> None:
    """Not a byte of it: no connection is made."""
    async with endpoint(says(GOOD)) as server:
        with pytest.raises(KeyUnavailable) as refused:
            await exchange(rules(server.port, headers=(("X-Key", "{api_key}"),)), key=Secret(key))
        assert server.connections == 0
    assert "X: y" not in str(refused.value)


async def test_the_environment_has_no_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither proxies nor a netrc are used: the key goes to its endpoint and comes with nothing else."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with endpoint(says(GOOD)) as server, endpoint(says(GOOD)) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        _, fields, _ = await sent_by(rules(server.port, json={"k": "{api_key}"}), server)
        assert proxy.connections == 0
    assert "authorization" not in fields


async def test_nothing_is_remembered_between_exchanges() -> None:
    """Each exchange has its own connection, and no cookie comes back."""
    reply = answer(b'{"token": "abc"}', "Set-Cookie: a=b; Path=/", "Connection: keep-alive")
    async with endpoint(says(reply)) as server, exchanger(rules(server.port, json={})) as made:
        for _ in range(3):
            await made.exchange(KEY)
        assert server.connections == 3
        assert not any(b"cookie" in request.lower() for request in server.requests)


async def test_an_exchanger_can_be_closed_unused() -> None:
    """And twice."""
    async with exchanger(rules(1)) as made:
        await made.close()


async def test_an_endpoint_s_url_that_is_none() -> None:
    """A URL that the configuration should not have let through fails like any other exchange."""
    for url in ("http://", "http://[::1", "nonsense"):
        with pytest.raises((ExchangeFailed, ValueError)):
            await exchange(ExchangeRules(url=url))


async def test_a_static_key_is_its_own_token() -> None:
    """It never expires, and obeys the same rules as any key."""
    static = StaticExchanger(Injection("X-Api-Key", "{token}"), ManualClock())
    token = await static.exchange(KEY)
    assert token.line.reveal() == b"X-Api-Key: gct_canary\r\n"
    assert token.expires_at == float("inf")
    with pytest.raises(KeyUnavailable):
        await static.exchange(Secret("a b"))
    await static.close()
