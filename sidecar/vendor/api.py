"""The vendor's API: little endpoints that show what arrived and send what is asked for.

Not a copy of anyone's API. The rule: nothing is answered but 401 without one good
token, and no answer ever holds a token.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import hdrs, web

from sidecar.vendor import answers
from sidecar.vendor.faults import Fault, Faults
from sidecar.vendor.issuer import Issuer, Verdict
from sidecar.vendor.journal import Entry
from sidecar.vendor.times import iso_ms

Answer = Awaitable[web.StreamResponse]
Handler = Callable[[web.Request, Verdict], Answer]

# A prime period: a byte that is lost, doubled or out of place shows.
_PERIOD = bytes(range(251))
_BLOCK = _PERIOD * 256
_MOST_BYTES = 1 << 32
_MOST_EVENTS = 10_000
_LONGEST_MS = 120_000
_READ_BYTES = 64 * 1024


class WrongParameter(ValueError):
    """A number in the target is missing or out of its range; the text says which."""


class Api:
    """The API over one issuer.

    Args:
        issuer: who judges the tokens.
        faults: met before the token is judged.
        arrived: notes a request and its token in the journal.
    """

    def __init__(self, issuer: Issuer, faults: Faults, arrived: Callable[[web.Request, Verdict | None], Entry]) -> None:
        self._issuer = issuer
        self._faults = faults
        self._arrived = arrived

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, the one for every other path last."""
        table: tuple[tuple[str, str, Handler], ...] = (
            ("GET", "/me", _me),
            ("GET", "/projects", _projects),
            ("*", "/echo{rest:.*}", _echo),
            ("GET", "/stream", _stream),
            ("GET", "/slow", _slow),
            ("GET", "/bytes/{count}", _bytes),
            ("PUT", "/upload", _upload),
            ("POST", "/upload", _upload),
            ("*", "/forbidden", _forbidden),
            ("*", "/always-401", _always_401),
            ("*", "/status/{status}", _status),
            ("*", "/{rest:.*}", _not_found),
        )
        return [
            web.get(path, partial(self._answer, handler), allow_head=True)
            if method == "GET"
            else web.route(method, path, partial(self._answer, handler))
            for method, path, handler in table
        ]

    async def _answer(self, handler: Handler, request: web.Request) -> web.StreamResponse:
        shown = request.headers.getall(hdrs.AUTHORIZATION, [])
        verdict = self._issuer.judge(_token_of(shown[0])) if shown else None
        self._arrived(request, verdict)
        for fault in self._faults.take("api"):
            if fault.kind != "slow":
                return _misbehave(request, fault)
            await asyncio.sleep(fault.delay_s)
        if len(shown) > 1:
            return answers.error(400, "More than one Authorization")
        if verdict is None or verdict.standing != "good":
            return answers.unauthorized()
        try:
            return await handler(request, verdict)
        except WrongParameter as problem:
            return answers.error(400, str(problem))


def _token_of(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _misbehave(request: web.Request, fault: Fault) -> web.Response:
    match fault.kind:
        case "down":
            return answers.reset(request)
        case "unauthorized":
            return answers.unauthorized()
        case "rate_limited":
            return answers.rate_limited(fault.retry_after_s)
        case _:
            return answers.error({"forbidden": 403, "server_error": 500}[fault.kind])


async def _me(_request: web.Request, token: Verdict) -> web.Response:
    return web.json_response({"account": "acc_demo", "name": "Demo", "token": _seen(token)})


async def _projects(_request: web.Request, token: Verdict) -> web.Response:
    projects = [{"id": "prj_1", "name": "Website"}, {"id": "prj_2", "name": "Newsletter"}]
    return web.json_response({"projects": projects, "token": _seen(token)})


async def _echo(request: web.Request, token: Verdict) -> web.Response:
    mask = _Mask(request.headers[hdrs.AUTHORIZATION])
    size, digest = await _measure(request)
    return web.json_response(
        {
            "method": request.method,
            "target": mask.text(request.raw_path),
            "headers": [[name.decode("latin-1"), mask.field(value)] for name, value in request.raw_headers],
            "body": {"bytes": size, "sha256": digest},
            "token": _seen(token),
        }
    )


async def _stream(request: web.Request, token: Verdict) -> web.StreamResponse:
    count = _number(request.query.get("count", "5"), "count", 0, _MOST_EVENTS)
    interval_ms = _number(request.query.get("interval_ms", "100"), "interval_ms", 0, _LONGEST_MS)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    for number in range(1, count + 1) if request.method != hdrs.METH_HEAD else ():
        if number > 1:
            await asyncio.sleep(interval_ms / 1000)
        data = json.dumps({"event": number, "of": count, "token": token.id})
        await response.write(f"id: {number}\ndata: {data}\n\n".encode())
    return response


async def _slow(request: web.Request, token: Verdict) -> web.Response:
    delay_ms = _number(request.query.get("ms", "1000"), "ms", 0, _LONGEST_MS)
    await asyncio.sleep(delay_ms / 1000)
    return web.json_response({"waited_ms": delay_ms, "token": _seen(token)})


async def _bytes(request: web.Request, _token: Verdict) -> web.StreamResponse:
    left = _number(request.match_info["count"], "the number of bytes", 0, _MOST_BYTES)
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream", "Content-Length": str(left)})
    await response.prepare(request)
    while left and request.method != hdrs.METH_HEAD:
        await response.write(_BLOCK[:left])
        left -= min(left, len(_BLOCK))
    return response


async def _upload(request: web.Request, token: Verdict) -> web.Response:
    size, digest = await _measure(request)
    return web.json_response({"bytes": size, "sha256": digest, "token": _seen(token)})


async def _forbidden(_request: web.Request, _token: Verdict) -> web.Response:
    return answers.error(403)


async def _always_401(_request: web.Request, _token: Verdict) -> web.Response:
    return answers.unauthorized()


async def _status(request: web.Request, token: Verdict) -> web.Response:
    status = _number(request.match_info["status"], "the status", 200, 599)
    if status in (204, 304):
        return web.Response(status=status)
    if status < 400:
        return web.json_response({"status": status, "token": _seen(token)}, status=status)
    return answers.unauthorized() if status == 401 else answers.error(status)


async def _not_found(_request: web.Request, _token: Verdict) -> web.Response:
    return answers.error(404)


async def _measure(request: web.Request) -> tuple[int, str]:
    """Read the body to its end; return its length and SHA-256."""
    size, digest = 0, hashlib.sha256()
    async for chunk in request.content.iter_chunked(_READ_BYTES):
        size += len(chunk)
        digest.update(chunk)
    return size, digest.hexdigest()


def _seen(token: Verdict) -> dict[str, str | None]:
    return {"id": token.id, "expiresAt": None if token.expires_at is None else iso_ms(token.expires_at)}


def _number(text: str, name: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and least <= int(text) <= most):
        raise WrongParameter(f"{name} must be a number from {least} to {most}")
    return int(text)


class _Mask:
    """Takes the token out of what is echoed; the sha256 prefix still tells two of them apart."""

    def __init__(self, authorization: str) -> None:
        self._secrets = (authorization, _token_of(authorization))

    def field(self, value: bytes) -> str:
        return self.text(value.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape").decode("latin-1")

    def text(self, value: str) -> str:
        for secret in self._secrets:
            value = value.replace(secret, f"sha256:{hashlib.sha256(secret.encode()).hexdigest()[:16]}")
        return value
