"""The field that carries the token is ours alone: no copy that an app sends reaches the upstream, however it comes.

Source: RFC 9110 7.6.1, 6.5.1, 11.6.2; CVE-2025-64484 (oauth2-proxy, `_`), CVE-2016-5385 (httpoxy).
"""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.config.values import CredentialConfig
from sidecar.credentials.rules import Injection
from tests.attack.asking import answer, as_bytes, at, head
from tests.fakes import Tokens, always, response, upstream
from tests.wire.running import KEY, STATIC_LINE, exchanging, in_front_of, route_to, sidecar

CANARY = b"canary"


def injecting(header: str, value: str = "{token}", drop: tuple[str, ...] = ()) -> CredentialConfig:
    """Return a credential whose token goes into this field."""
    return CredentialConfig("crm", KEY, preset="static", inject=Injection(header, value, drop))


CREDENTIALS: dict[str, tuple[CredentialConfig, bytes]] = {
    "Authorization": (injecting("Authorization", "Bearer {token}"), STATIC_LINE),
    "X-Api-Key": (injecting("X-Api-Key"), b"X-Api-Key: the-key"),
    "Cookie": (injecting("Cookie", "session={token}"), b"Cookie: session=the-key"),
    "X.Odd_Key": (injecting("X.Odd_Key"), b"X.Odd_Key: the-key"),
    "PRIVATE-TOKEN": (injecting("PRIVATE-TOKEN", drop=("Authorization",)), b"PRIVATE-TOKEN: the-key"),
}


def spellings(name: str) -> list[str]:
    """Return a name as servers may read it: in any case, and with any of the signs that CGI makes one of."""
    plain = name.replace("_", "-").replace(".", "-")
    signs = [plain, plain.replace("-", "_"), plain.replace("-", "."), plain.replace("-", "_", 1)]
    return list(dict.fromkeys(cased for sign in signs for cased in (sign, sign.lower(), sign.upper(), sign.swapcase())))


@pytest.mark.parametrize("name", CREDENTIALS)
async def test_exactly_one_arrives_and_it_is_ours(name: str) -> None:
    """Whatever the app's are called, how many there are, and what Connection says of them."""
    credential, ours = CREDENTIALS[name]
    async with in_front_of(always(response()), credential=credential) as (running, server):
        for spelt in spellings(name):
            for lines in (
                [f"{spelt}: canary"],
                [f"{spelt}:canary"],
                [f"{spelt}: \t canary \t "],
                [f"{spelt}:"],
                [f"{spelt}: canary", "X-Between: 1", f"{spelt}: canary2"],
                ["X-Before: 1", f"{spelt}: canary", f"{name}: canary", "X-After: 1"],
                [f"{spelt}: canary\xff\x80"],
                [f"{spelt}: Basic canary, Bearer canary"],
                [f"{spelt}: canary", f"Connection: {spelt}"],
                [f"Connection: close, {name}", f"{spelt}: canary"],
                [f"Connection: {spelt}"],
            ):
                assert (await answer(running, at(running, head("/", *lines)))).status == 200
                asked = server.requests[-1].head
                assert CANARY not in asked, lines
                assert asked.count(ours + b"\r\n") == 1 and asked.lower().count(b"the-key") == 1, lines
                assert asked.endswith(ours + b"\r\n\r\n")
                kept = [line for line in lines if line in ("X-Before: 1", "X-Between: 1", "X-After: 1")]
                assert all(as_bytes(line) in server.requests[-1].lines for line in kept)


@pytest.mark.parametrize("name", CREDENTIALS)
async def test_none_comes_as_a_trailer(name: str) -> None:
    """RFC 9110 6.5.1: a server that merges trailers into the head would have two."""
    credential, ours = CREDENTIALS[name]
    async with in_front_of(always(response()), credential=credential) as (running, server):
        trailers = b"".join(as_bytes(spelt) + b": canary\r\n" for spelt in spellings(name)) + b"X-Sum: 1\r\n"
        lines = ["Transfer-Encoding: chunked", f"Trailer: {name}, X-Sum"]
        raw = at(running, head("/", *lines, method="POST")) + b"1\r\nx\r\n0\r\n" + trailers + b"\r\n"
        assert (await answer(running, raw)).status == 200
        asked = server.requests[0]
        assert CANARY not in asked.head + b"".join(asked.trailers)
        assert asked.head.count(ours) == 1


@pytest.mark.parametrize(
    "line",
    [
        b"Authorization : Bearer canary",
        b"Authorization\t: Bearer canary",
        b" Authorization: Bearer canary",
        b"X: y\r\n Authorization: Bearer canary",
        b"X: y\rAuthorization: Bearer canary",
        b"X: y\nAuthorization: Bearer canary",
        b"X: y\x00\r\nAuthorization: Bearer canary",
        b"Authorization: Bearer\x00canary",
        b"Authorization\x00: Bearer canary",
        b"Autho\xc5\x95ization: Bearer canary",
        b": Bearer canary",
    ],
)
async def test_a_line_that_some_would_read_as_one_is_refused(line: bytes) -> None:
    """RFC 9112 5.1, 5.2: no white space before the colon, no folded line, no bare CR or LF, no NUL."""
    async with in_front_of(always(response())) as (running, server):
        assert (await answer(running, at(running, head("/", line)))).status == 400
        assert server.connections == []


async def test_credentials_for_a_proxy_end_here() -> None:
    """They are for us (RFC 9110 11.7.2), and `Proxy` is nobody's field (httpoxy); with or without a token of ours."""
    lines = ["Proxy-Authorization: Basic canary", "proxy_authorization: canary", "Proxy.Authorization: canary"]
    lines += [
        "Proxy: http://canary.example",
        "PROXY: canary",
        "Proxy-Connection: canary",
        "Proxy-Authorization: canary",
    ]
    for credential in ("crm", None):
        async with in_front_of(always(response()), route={"credential": credential}) as (running, server):
            assert (await answer(running, at(running, head("/", *lines)))).status == 200
            assert CANARY not in server.requests[0].head


async def test_what_is_to_be_dropped_is_dropped_too() -> None:
    """`inject.drop`, in every spelling and as a trailer; without a credential an app's own Authorization passes."""
    credential = injecting("Authorization", "Bearer {token}", ("X-Api-Key",))
    async with in_front_of(always(response()), credential=credential) as (running, server):
        lines = [*(f"{spelt}: canary" for spelt in spellings("X-Api-Key")), "Transfer-Encoding: chunked"]
        raw = at(running, head("/", *lines, method="POST")) + b"0\r\nX_Api_Key: canary\r\n\r\n"
        assert (await answer(running, raw)).status == 200
        assert CANARY not in server.requests[0].head + b"".join(server.requests[0].trailers)
    async with in_front_of(always(response()), route={"credential": None}) as (running, server):
        assert (
            await answer(running, at(running, head("/", "Authorization: Bearer own", "X-Api-Key: own")))
        ).status == 200
        assert server.requests[0].value("authorization") == b"Bearer own"


@pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"])
async def test_the_environment_s_proxies_and_netrc_are_not_asked(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """Neither for the upstream nor for the exchange: whoever sets a variable would have the key."""
    asked: list[bytes] = []

    async def proxy(wire: Any) -> None:
        asked.append(await wire.head())

    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login canary password canary\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").write_bytes(netrc.read_bytes())
    async with upstream(proxy) as spy, upstream(always(response())) as server, upstream(Tokens()) as endpoint:
        for spelt in (name, name.lower()):
            monkeypatch.setenv(spelt, f"http://127.0.0.1:{spy.port}")
        for spelt in ("NO_PROXY", "no_proxy"):
            monkeypatch.setenv(spelt, "")
        async with sidecar(route_to(server.port), credential=exchanging(endpoint.port)) as running:
            assert (await running.ask()).status == 200
        assert server.requests[0].value("authorization") == b"Bearer token-1"
        assert b"canary" not in server.requests[0].head + endpoint.requests[0].head
        assert endpoint.requests[0].values("authorization") == []
        assert asked == [] and spy.connections == []
