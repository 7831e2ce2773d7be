"""The exchangers: API key in, token out.

`HTTPExchanger` asks a token endpoint, by the data plane's own connections and with
their strict reading. It trusts nothing that comes back: no redirect, cookie,
environment proxy or netrc is used, no connection is kept, no byte past a limit or a
deadline is read, and what an answer means is decided by `answer.py`. It keeps neither
key nor token and decides nothing about when to ask: that is `credential.py`.

It was on aiohttp once. That is a second HTTP implementation in every pod, 11 MB of
memory and 0.1 s of its start, for one small request an hour.

Foreign exceptions end here. Theirs can hold fields and bodies, so none of them is
chained to ours and none of their texts is taken over but OpenSSL's and the system's.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
import os
import socket
import ssl
from collections.abc import Callable, Mapping
from types import MappingProxyType
from urllib.parse import quote, quote_plus, urlencode, urlsplit

from sidecar import __version__
from sidecar.clock import Clock
from sidecar.credentials.answer import Answer, AnswerRules, may_explain, needs_body, read_answer
from sidecar.credentials.expiry import clock_difference
from sidecar.credentials.rules import ExchangeRules, Injection, RejectedRules, SignRules, opened
from sidecar.credentials.token import Token, is_visible, make_token
from sidecar.dataplane.dial import origin_of
from sidecar.dataplane.fetch import Fetched, Fetcher, TooLong
from sidecar.dataplane.standstill import LONGEST_GAP_S
from sidecar.errors import Cause, ExchangeFailed, KeyUnavailable, UpstreamError
from sidecar.secret import Secret

MOST_ANSWER_BYTES = 1024 * 1024
# A refusal's body is looked at for the reason. Its status decides, so neither a long nor a slow one is waited for.
MOST_REASON_BYTES = 16 * 1024
REASON_PATIENCE_S = 1.0
# OpenSSL's X509_V_ERR_...; what is not here is about who signed it.
_CERTIFICATE_FAULTS: Mapping[int, Cause] = MappingProxyType(
    {9: "tls_dates", 10: "tls_dates", 62: "tls_name", 63: "tls_name", 64: "tls_name"}
)
_OUR_FIELDS = {
    "accept": ("Accept", "application/json"),
    "accept-encoding": ("Accept-Encoding", "identity"),
    "user-agent": ("User-Agent", f"sidecar/{__version__}"),
}
# Characters that stand for themselves in a path or a query (RFC 3986 3.3, 3.4), and what is encoded already.
_IN_A_TARGET = "/?%:@!$&'()*+,;=-._~"
# What `clock_difference` calls the same clock: Date has whole seconds, and an answer travels.
_SAME_CLOCK_S = 5.0


def _random_id() -> str:
    return os.urandom(16).hex()


class HTTPExchanger:
    """Exchanges keys at a token endpoint.

    Args:
        rules: the request to make.
        rejected: what an answer to a bad key looks like.
        injection: the field that will carry the token.
        default_ttl_s: the life of a token about which nothing is said, in seconds.
        clock: for the moment at which an answer comes, and at which an assertion is signed.
        unique: makes the id of an assertion.

    Raises:
        OSError: a file of `rules.tls` is not what it should be.
    """

    def __init__(
        self,
        rules: ExchangeRules,
        rejected: RejectedRules,
        injection: Injection,
        default_ttl_s: float,
        clock: Clock,
        unique: Callable[[], str] = _random_id,
    ) -> None:
        self._rules = rules
        self._unique = unique
        self._ahead_s = 0.0
        self._answer_rules = AnswerRules(rules.response, rejected, injection, default_ttl_s)
        self._clock = clock
        origin = origin_of(rules.url, rules.tls)
        self._endpoint = origin.host or "the token endpoint"
        self._fetcher = Fetcher(origin)
        url = urlsplit(rules.url)
        target = url._replace(scheme="", netloc="", path=url.path or "/").geturl()
        self._start = f"{rules.method} {quote(target, safe=_IN_A_TARGET)} HTTP/1.1\r\n"
        self._host = url.netloc.rpartition("@")[2]

    async def exchange(self, key: Secret) -> Token:
        """Make one exchange, within `timeout_s` from the first look-up to the last byte.

        Once more where this process stood still meanwhile: nobody was there to read the answer.

        Raises:
            ExchangeFailed: it brought no token.
            KeyUnavailable: the key cannot be sent; nothing was.
        """
        began_s = self._clock.monotonic()
        try:
            async with asyncio.timeout(self._rules.timeout_s) as limit:
                until_s = limit.when() or 0.0
                answer = await self._ask(await self._request(key, self._ahead_s), until_s)
                if self._rules.sign is not None and answer.status in self._answer_rules.rejected.statuses:
                    answer = await self._by_their_clock(key, answer, until_s)
        except TimeoutError:
            if self._clock.monotonic() - began_s > self._rules.timeout_s + LONGEST_GAP_S:
                return await self.exchange(key)
            raise ExchangeFailed(
                "timeout", f"no complete answer from {self._endpoint} within {self._rules.timeout_s:g} s"
            ) from None
        except TooLong:
            raise ExchangeFailed("bad_response", f"the answer is longer than {MOST_ANSWER_BYTES} bytes") from None
        except (UpstreamError, OSError, ValueError) as exc:
            raise _failure(exc, self._endpoint) from None
        return read_answer(answer, self._answer_rules)

    async def close(self) -> None:
        """Close what is open; an exchange that still runs fails."""
        self._fetcher.close()

    async def _ask(self, request: Secret, until_s: float) -> Answer:
        async with self._fetcher.fetch(request.reveal(), self._rules.method.encode()) as fetched:
            received_at = self._clock.wall()
            status, rejected, body = fetched.head.status, self._answer_rules.rejected, b""
            # Where the status says it all, what is left of the answer is never read.
            if needs_body(status, rejected):
                body = await fetched.read(MOST_ANSWER_BYTES)
            elif may_explain(status, rejected):
                body = await _reason(fetched, until_s)
            return Answer(status, fetched.fields(), received_at, body)

    async def _by_their_clock(self, key: Secret, refusal: Answer, until_s: float) -> Answer:
        """Sign and ask once more where the endpoint, which refuses, goes by another clock; else return the refusal.

        An assertion is valid for minutes by the clock of whoever verifies it. Where ours is off by more, every one
        would be refused, which looks like a bad key. Only a clock that has helped is kept: a `Date` may be wrong too.
        """
        said = refusal.headers
        theirs_s = clock_difference(said.get("date"), refusal.received_at, said.get("age"))
        if abs(theirs_s - self._ahead_s) <= _SAME_CLOCK_S:
            return refusal
        answer = await self._ask(await self._request(key, theirs_s), until_s)
        if 200 <= answer.status < 300:
            self._ahead_s = theirs_s
        return answer

    async def _request(self, key: Secret, ahead_s: float) -> Secret:
        """Return the whole request, with the key, or what it signs, in every place that the rules name."""
        if self._rules.sign is None:
            return self._filled("{api_key}", _checked(key).decode())
        assertion = await self._signed(key, self._rules.sign, self._clock.wall() + ahead_s)
        return self._filled("{assertion}", assertion.reveal().decode())

    async def _signed(self, key: Secret, sign: SignRules, now: float) -> Secret:
        from sidecar.credentials.assertion import signed

        try:
            return await asyncio.to_thread(signed, key, sign, self._rules.url, now, self._unique())
        except RuntimeError:
            # The machine allows no more threads for now.
            return signed(key, sign, self._rules.url, now, self._unique())

    def _filled(self, placeholder: str, value: str) -> Secret:
        """Return the whole request, with the value in every place that the rules name."""
        fields, body = _fill(self._rules, placeholder, value)
        fields.setdefault("host", ("Host", self._host))
        fields["connection"] = ("Connection", "close")
        if body or self._rules.method != "GET":
            fields["content-length"] = ("Content-Length", str(len(body)))
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.values())
        return Secret((self._start + lines + "\r\n").encode() + body)


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


async def _reason(fetched: Fetched, until_s: float) -> bytes:
    """Return a refusal's body where it comes soon, and in time; else nothing: it is a refusal without it."""
    now_s = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout_at(min(now_s + REASON_PATIENCE_S, until_s - 0.05)):
            return await fetched.read(MOST_REASON_BYTES)
    except (TimeoutError, TooLong, UpstreamError):
        return b""


def _checked(key: Secret) -> bytes:
    value = key.reveal()
    if not is_visible(value):
        raise KeyUnavailable("the API key is empty or holds something other than visible ASCII")
    return value


def _fill(rules: ExchangeRules, placeholder: str, value: str) -> tuple[dict[str, tuple[str, str]], bytes]:
    """Return the fields by lower-case name, and the body. Fields of the rules replace ours, whatever their case."""

    def filled(text: str | Secret) -> str:
        return opened(text).replace(placeholder, value)

    fields = dict(_OUR_FIELDS)
    body = b""
    if rules.json is not None:
        fields["content-type"] = ("Content-Type", "application/json")
        body = json.dumps(_fill_json(rules.json, filled)).encode()
    elif rules.form is not None:
        fields["content-type"] = ("Content-Type", "application/x-www-form-urlencoded")
        body = urlencode([(name, filled(text)) for name, text in rules.form]).encode()
    if rules.basic is not None:
        halves = (filled(rules.basic.username), filled(rules.basic.password))
        pair = ":".join(map(quote_plus, halves) if rules.basic.form_encoded else halves)
        fields["authorization"] = ("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
    return fields | {name.lower(): (name, filled(text)) for name, text in rules.headers}, body


def _fill_json(value: object, filled: Callable[[str | Secret], str]) -> object:
    match value:
        case str() | Secret():
            return filled(value)
        case dict():
            return {name: _fill_json(member, filled) for name, member in value.items()}
        case list() | tuple():
            return [_fill_json(item, filled) for item in value]
        case _:
            return value


def _failure(exc: Exception, endpoint: str) -> ExchangeFailed:
    """Return what went wrong with a connection or an answer, in words for whoever set up the endpoint."""
    match exc:
        case UpstreamError(code="connection_terminated"):
            text = f"{endpoint} closed the connection before its answer was complete"
            return ExchangeFailed("network", text, cause="cut")
        case UpstreamError():
            return ExchangeFailed("bad_response", f"what {endpoint} answered is not HTTP/1.1", cause="protocol")
        case socket.gaierror():
            return ExchangeFailed("network", f"the name {endpoint} does not resolve", cause="dns")
        case ssl.SSLError():
            cause, reason = _tls_reason(exc)
            return ExchangeFailed("network", f"TLS with {endpoint} failed: {reason}", cause=cause)
        case ConnectionRefusedError():
            return ExchangeFailed("network", f"no connection to {endpoint}: {_system_reason(exc)}", cause="refused")
        case ConnectionResetError() | ConnectionAbortedError() | BrokenPipeError():
            return ExchangeFailed("network", f"no connection to {endpoint}: {_system_reason(exc)}", cause="cut")
        case OSError():
            return ExchangeFailed("network", f"no connection to {endpoint}: {_system_reason(exc)}")
        case _:
            return ExchangeFailed("network", f"no request to {endpoint} could be made ({type(exc).__name__})")


def _system_reason(exc: OSError) -> str:
    # Where several addresses were tried in vain there is no single number.
    return os.strerror(exc.errno) if exc.errno else "none of its addresses answers"


def _tls_reason(exc: ssl.SSLError) -> tuple[Cause, str]:
    if isinstance(exc, ssl.SSLCertVerificationError):
        cause = _CERTIFICATE_FAULTS.get(exc.verify_code, "tls_authority")
        return cause, f"certificate verify failed: {exc.verify_message}"
    return "tls", exc.reason or "no secure connection"
