"""The exchangers: API key in, token out.

`HTTPExchanger` asks a token endpoint and is the data path's only use of aiohttp.
It trusts nothing that comes back: no redirect, cookie, environment proxy or netrc
is used, no connection is kept, no byte past a limit or a deadline is read, and
what an answer means is decided by `answer.py`. It keeps neither key nor token and
decides nothing about when to ask: that is `credential.py`.

Foreign exceptions end here. Theirs can hold fields and bodies, so none of them is
chained to ours and none of their texts is taken over but OpenSSL's and the system's.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

import aiohttp

from sidecar import __version__
from sidecar.clock import Clock
from sidecar.credentials.answer import Answer, AnswerRules, needs_body, read_answer
from sidecar.credentials.rules import ExchangeRules, Injection, RejectedRules
from sidecar.credentials.token import Token, is_visible, make_token
from sidecar.errors import ExchangeFailed, KeyUnavailable
from sidecar.secret import Secret
from sidecar.tls import client_context

MOST_ANSWER_BYTES = 1024 * 1024
_OUR_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": f"sidecar/{__version__}",
}


class HTTPExchanger:
    """Exchanges keys at a token endpoint.

    Args:
        rules: the request to make.
        rejected: what an answer to a bad key looks like.
        injection: the field that will carry the token.
        default_ttl_s: the life of a token about which nothing is said, in seconds.
        clock: for the moment at which an answer comes.

    Raises:
        OSError: a file of `rules.tls` is not what it should be.
    """

    def __init__(
        self, rules: ExchangeRules, rejected: RejectedRules, injection: Injection, default_ttl_s: float, clock: Clock
    ) -> None:
        self._rules = rules
        self._answer_rules = AnswerRules(rules.response, rejected, injection, default_ttl_s)
        self._clock = clock
        url = urlsplit(rules.url)
        self._endpoint = url.hostname or "the token endpoint"
        self._tls = client_context(rules.tls) if url.scheme == "https" else True
        self._session: aiohttp.ClientSession | None = None

    async def exchange(self, key: Secret) -> Token:
        """Make one exchange, within `timeout_s` from the first look-up to the last byte.

        Raises:
            ExchangeFailed: it brought no token.
            KeyUnavailable: the key cannot be sent; nothing was.
        """
        request = _fill(self._rules, _checked(key).decode())
        try:
            async with asyncio.timeout(self._rules.timeout_s):
                answer = await self._ask(request)
        except TimeoutError:
            raise ExchangeFailed(
                "timeout", f"no complete answer from {self._endpoint} within {self._rules.timeout_s:g} s"
            ) from None
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise _failure(exc, self._endpoint) from None
        return read_answer(answer, self._answer_rules)

    async def close(self) -> None:
        """Close what is open; an exchange that still runs fails."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _ask(self, request: _Request) -> Answer:
        if self._session is None:
            self._session = _session()
        async with self._session.request(
            self._rules.method,
            self._rules.url,
            headers=request.headers,
            data=request.body,
            skip_auto_headers=("Content-Type",),
            allow_redirects=False,
            ssl=self._tls,
            server_hostname=self._rules.tls.server_name,
        ) as response:
            received_at = self._clock.wall()
            try:
                read = needs_body(response.status, self._answer_rules.rejected)
                body = await _read(response) if read else b""
            finally:
                # What is left of the answer is never read.
                response.close()
            return Answer(response.status, response.headers, received_at, body)


class StaticExchanger:
    """Makes no exchange: the key is the token, and never expires.

    Args:
        injection: the field that will carry it.
        clock: for the moment at which it was obtained.
    """

    def __init__(self, injection: Injection, clock: Clock) -> None:
        self._injection = injection
        self._clock = clock

    async def exchange(self, key: Secret) -> Token:
        """Return the key as a token. Raises KeyUnavailable where it cannot be sent."""
        _checked(key)
        return make_token(key, self._injection, obtained_at=self._clock.wall(), expires_at=math.inf)

    async def close(self) -> None:
        """Do nothing: nothing is open."""


@dataclass(frozen=True, slots=True)
class _Request:
    """What is sent, with the key in it."""

    headers: dict[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)


def _checked(key: Secret) -> bytes:
    value = key.reveal()
    if not is_visible(value):
        raise KeyUnavailable("the API key is empty or holds something other than visible ASCII")
    return value


def _fill(rules: ExchangeRules, key: str) -> _Request:
    """Put the key into every place that the rules name."""

    def filled(text: str) -> str:
        return text.replace("{api_key}", key)

    headers = dict(_OUR_HEADERS)
    body = None
    if rules.json is not None:
        headers["Content-Type"] = "application/json"
        body = json.dumps(_fill_json(rules.json, filled)).encode()
    elif rules.form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = urlencode([(name, filled(value)) for name, value in rules.form]).encode()
    if rules.basic is not None:
        pair = f"{filled(rules.basic.username)}:{filled(rules.basic.password)}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    # Of names that differ in case only, aiohttp sends the last: those of the rules replace ours.
    return _Request(headers | {name: filled(value) for name, value in rules.headers}, body)


def _fill_json(value: object, filled: Callable[[str], str]) -> object:
    match value:
        case str():
            return filled(value)
        case dict():
            return {name: _fill_json(member, filled) for name, member in value.items()}
        case list() | tuple():
            return [_fill_json(item, filled) for item in value]
        case _:
            return value


def _session() -> aiohttp.ClientSession:
    """Return a session that remembers nothing and heeds no environment."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True, use_dns_cache=False),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        # The exchanger's own deadline covers everything; aiohttp would round one up to whole seconds.
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
    )


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MOST_ANSWER_BYTES:
            raise ExchangeFailed("bad_response", f"the answer is longer than {MOST_ANSWER_BYTES} bytes")
    return bytes(body)


def _failure(exc: Exception, endpoint: str) -> ExchangeFailed:
    """Return what an exception of aiohttp or the system means, in words of ours."""
    match exc:
        case aiohttp.ClientResponseError():
            return ExchangeFailed("bad_response", f"what {endpoint} answered is not HTTP")
        case aiohttp.ClientPayloadError():
            return ExchangeFailed("network", f"{endpoint} cut its answer short")
        case aiohttp.ServerDisconnectedError():
            return ExchangeFailed("network", f"{endpoint} closed the connection without an answer")
        case aiohttp.ClientConnectorCertificateError(certificate_error=cause):
            return ExchangeFailed("network", f"TLS with {endpoint} failed: {_tls_reason(cause)}")
        case aiohttp.ClientConnectorDNSError():
            return ExchangeFailed("network", f"the name {endpoint} does not resolve")
        case aiohttp.ClientConnectorError(os_error=cause):
            return ExchangeFailed("network", _system_reason(cause, endpoint))
        case OSError():
            return ExchangeFailed("network", _system_reason(exc, endpoint))
        case _:
            return ExchangeFailed("network", f"no request to {endpoint} could be made ({type(exc).__name__})")


def _system_reason(cause: OSError, endpoint: str) -> str:
    if isinstance(cause, ssl.SSLError):
        return f"TLS with {endpoint} failed: {_tls_reason(cause)}"
    # Where several addresses were tried in vain there is no single number.
    reason = os.strerror(cause.errno) if cause.errno else "none of its addresses answers"
    return f"no connection to {endpoint}: {reason}"


def _tls_reason(cause: Exception) -> str:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {cause.verify_message}"
    return str(getattr(cause, "reason", None) or "no secure connection")
