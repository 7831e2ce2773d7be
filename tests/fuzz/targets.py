"""What the fuzzer calls with bytes of its own making: each returns, or raises because a promise is broken.

The first byte chooses among variants and cuts the rest into segments; `|||` separates parts where there are several.
Only errors of ours may come out of what is called here, and they are taken; an AssertionError or anything else is a
find. Nothing here needs the fuzzer: the suite calls each target with its seeds.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from posixpath import normpath
from urllib.parse import unquote_to_bytes

from sidecar.config import load
from sidecar.credentials.answer import Answer, AnswerRules, read_answer, retry_after_s
from sidecar.credentials.expiry import LAST_MOMENT, clock_difference, http_date, moment, seconds
from sidecar.credentials.rules import AnswerPointers, Injection, RejectedRules
from sidecar.credentials.token import refresh_at
from sidecar.errors import Answerable, ConfigError, ExchangeFailed
from sidecar.gate import Gate, authorities
from sidecar.messages import Fields, RequestHead
from sidecar.routes import Allow, Match
from tests.fuzz.agreement import check_requests, check_response
from tests.fuzz.heads import check_before, check_head, check_response_before, read
from tests.fuzz.in_memory import Runner, split
from tests.fuzz.reference import NotClear, read_chunked
from tests.fuzz.verdicts import chunked_verdict

Target = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Stand:
    """What targets stand on: a sidecar in memory, and a folder for files."""

    runner: Runner
    folder: Path


SEPARATOR = b"|||"
_METHODS = (b"GET", b"HEAD", b"POST")
_ENDS = ("close", "stay", "reset")
_NOW = 1_900_000_000.0


def _cut(data: bytes, seed: int) -> list[bytes]:
    """Return segments: one, or some, or single bytes."""
    if seed % 4 == 0 or not data:
        return [data] if data else []
    if seed % 4 == 1:
        return [data[at : at + 1] for at in range(len(data))]
    rng = random.Random(seed)
    return split(data, sorted(rng.randint(1, len(data)) for _ in range(seed % 7)))


def _head(data: bytes) -> bytes:
    """Return a head: up to the first empty line, as the connection finds it."""
    return data[: (data + b"\r\n\r\n").index(b"\r\n\r\n")] + b"\r\n\r\n"


def _parts(data: bytes, count: int) -> Sequence[bytes]:
    return (data.split(SEPARATOR, count - 1) + [b""] * count)[:count]


def request_head(stand: Stand) -> Target:
    """Heads of requests, one after another."""
    runner = stand.runner

    def target(data: bytes) -> None:
        first, second = _parts(data, 2)
        if second:
            check_before(runner, _head(first), _head(second))
        check_head(runner, _head(second or first))

    return target


def response_head(stand: Stand) -> Target:
    """Heads of responses, one after another."""

    def target(data: bytes) -> None:
        first, second = _parts(data[1:], 2)
        kind = data[0] if data else 0
        check_response_before(_head(first), _METHODS[kind % 3], _head(second), _METHODS[kind // 3 % 3])

    return target


def framing(stand: Stand) -> Target:
    """Chunked bodies in segments."""

    def target(data: bytes) -> None:
        stream = data[1:]
        whole = chunked_verdict([stream])
        assert chunked_verdict(_cut(stream, data[0] if data else 0)) == whole
        if whole[3] == "refused":
            return
        try:
            meant = read_chunked(stream)
        except NotClear:
            assert whole[3] == "short", "a body is taken that nobody else takes"
        else:
            assert (whole[3] == "whole") == (meant is not None)
            assert meant is None or (whole[0], whole[2]) == (meant[0], meant[2])

    return target


def routes(stand: Stand) -> Target:
    """Targets on a route with rules: what is let through stays below its prefix in every reading."""
    allow = [Allow(("GET",), ("/crm/**",)), Allow((), ("/crm/public/*",))]
    keys = {"host": None, "strip_prefix": True, "upstream_prefix": "/v1", "allow": allow}
    match = Match("/crm/", **keys)  # type: ignore[arg-type]  # one dictionary of several types

    def target(data: bytes) -> None:
        method, line = _METHODS[(data[0] if data else 0) % 3], b"/crm" + data[1:].translate(None, b"\r\n\x00 ")
        head = RequestHead(b"", method, line, False, Fields(b""))
        if not match.covers(head.path):
            return
        try:
            sent = match.admit(head)
        except Answerable:
            return
        assert sent == b"/v1" + (line[4:] if line[4:5] == b"/" else b"/" + line[4:])
        path = head.path
        for _ in range(4):
            for seen in (path, path.replace(b"\\", b"/")):
                plain = normpath(b"/" + seen.partition(b"\x00")[0].lstrip(b"/"))
                assert plain == b"/crm" or plain.startswith(b"/crm/"), "it leaves its route"
                assert method == b"GET" or plain.startswith(b"/crm/public"), "no rule allows it"
            path = unquote_to_bytes(path)

    return target


def gate(stand: Stand) -> Target:
    """Hosts and origins: who is let in names this listener, and comes from no other web page."""
    runner = stand.runner
    own = authorities(8080, ("crm.local",))
    door = Gate(origins=("https://app.example",))

    def target(data: bytes) -> None:
        try:
            head = read(runner, b"GET / HTTP/1.1\r\n" + _head(data))
            door.admit(head, own)
        except Answerable:
            return
        host = head.fields.host
        assert host is not None and host.lower() in own
        origins = [origin.lower() for origin in head.fields.values(b"origin")]
        assert origins == [b"https://app.example"] or set(origins) <= {b"http://" + host.lower()}
        if not origins:
            assert set(head.fields.values(b"sec-fetch-site")) <= {b"same-origin", b"none"}

    return target


def configuration(stand: Stand) -> Target:
    """The text of a file: a configuration, or all of its mistakes."""
    path = stand.folder / "config.yaml"
    environ = {"API_KEY": "key-for-tests"}

    def target(data: bytes) -> None:
        path.write_bytes(data)
        try:
            config = load(path=os.fspath(path), flags={}, environ=environ)
        except ConfigError as error:
            assert error.mistakes and all(mistake.text for mistake in error.mistakes)
            assert "key-for-tests" not in str(error)
        else:
            assert config.routes

    return target


def answer(stand: Stand) -> Target:
    """Answers of token endpoints: status and fields in the first part, the body in the second."""
    rules = AnswerRules(
        AnswerPointers("/token", "/expiresAt", "/expires_in"), RejectedRules(body=None), Injection(), 300.0
    )

    def target(data: bytes) -> None:
        first, body = _parts(data, 2)
        start, *lines = first.decode("latin-1").split("\n")
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        status = int(start) if start.isascii() and start.isdigit() and len(start) < 4 else 200
        answered = Answer(status, fields, _NOW, body)
        after_s = retry_after_s(answered)
        assert after_s is None or 0 <= after_s < math.inf
        assert math.isfinite(clock_difference(fields.get("date"), _NOW))
        try:
            token = read_answer(answered, rules)
        except ExchangeFailed as failed:
            assert failed.outcome != "ok"
        else:
            assert 200 <= status < 300 and _NOW < token.expires_at <= 2 * LAST_MOMENT
            assert _NOW < refresh_at(token, 60.0, 0.5) <= token.expires_at
            assert token.line.reveal().count(b"\n") == 1

    return target


def dates(stand: Stand) -> Target:
    """One text as a moment, a length of time, and a date."""

    def target(data: bytes) -> None:
        text = data.decode("utf-8", "surrogateescape")
        for reading in (moment, seconds):
            try:
                assert 0 <= reading(text) <= LAST_MOMENT
            except ExchangeFailed as failed:
                assert failed.outcome == "bad_response"
        date = http_date(text)
        assert date is None or math.isfinite(date)

    return target


def client_stream(stand: Stand) -> Target:
    """Whole streams of requests, through everything but sockets."""
    runner = stand.runner

    def target(data: bytes) -> None:
        kind = data[0] if data else 0
        check_requests(runner, _cut(data[1:], kind), in_one_turn=kind >= 128, slow=kind % 32 >= 24)

    return target


def upstream_stream(stand: Stand) -> Target:
    """Whole streams of responses, through everything but sockets."""
    runner = stand.runner

    def target(data: bytes) -> None:
        kind = data[0] if data else 0
        segments = _cut(data[2:], data[1] if len(data) > 1 else 0)
        check_response(
            runner, _METHODS[kind % 3], segments, end=_ENDS[kind // 3 % 3], http_10=kind >= 192, slow=kind % 32 >= 24
        )

    return target


# Those that most attacks would go by come first.
TARGETS: dict[str, Callable[[Stand], Target]] = {
    made.__name__: made
    for made in (
        client_stream,
        upstream_stream,
        request_head,
        response_head,
        framing,
        routes,
        gate,
        configuration,
        answer,
        dates,
    )
}
