"""What has to hold for any bytes at all, whoever made them up: the differential tests and the fuzzer ask this.

Where a stream is let pass, h11 and both of aiohttp's parsers must see in what goes upstream the very messages that they
and a plain reading of the RFCs see in what came: the same number, with the same methods, targets and bodies. One in is
one out at most.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from aiohttp.http_exceptions import BadHttpMethod

from sidecar.dataplane.http1 import RequestReader
from tests.fuzz.in_memory import AUTHORITY, TOKEN_LINE, UPSTREAM_HOST, Outcome, Received, Runner
from tests.fuzz.other_parsers import (
    AIOHTTP_PARSERS,
    Refusal,
    SeenAnswer,
    aiohttp_requests,
    h11_answer,
    h11_requests,
)
from tests.fuzz.reference import Seen, read_requests

PLAIN = b"GET /plain HTTP/1.1\r\nHost: " + AUTHORITY + b"\r\n\r\n"

# h11 judges a framing field among the trailers as if it framed something; we leave it out (RFC 9110 6.5.1).
_FRAMED_BY_TRAILER = re.compile(
    rb"\n0+(?:[ \t]*;[^\n]*)?\r\n(?:[^\r\n]+\r\n)*(?:transfer-encoding|content-length):", re.IGNORECASE
)

Gist = tuple[bytes, bytes, bytes]


def check_requests(
    runner: Runner, segments: Sequence[bytes], *, in_one_turn: bool = False, slow: bool = False, honest: bool = False
) -> int:
    """Send a stream of requests; return how many went upstream whole.

    Args:
        in_one_turn, slow: as `Sidecar.requests` has them.
        honest: nothing in it is wrong, so all of it must pass.
    """
    stream = b"".join(segments)
    outcome: Outcome = runner.run(runner.sidecar.requests(segments, in_one_turn=in_one_turn, slow=slow))
    meant = [_as_sent(message) for message in read_requests(stream)]
    passed = _forwarded(runner, outcome)
    assert len(passed) == outcome.sent, "a request became several, or none"
    places = _answered_by_upstream(outcome, meant)
    whole = [message for message in passed if message.whole]
    assert [message.gist for message in whole] == [meant[place].gist for place in places], "not what was meant"
    _agrees_with_h11(stream, {place: meant[place].gist for place in places})
    for message, place in zip(whole, places, strict=True):
        _check_fields(message, meant[place])
    if honest:
        assert len(whole) == _served(meant), "an honest request was not served"
    reader: RequestReader = runner.sidecar.parts.reader
    assert reader.read(PLAIN).target == b"/plain"  # whoever comes next, on another connection
    return len(whole)


def sent_upstream(runner: Runner, segments: Sequence[bytes]) -> tuple[Received, ...]:
    """Send a stream of requests; return what each upstream connection got."""
    outcome: Outcome = runner.run(runner.sidecar.requests(segments))
    return outcome.upstreams


def _as_sent(message: Seen) -> Seen:
    """A target in absolute form goes upstream in origin form (RFC 9112 3.2)."""
    if message.target[:7].lower() != b"http://":
        return message
    begin = min((at for mark in (b"/", b"?") if (at := message.target.find(mark, 7)) >= 0), default=len(message.target))
    path = message.target[begin:]
    return replace(message, target=path if path.startswith(b"/") else b"/" + path)


def _forwarded(runner: Runner, outcome: Outcome) -> list[Seen]:
    """Return what went upstream, which must be the same for h11 and both of aiohttp's parsers."""
    passed: list[Seen] = []
    for upstream in outcome.upstreams:
        seen = h11_requests(upstream.data)
        assert all(message.whole for message in seen[:-1])
        assert len(seen) == len(upstream.pieces), "h11 counts other requests than were sent"
        assert upstream.cut or not seen or seen[-1].whole, "a request that is not whole had a clean end"
        for parser in AIOHTTP_PARSERS:
            others = runner.run(_aiohttp(upstream.pieces, parser))
            if others is not None:
                assert [_folded(message) for message in others] == [_folded(message) for message in seen]
                assert [message.whole for message in others] == [message.whole for message in seen]
                assert [_values(message) for message in others] == [_values(message) for message in seen]
        passed += seen
    return passed


async def _aiohttp(pieces: Sequence[bytes], parser: Callable[..., Any]) -> list[Seen] | None:
    """Return what one of aiohttp's parsers sees; None where it refuses what is clear, but not to its liking.

    That is a method that it does not know, and one of some fields twice: RFC 9110 5.3 has those at most once, but no
    intermediary takes the second one out.
    """
    try:
        return aiohttp_requests(pieces, parser)
    except BadHttpMethod:
        return None
    except Refusal as error:
        repeated = re.search(r"Duplicate '([\w-]+)' header", error.message)
        assert repeated and repeated[1].lower() not in _FRAMING, f"{parser} refuses what was sent: {error.message}"
        return None


_FRAMING = ("host", "content-length", "transfer-encoding")


def _folded(message: Seen) -> Gist:
    """What must be the same for everybody; aiohttp's parser in Python puts every method in upper case."""
    return message.method.upper(), message.target, message.body


def _values(message: Seen) -> list[tuple[bytes, bytes]]:
    return [(name.lower(), value) for name, value in message.lines if name.lower() != b"transfer-encoding"]


def _agrees_with_h11(stream: bytes, whole: dict[int, Gist]) -> None:
    """What we let pass, h11 must have read in the same way from what the app sent."""
    if _FRAMED_BY_TRAILER.search(stream):
        return
    seen = [_as_sent(message).gist if message.whole else None for message in h11_requests(stream)]
    for place, gist in whole.items():
        assert place < len(seen) and seen[place] == gist, "h11 reads what the app sent in another way"


def _check_fields(passed: Seen, meant: Seen) -> None:
    """Host and token are ours alone; the framing stands there once; trailers may be left out, never added."""
    assert passed.values(b"host") == [UPSTREAM_HOST]
    assert passed.values(b"authorization") == [TOKEN_LINE.partition(b": ")[2]]
    assert len(passed.values(b"content-length") + passed.values(b"transfer-encoding")) <= 1
    assert set(passed.trailers) <= set(meant.trailers)


def _served(meant: list[Seen]) -> int:
    """Return how many of these are to be served: up to one that ends its connection."""
    for count, message in enumerate(meant, 1):
        options = b",".join(message.values(b"connection")).lower()
        if b"close" in options or (message.http_10 and b"keep-alive" not in options):
            return count
    return len(meant)


def _answered_by_upstream(outcome: Outcome, meant: list[Seen]) -> list[int]:
    """Return which of the requests that were meant the upstream answered; the others had an answer of our own.

    Every answer must be whole but where the connection is cut, and nothing may come after one that ends it.
    """
    places: list[int] = []
    rest = outcome.app.data
    for place in range(len(meant) + 1):
        if not rest:
            break
        method = meant[place].method if place < len(meant) else b"GET"
        answer = _answer(rest, method, ended=not outcome.app.cut)
        if answer.status is None and outcome.app.cut:
            assert set(answer.interim) <= {100}
            return places
        assert answer.whole and (answer.status == 204 or answer.values(b"proxy-status")), answer
        if answer.status == 204:
            places.append(place)
        rest = answer.rest
        assert not rest or b"close" not in answer.values(b"connection"), "an answer after the last one"
    assert not rest, "more answers than requests"
    return places


def _answer(data: bytes, method: bytes, *, ended: bool) -> SeenAnswer:
    """Return the first answer; one that is refused may be too unclear to tell whether it was a HEAD."""
    answers = [h11_answer(data, likely, ended=ended) for likely in (method, b"GET", b"HEAD")]
    fits = (each for each in answers if each.whole and not (each.rest and each.values(b"connection") == [b"close"]))
    return next(fits, answers[0])


def check_response(
    runner: Runner,
    method: bytes,
    segments: Sequence[bytes],
    *,
    end: str,
    http_10: bool = False,
    slow: bool = False,
    honest: bool = False,
) -> bool:
    """Have an upstream answer with these segments; return whether the app got a whole answer of the upstream's.

    Args:
        end, slow: as `Sidecar.response` has them.
        http_10: the app speaks HTTP/1.0: a body that tells its own end is then ended by the connection.
        honest: nothing in it is wrong, so it must pass.
    """
    stream = b"".join(segments)
    request = b"%b / HTTP/1.%d\r\nHost: %b\r\n\r\n" % (method, not http_10, AUTHORITY)
    outcome: Outcome = runner.run(runner.sidecar.response(request, segments, end=end, then=(PLAIN, _NEXT), slow=slow))
    came = h11_answer(stream, method, ended=end == "close")
    got = h11_answer(outcome.app.data, method, ended=not outcome.app.cut)
    assert got.status is not None or not got.refused, "h11 refuses what is relayed"
    if got.status is None or got.values(b"proxy-status") not in ([], came.values(b"proxy-status")):
        assert not honest or not came.whole, "an honest response was not relayed"
        return False
    if _FRAMED_BY_TRAILER.search(stream):
        return got.whole
    assert came.status == got.status, "another status than h11 sees"
    _check_relayed(got, came)
    if not got.whole:
        assert not honest or not came.whole
        assert outcome.app.cut
        return False
    assert came.whole, "a response that h11 finds incomplete looks complete to the app"
    assert (got.body, got.reason) == (came.body, came.reason)
    assert set(got.trailers) <= set(came.trailers)
    _check_next(outcome, got, came)
    return True


_NEXT = b"HTTP/1.1 299 Next\r\nContent-Length: 0\r\n\r\n"
_OURS = (b"connection", b"transfer-encoding")


def _check_relayed(got: SeenAnswer, came: SeenAnswer) -> None:
    """Nothing is added but what is the connection's own; interim answers come as they came, if at all."""
    assert {_plain(line) for line in got.lines if line[0].lower() not in _OURS} <= set(map(_plain, came.lines))
    assert len(got.interim) <= len(came.interim) and set(got.interim) <= set(came.interim)
    assert got.values(b"authorization") == []


def _plain(line: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """A length may lose its leading zeros on the way."""
    name, value = line
    return (name, value.lstrip(b"0") or b"0") if name.lower() == b"content-length" else line


def _check_next(outcome: Outcome, got: SeenAnswer, came: SeenAnswer) -> None:
    """The next request on the app's connection gets its own answer, and no byte that the first one left over."""
    if not got.rest:
        assert outcome.app.ended or outcome.app.cut
        return
    then = h11_answer(got.rest, b"GET", ended=False)
    assert (then.status, then.whole, then.rest) == (299, True, b"")
    if came.rest:
        assert len(outcome.upstreams) == 2, "a connection with surplus bytes was used again"
