"""What the fuzzer starts from: a few inputs for each target, and the words that it may put in."""

from __future__ import annotations

import random
from collections.abc import Iterable

from tests.config.loading import LONG, SHORT
from tests.fuzz.streams import (
    FIELDS,
    METHODS,
    NASTY_LINES,
    SPLINTERS,
    TARGETS,
    chunked,
    damaged,
    request,
    requests,
    response,
)
from tests.fuzz.targets import SEPARATOR

_COUNT = 40
_EXAMPLE = b"""\
listen: [127.0.0.1:8080, "unix:/run/sidecar/app.sock"]
gate: {hosts: [crm.local], origins: [], socket_mode: "0660", require_header: {name: X-A, value: "true"}}
credentials:
  one:
    api_key: {file: /run/secrets/one}
    exchange: {url: "https://a/token", json: {key: "{api_key}"}, response: {token: /token, expires_at: /e}}
    inject: {header: Authorization, value: "Bearer {token}", drop: [X-Api-Key]}
    refresh: {window: 60s, hold_down: 30s, budget: 12/1m, backoff: {first: 1s, most: 30s}}
routes:
  - {name: crm, match: {path: /crm/, host: null}, upstream: "https://b/${API_KEY:-x}", strip_prefix: true,
     credential: one, allow: [{methods: [GET], paths: ["/crm/**"]}], replay_body: 1MiB}
limits: {connections: auto, replay_memory: 32MiB, head: 64KiB, fields: 100, head_timeout: 10s}
"""
_PATHS = (
    *(b"0/a/b?c", b"0/../x", b"0/%2e%2e/x", b"2/public/a", b"2/public/..%2fprivate", b"0\\..\\x", b"0/%252e%252e/x"),
    *(b"0/;/../x", b"0/a;b/..;/x", b"0//..//x", b"0/.%00./", b"2/public/%2e%2e%5cx", b"0", b"0x", b"0/%", b"0/..."),
)
_HOSTS = (
    *(b"Host: localhost:8080", b"host:127.0.0.1:8080", b"Host: [::1]:8080", b"Host: CRM.LOCAL:8080", b"Host: evil"),
    *(b"Host: localhost:8080\r\nOrigin: http://localhost:8080", b"Host: localhost:8080\r\nOrigin: null"),
    *(b"Host: localhost:8080\r\nOrigin: https://app.example\r\nSec-Fetch-Site: cross-site",),
    *(b"Host: localhost:8080\r\nSec-Fetch-Site: same-origin", b"Host: localhost:8080\r\nSec_Fetch_Site: cross-site"),
)
_ANSWERS = (
    b'200|||{"token": "abc", "expiresAt": "2030-06-01T00:00:00Z", "expires_in": 3600}',
    b'200\nDate: Sun, 17 Mar 2030 17:46:40 GMT|||{"token": "eyJhbGciOiJub25lIn0.eyJleHAiOjE5MDAwMDM2MDB9."}',
    b'200\nContent-Encoding: gzip|||{"token": "abc"}',
    b"429\nRetry-After: 30|||",
    b"503\nRetry-After: Sun, 17 Mar 2030 17:47:40 GMT\nDate: Sun, 17 Mar 2030 17:46:40 GMT|||",
    b"401|||no",
    b'200|||{"token": "a b", "expires_in": "1e3"}',
)
_DATES = (
    *(b"2030-01-31T12:00:00Z", b"2030-01-31T12:00:00.123456789+02:00", b"1900000000", b"1900000000.5", b"1.9e9"),
    *(b"1900000000000", b"9999-12-31T23:59:59Z", b"20300131", b"Sun, 06 Nov 1994 08:49:37 GMT", b"3600", b"NaN"),
    *(b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994", b"2030-W05-4", b"-1", b"1e400", b""),
)


def seeds(target: str) -> list[bytes]:
    """Return the inputs that a target starts from; the same each time."""
    rng = random.Random(1)
    match target:
        case "client_stream":
            streams = (requests(rng) for _ in range(_COUNT))
            return [_byte(rng) + (stream if at % 2 else damaged(rng, stream)) for at, stream in enumerate(streams)]
        case "upstream_stream":
            return [_response(rng, damage=bool(at % 2)) for at in range(_COUNT)]
        case "request_head":
            return [SEPARATOR.join((request(rng), damaged(rng, request(rng)))) for _ in range(_COUNT)]
        case "response_head":
            return [_byte(rng) + SEPARATOR.join((response(rng, b"GET"), response(rng, b"GET"))) for _ in range(_COUNT)]
        case "framing":
            return [_byte(rng) + chunked(rng, bytes(rng.randint(0, 40))) + b"GET" for _ in range(_COUNT)]
        case "routes":
            return list(_PATHS)
        case "gate":
            return list(_HOSTS)
        case "configuration":
            return [SHORT.encode(), LONG.encode(), _EXAMPLE]
        case "answer":
            return list(_ANSWERS)
        case "dates":
            return list(_DATES)
    raise KeyError(target)


def _byte(rng: random.Random) -> bytes:
    return bytes((rng.randrange(256),))


def _response(rng: random.Random, *, damage: bool) -> bytes:
    stream = response(rng, b"GET")
    return _byte(rng) + _byte(rng) + (damaged(rng, stream) if damage else stream)


def dictionary(target: str) -> str:
    """Return words for the fuzzer to put in, in libFuzzer's form."""
    if target == "configuration":
        words: Iterable[bytes] = _EXAMPLE.replace(b":", b" ").replace(b",", b" ").split()
    elif target in ("answer", "dates"):
        words = (b"token", b"expiresAt", b"Retry-After: ", b"Date: ", b" GMT", b"+00:00", b"1e9", b"eyJ")
    elif target == "routes":
        words = (b"%2e", b"%2f", b"%5c", b"..", b"%25", b";", b"\\", b"//", b"%00", b"/crm/", b"public/")
    else:
        words = (*FIELDS, *NASTY_LINES, *SPLINTERS, *METHODS, *TARGETS, SEPARATOR)
    return "".join(_quoted(word) for word in dict.fromkeys(words))


def _quoted(word: bytes) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n'
