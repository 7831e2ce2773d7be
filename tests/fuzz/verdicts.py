"""What a decoder or a parser says of some bytes, in a form that can be compared."""

from __future__ import annotations

from collections.abc import Sequence

from sidecar.dataplane.framing import BadFraming, ChunkedDecoder

# Body, trailers, what follows, and `whole`, `short` or `refused`; where it is refused, nothing else counts.
Verdict = tuple[bytes, bytes, bytes, str]


def chunked_verdict(segments: Sequence[bytes]) -> Verdict:
    """Decode a chunked body that comes in these segments."""
    decoder = ChunkedDecoder()
    body, rest = bytearray(), bytearray()
    try:
        for segment in segments:
            if decoder.done:
                rest += segment
            else:
                piece, after = decoder.feed(segment)
                body += piece
                rest += after
    except BadFraming:
        return b"", b"", b"", "refused"
    return bytes(body), decoder.trailers, bytes(rest), "whole" if decoder.done else "short"
