"""An exchange against a scripted endpoint, in one call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sidecar.credentials.exchange import HTTPExchanger
from sidecar.credentials.rules import AnswerPointers, BasicAuth, ExchangeRules, Injection, RejectedRules
from sidecar.credentials.token import Token
from sidecar.errors import ExchangeFailed
from sidecar.secret import Secret
from sidecar.tls import TLSRules
from tests.credentials.endpoint import Endpoint, Script, answer, endpoint, says
from tests.credentials.manual_clock import ManualClock

KEY = Secret("gct_canary")
GOOD = answer(b'{"token": "abc"}')
POINTERS = AnswerPointers(token="/token", expires_at="/expiresAt")


def rules(
    port: int,
    *,
    url: str | None = None,
    method: str = "POST",
    headers: tuple[tuple[str, str], ...] = (),
    json: object | None = None,
    form: tuple[tuple[str, str], ...] | None = None,
    basic: BasicAuth | None = None,
    tls: TLSRules | None = None,
    timeout_s: float = 5.0,
) -> ExchangeRules:
    """Return rules for the endpoint on a port of 127.0.0.1."""
    scheme = "http" if tls is None else "https"
    return ExchangeRules(
        url=url or f"{scheme}://127.0.0.1:{port}/auth/token",
        method=method,
        headers=headers,
        json=json,
        form=form,
        basic=basic,
        response=POINTERS,
        timeout_s=timeout_s,
        tls=tls or TLSRules(),
    )


@asynccontextmanager
async def exchanger(of: ExchangeRules, rejected: RejectedRules | None = None) -> AsyncIterator[HTTPExchanger]:
    """Build an exchanger, and close it."""
    made = HTTPExchanger(of, rejected or RejectedRules(), Injection(), 300, ManualClock())
    try:
        yield made
    finally:
        await made.close()


async def exchange(of: ExchangeRules, *, key: Secret = KEY, rejected: RejectedRules | None = None) -> Token:
    """Make one exchange."""
    async with exchanger(of, rejected) as made:
        return await made.exchange(key)


async def failed_exchange(of: ExchangeRules, *, rejected: RejectedRules | None = None) -> ExchangeFailed:
    """Make one exchange that must bring no token, and return why; no secret may stand in that."""
    with pytest.raises(ExchangeFailed) as failed:
        await exchange(of, rejected=rejected)
    exc = failed.value
    assert exc.__suppress_context__ or exc.__context__ is None
    assert "canary" not in f"{exc!r} {exc.detail}"
    return exc


async def failure_of(script: Script | bytes, timeout_s: float = 5.0) -> ExchangeFailed:
    """Exchange against an endpoint that does this, and return the failure."""
    async with endpoint(says(script) if isinstance(script, bytes) else script) as server:
        return await failed_exchange(rules(server.port, json={"apiKey": "{api_key}"}, timeout_s=timeout_s))


async def sent_by(of_port: ExchangeRules, server: Endpoint, key: Secret = KEY) -> tuple[bytes, dict[str, str], bytes]:
    """Make one exchange; return the request line, the fields by lower-case name, and the body that the endpoint got."""
    assert (await exchange(of_port, key=key)).secret.reveal() == b"abc"
    head, _, body = server.requests[-1].partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    pairs = [field.decode().split(": ", 1) for field in fields]
    names = [name.lower() for name, _ in pairs]
    assert len(set(names)) == len(names), "a field was sent twice"
    return line, dict(zip(names, (value for _, value in pairs), strict=True)), body
