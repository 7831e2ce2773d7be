"""Where a body ends does not depend on the segments that it comes in, and nothing is taken that follows it."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.dataplane.flow import Body, Endpoint, Sink
from sidecar.dataplane.framing import BadFraming, ChunkedDecoder, SizedDecoder
from tests.fuzz.in_memory import MemoryTransport, split
from tests.fuzz.reference import NotClear, read_chunked
from tests.fuzz.streams import chunked, damaged
from tests.fuzz.verdicts import chunked_verdict

_CUTS = st.lists(st.integers(0, 400), max_size=8).map(sorted)
_TRAILING = st.sampled_from([b"", b"GET / HTTP/1.1\r\n\r\n", b"\r\n", b"0\r\n\r\n", b"x"])


@st.composite
def chunked_bodies(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """Return a body, and the same in chunks of any size."""
    body = draw(st.binary(max_size=60))
    return body, chunked(random.Random(draw(st.integers(0, 2**32))), body)


@settings(deadline=None)
@given(chunked_bodies(), _TRAILING, _CUTS)
def test_chunks_come_out_as_they_went_in(bodies: tuple[bytes, bytes], trailing: bytes, cuts: list[int]) -> None:
    """In any segments; what follows is handed back to the byte."""
    body, encoded = bodies
    got, trailers, rest = chunked_verdict(split(encoded + trailing, cuts))[:3]
    assert (got, rest) == (body, trailing)
    meant = read_chunked(encoded + trailing)
    assert meant is not None and (got, rest) == (meant[0], meant[2])
    assert trailers in (b"", b"X-Sum: canary\r\n", b"X-Sum: 1\r\nX-B:\r\n")


@settings(deadline=None, max_examples=300)
@given(chunked_bodies(), _TRAILING, _CUTS, st.integers(0, 2**32))
def test_segments_never_change_a_verdict(
    bodies: tuple[bytes, bytes], trailing: bytes, cuts: list[int], seed: int
) -> None:
    """A damaged body is refused or not, and ends where it ends, however it arrives; and nobody else reads it longer."""
    stream = damaged(random.Random(seed), bodies[1] + trailing)
    whole = chunked_verdict([stream])
    assert chunked_verdict(split(stream, cuts)) == whole
    assert chunked_verdict([stream[at : at + 1] for at in range(len(stream))]) == whole
    try:
        meant = read_chunked(stream)
    except NotClear:
        assert whole[3] != "whole"
    else:
        assert whole[3] == "refused" or (whole[3] == "whole") == (meant is not None)
        assert meant is None or whole[3] == "refused" or (whole[0], whole[2]) == (meant[0], meant[2])


@settings(deadline=None)
@given(st.binary(max_size=60), st.binary(max_size=20), _CUTS)
def test_a_sized_body_ends_at_its_size(body: bytes, trailing: bytes, cuts: list[int]) -> None:
    """In any segments."""
    decoder = SizedDecoder(len(body))
    got, rest = b"", b""
    for segment in split(body + trailing, cuts):
        if decoder.done:
            rest += segment
        else:
            piece, after = decoder.feed(segment)
            got, rest = got + piece, rest + after
    assert (got, rest, decoder.done) == (body, trailing, True)


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=30), max_size=6), st.booleans())
def test_what_is_sent_in_chunks_is_read_as_what_it_was(pieces: list[bytes], held: bool) -> None:
    """Held until its sink came, or passed on as it came."""
    endpoint = Endpoint()
    endpoint.transport = transport = _NoLoop()
    body = Body(endpoint, None)
    if not held:
        body.attach(Sink(endpoint, chunked=True))
    for piece in pieces:
        body.feed(piece)
    body.end(b"X-Sum: 1\r\nContent-Length: 5\r\n")
    if held:
        body.attach(Sink(endpoint, chunked=True))
    assert read_chunked(bytes(transport.written)) == (
        b"".join(pieces),
        ((b"X-Sum", b"1"), (b"Content-Length", b"5")),
        b"",
    )
    decoder = ChunkedDecoder()
    assert decoder.feed(bytes(transport.written)) == (b"".join(pieces), b"")
    assert decoder.trailers == b"X-Sum: 1\r\n"


class _NoLoop(MemoryTransport):
    """Takes what is written; nothing ever comes from it."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.on_write = None
        self.ended = self._closing = self._slow = False


def test_a_broken_chunk_stays_broken() -> None:
    """What would mend it comes too late."""
    decoder = ChunkedDecoder()
    for piece in (b"5\r\nhello", b"x"):
        try:
            decoder.feed(piece)
        except BadFraming:
            return
    raise AssertionError("it was taken")
