"""Heads of any kind: what is read is what stands there, and what is sent on is the rest of it, in the same order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.heads import (
    FOLD,
    check_before,
    check_head,
    check_response_before,
    read,
    sent_on,
    upgrade_of,
    what_may_pass,
)
from tests.fuzz.in_memory import UPSTREAM_HOST, Runner, running
from tests.fuzz.reference import NotClear, framing, read_head
from tests.fuzz.streams import FIELDS, METHODS, NASTY_LINES, SPLINTERS

_NAME = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUE = bytes(range(0x21, 0x7F)) + bytes(range(0x80, 0x100)) + b"\t "
_TARGET = bytes(byte for byte in range(0x21, 0x7F) if byte != ord("#"))


def of(alphabet: bytes, **sizes: int) -> st.SearchStrategy[bytes]:
    """Return strings of these bytes."""
    return st.text(alphabet.decode("latin-1"), **sizes).map(lambda text: text.encode("latin-1"))


_LINES = st.builds(
    lambda name, before, value, after: name + b":" + before + value + after,
    of(_NAME, min_size=1, max_size=12).filter(
        lambda name: not name.translate(FOLD).startswith((b"content-length", b"transfer-encoding", b"expect", b"host"))
    ),
    st.sampled_from([b"", b" ", b"\t", b"   "]),
    of(_VALUE, max_size=20),
    st.sampled_from([b"", b" ", b"\t"]),
) | st.sampled_from([line for line in FIELDS if not line.startswith(b"Expect")])
_FRAMINGS = st.sampled_from([b"", b"", b"Content-Length: 0", b"content-length:7", b"Transfer-Encoding: chunked"])


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """Return a head that is clear to everybody."""
    lines = draw(st.lists(_LINES, max_size=6))
    line = draw(_FRAMINGS)
    if line:
        lines.insert(draw(st.integers(0, len(lines))), line)
    lines.insert(draw(st.integers(0, len(lines))), b"Host: a")
    start = b" ".join((draw(st.sampled_from(METHODS)), b"/" + draw(of(_TARGET, max_size=30)), b"HTTP/1.1"))
    return b"\r\n".join((start, *lines, b"", b""))


@st.composite
def damaged_heads(draw: st.DrawFn) -> bytes:
    """Return such a head with bytes put in, taken out or replaced, and lines doubled or put in."""
    head = draw(heads())
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(head)))
        kind = draw(st.integers(0, 3))
        if kind == 3:
            lines = head.split(b"\r\n")
            lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from(NASTY_LINES) | st.sampled_from(lines)))
            head = b"\r\n".join(lines)
        else:
            piece = b"" if kind == 0 else draw(st.sampled_from(SPLINTERS) | st.binary(min_size=1, max_size=2))
            head = head[:at] + piece + head[at + (kind < 2) :]
    return head[: (head + b"\r\n\r\n").index(b"\r\n\r\n")] + b"\r\n\r\n"


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """A sidecar, for its route and its reader."""
    with running() as runner:
        yield runner


@settings(deadline=None, max_examples=150)
@given(heads())
def test_a_clear_head_is_read_as_it_stands(runner: Runner, raw: bytes) -> None:
    """Method, target and framing; and all of its fields but this connection's go on, between our Host and token."""
    meant = read_head(raw)
    head = read(runner, raw)
    assert (head.method, head.target) == (meant.method, meant.target)
    assert (None if head.fields.chunked else head.fields.length or 0) == framing(meant)
    passed = read_head(sent_on(runner, head))
    assert (passed.method, passed.target) == (meant.method, meant.target)
    own = [*upgrade_of(meant), (b"Authorization", b"Bearer t0ken")]
    assert list(passed.lines) == [(b"Host", UPSTREAM_HOST), *what_may_pass(meant), *own]


@settings(deadline=None, max_examples=300)
@given(damaged_heads())
def test_a_damaged_head_is_refused_or_clear_to_everybody(runner: Runner, raw: bytes) -> None:
    """What is let pass has for h11 and a plain reading the same fields and the same framing as for us."""
    check_head(runner, raw)


@settings(deadline=None, max_examples=200)
@given(heads() | damaged_heads(), heads() | damaged_heads(), st.booleans())
def test_the_head_before_never_changes_a_verdict(runner: Runner, first: bytes, second: bytes, same_lines: bool) -> None:
    """Not by what is kept of it, and not by the parser that has read it, on whichever connection."""
    if same_lines:
        second = second.partition(b"\r\n")[0] + b"\r\n" + first.partition(b"\r\n")[2]
    check_before(runner, first, second)


_STATUS_LINES = st.sampled_from(
    [b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 204", b"HTTP/1.1 304 x", b"HTTP/1.1 101 x", b"HTTP/1.1 100 x"]
)


@st.composite
def response_heads(draw: st.DrawFn) -> bytes:
    """Return the head of a response, damaged or not."""
    lines = (draw(heads()) if draw(st.booleans()) else draw(damaged_heads())).partition(b"\r\n")[2]
    return draw(_STATUS_LINES) + b"\r\n" + lines


@settings(deadline=None, max_examples=150)
@given(response_heads(), response_heads(), st.sampled_from([b"GET", b"HEAD"]), st.sampled_from([b"GET", b"HEAD"]))
def test_the_response_before_never_changes_a_verdict(
    first: bytes, second: bytes, first_method: bytes, method: bytes
) -> None:
    """The same bytes after another request may mean something else: a response to HEAD has no body."""
    check_response_before(first, first_method, second, method)


def test_the_plain_reading_is_strict() -> None:
    """It is what everything here is measured against."""
    for raw in (b"GET / HTTP/1.2\r\n\r\n", b"GET  / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nA : b\r\n\r\n"):
        with pytest.raises(NotClear):
            read_head(raw)
    for lines in (b"Content-Length: 1\r\nContent-Length: 1", b"Content-Length: +1", b"Transfer-Encoding: x, chunked"):
        with pytest.raises(NotClear):
            framing(read_head(b"GET / HTTP/1.1\r\n" + lines + b"\r\n\r\n"))
