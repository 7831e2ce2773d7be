"""The vendor's two token endpoints: API key in, token out.

`POST /auth/token` speaks the JSON of Giant Context, `POST /oauth/token` OAuth's client
credentials grant (RFC 6749 4.4) with the API key as the client's secret. Not the
API: a token is worth nothing here. The rule: both meet the same faults, each in
its own language.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Callable
from functools import partial
from typing import Protocol
from urllib.parse import parse_qsl, unquote_plus

from aiohttp import hdrs, web

from sidecar.vendor import answers
from sidecar.vendor.faults import Fault, Faults
from sidecar.vendor.issuer import Issued, Issuer
from sidecar.vendor.journal import Entry, Journal
from sidecar.vendor.times import iso_ms

_NO_STORE = {"Cache-Control": "no-store"}
_LONG_GONE_S = -60.0
_OAUTH_ERRORS = {400: "invalid_request", 401: "invalid_client", 403: "unauthorized_client", 500: "server_error"}


class Malformed(ValueError):
    """The request is not what the endpoint's contract says."""


class Dialect(Protocol):
    """How one token endpoint reads a request and words its answers."""

    async def read_key(self, request: web.Request) -> bytes:
        """Return the API key of a request. Raises Malformed."""

    def granted(self, token: Issued) -> dict[str, object]:
        """Return the answer that hands a token out."""

    def refusal(self, status: int) -> web.Response:
        """Return the answer that hands none out: 400, 401, 403 or 500."""


class GiantContext:
    """JSON `apiKey` in, `token` and `expiresAt` out."""

    async def read_key(self, request: web.Request) -> bytes:
        """Return the API key of a request. Raises Malformed."""
        try:
            body = json.loads(await request.read())
        except (ValueError, RecursionError) as problem:
            raise Malformed from problem
        key = body.get("apiKey") if isinstance(body, dict) else None
        if not isinstance(key, str):
            raise Malformed
        return key.encode("utf-8", "surrogatepass")

    def granted(self, token: Issued) -> dict[str, object]:
        """Return the answer that hands a token out."""
        return {"token": token.text.reveal().decode(), "expiresAt": iso_ms(token.expires_at)}

    def refusal(self, status: int) -> web.Response:
        """Return `{message, code}`."""
        return answers.error(status, "Invalid or expired API key" if status == 401 else None)


class ClientCredentials:
    """The client credentials grant; the client shows itself by HTTP Basic or in the form, not both.

    Args:
        client_id: the one client that exists.
    """

    def __init__(self, client_id: str) -> None:
        self._client_id = client_id

    async def read_key(self, request: web.Request) -> bytes:
        """Return the client's secret, or nothing for an unknown client. Raises Malformed."""
        form = await self._read_form(request)
        authorization = request.headers.get(hdrs.AUTHORIZATION)
        if (authorization is None) == ("client_secret" not in form):
            raise Malformed
        if authorization is None:
            client_id, secret = form.get("client_id", ""), form["client_secret"]
        else:
            client_id, secret = _read_basic(authorization)
        return secret.encode("utf-8", "surrogatepass") if client_id == self._client_id else b""

    def granted(self, token: Issued) -> dict[str, object]:
        """Return the answer that hands a token out (RFC 6749 5.1)."""
        life_s = max(0, int(token.life_s))
        return {"access_token": token.text.reveal().decode(), "token_type": "Bearer", "expires_in": life_s}

    def refusal(self, status: int) -> web.Response:
        """Return `{error}` (RFC 6749 5.2)."""
        headers = {**_NO_STORE, "WWW-Authenticate": "Basic"} if status == 401 else _NO_STORE
        return web.json_response({"error": _OAUTH_ERRORS[status]}, status=status, headers=headers)

    async def _read_form(self, request: web.Request) -> dict[str, str]:
        if request.content_type != "application/x-www-form-urlencoded":
            raise Malformed
        try:
            pairs = parse_qsl((await request.read()).decode(), strict_parsing=True, max_num_fields=20)
        except ValueError as problem:
            raise Malformed from problem
        form = dict(pairs)
        if len(form) != len(pairs) or form.get("grant_type") != "client_credentials":
            raise Malformed
        return form


def _read_basic(authorization: str) -> tuple[str, str]:
    """Return client id and secret, each form-encoded inside the Basic credentials (RFC 6749 2.3.1)."""
    scheme, _, packed = authorization.partition(" ")
    try:
        client_id, colon, secret = base64.b64decode(packed.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError) as problem:
        raise Malformed from problem
    if scheme.lower() != "basic" or not colon:
        raise Malformed
    return unquote_plus(client_id), unquote_plus(secret)


class TokenEndpoint:
    """Both endpoints over one issuer.

    Args:
        issuer: whose tokens are handed out.
        faults: met before the request is read.
        journal: where tokens that were handed out are counted.
        arrived: notes a request in the journal.
        client_id: the client of `/oauth/token`.
    """

    def __init__(
        self,
        issuer: Issuer,
        faults: Faults,
        journal: Journal,
        arrived: Callable[[web.Request], Entry],
        client_id: str,
    ) -> None:
        self._issuer = issuer
        self._faults = faults
        self._journal = journal
        self._arrived = arrived
        self._dialects: dict[str, Dialect] = {
            "/auth/token": GiantContext(),
            "/oauth/token": ClientCredentials(client_id),
        }

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of both."""
        return [web.route("*", path, partial(self._answer, dialect)) for path, dialect in self._dialects.items()]

    async def _answer(self, dialect: Dialect, request: web.Request) -> web.StreamResponse:
        self._arrived(request)
        for fault in self._faults.take("token"):
            if fault.kind != "slow":
                return await self._misbehave(request, dialect, fault)
            await asyncio.sleep(fault.delay_s)
        if request.method != hdrs.METH_POST:
            return answers.error(405, headers={"Allow": hdrs.METH_POST})
        try:
            key = await dialect.read_key(request)
        except (Malformed, web.HTTPRequestEntityTooLarge):
            return dialect.refusal(400)
        if not self._issuer.knows(key):
            return dialect.refusal(401)
        self._journal.counters.tokens_issued += 1
        return web.json_response(dialect.granted(self._issuer.issue()), headers=_NO_STORE)

    async def _misbehave(self, request: web.Request, dialect: Dialect, fault: Fault) -> web.StreamResponse:
        match fault.kind:
            case "down":
                return answers.reset(request)
            case "rate_limited":
                return answers.rate_limited(fault.retry_after_s)
            case "truncated":
                return await answers.cut_short(request, json.dumps(dialect.granted(self._issuer.issue())).encode())
            case "already_expired":
                return web.json_response(dialect.granted(self._issuer.issue(_LONG_GONE_S)))
            case "html200":
                return web.Response(text="<!doctype html><title>Back soon</title>", content_type="text/html")
            case "empty":
                return web.Response(content_type="application/json")
            case "no_token":
                return web.json_response({"message": "Signed in"})
            case "redirect":
                # 307 keeps method and body: a client that follows it sends its key where it was told to.
                return web.Response(status=307, headers={"Location": "/moved" + request.path})
            case _:
                return dialect.refusal({"revoked_key": 401, "forbidden": 403, "server_error": 500}[fault.kind])
