"""What each request of the soak is, known from its number alone: so every side can check what it gets.

Shapes are drawn once, with a fixed seed, and taken in turn. Bodies begin with the request's number and go on with
bytes that depend on it, so that no two requests may swap even a part of theirs unseen.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

Framing = Literal["length", "chunked", "close"]
# What befalls it: nothing; its app leaves; the upstream resets its connection.
Fate = Literal["fine", "leaves_before", "leaves_up", "leaves_down", "reset_before", "reset_down"]

# A prime, so that the shapes do not keep step with anything.
SHAPES_COUNT = 4093
FATES: dict[Fate, float] = {
    "fine": 94.0,
    "leaves_before": 2.0,
    "leaves_up": 1.5,
    "leaves_down": 1.5,
    "reset_before": 0.5,
    "reset_down": 0.5,
}
# Sizes in bytes, up to each, and how often of 1000.
SIZES = ((256, 600), (4096, 330), (65_536, 60), (262_144, 8), (1_500_000, 2))
LEAST_BYTES = 16
# What is left in the middle is large enough not to fit into the sockets on its way.
LEFT_UP_BYTES = 40_000
LEFT_DOWN_BYTES = 900_000
CHUNK_BYTES = 8192
# Larger bodies are not kept for a replay: the route's `replay_body`.
REPLAYED_BYTES = 1024 * 1024
PIPELINED_BYTES = 4096

_FILLER = random.Random(2).randbytes(2_000_000)


@dataclass(frozen=True, slots=True)
class Shape:
    """A request and its answer.

    `up` is the request's body (0: none) and `in_halves` says that it comes in two goes; `down` is the answer's.
    """

    method: str
    up_bytes: int
    up_chunked: bool
    in_halves: bool
    down_bytes: int
    down: Framing
    fate: Fate

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent again after its connection ended without an answer."""
        return self.method in ("GET", "PUT")

    @property
    def pipelines(self) -> bool:
        """Whether it is sent together with others, before their answers."""
        return self.fate == "fine" and self.up_bytes <= PIPELINED_BYTES and not self.in_halves and self.down != "close"


def _drawn(rng: random.Random) -> Shape:
    fate = rng.choices(list(FATES), list(FATES.values()))[0]
    method = rng.choices(("GET", "POST", "PUT"), (60, 30, 10))[0]
    if fate == "leaves_up":
        method = "POST"
    up_bytes = 0 if method == "GET" else _size(rng)
    down_bytes = _size(rng)
    if fate == "leaves_up":
        up_bytes = LEFT_UP_BYTES
    if fate in ("leaves_down", "reset_down"):
        down_bytes = LEFT_DOWN_BYTES
    down: Framing = rng.choices(("length", "chunked", "close"), (75, 22, 3))[0]
    return Shape(method, up_bytes, rng.random() < 0.3, up_bytes > 0 and rng.random() < 0.1, down_bytes, down, fate)


def _size(rng: random.Random) -> int:
    most = rng.choices([size for size, _ in SIZES], [weight for _, weight in SIZES])[0]
    return rng.randint(LEAST_BYTES, most)


_RNG = random.Random(1)
SHAPES = tuple(_drawn(_RNG) for _ in range(SHAPES_COUNT))


def shape_of(number: int) -> Shape:
    """Return what request `number` is."""
    return SHAPES[number % SHAPES_COUNT]


def content(mark: str, number: int, size: int) -> bytes:
    """Return the body of request (`mark` is "q") or answer ("a") `number`."""
    return b"%b%015d%b" % (mark.encode(), number, _FILLER[number % 8191 : number % 8191 + size - LEAST_BYTES])


def chunks(body: bytes) -> bytes:
    """Return a body in the chunked coding."""
    pieces = [body[at : at + CHUNK_BYTES] for at in range(0, len(body), CHUNK_BYTES)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def request(number: int, host: str) -> tuple[bytes, bytes]:
    """Return the bytes of request `number`, as two parts: what is sent at once, and what a moment later."""
    shape = shape_of(number)
    head = f"{shape.method} /r/{number} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n"
    if not shape.up_bytes:
        return f"{head}\r\n".encode(), b""
    body = content("q", number, shape.up_bytes)
    if shape.up_chunked:
        raw = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks(body)
    else:
        raw = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    if not shape.in_halves and shape.fate != "leaves_up":
        return raw, b""
    half = len(raw) - len(body) // 2
    return raw[:half], raw[half:]


class Chunks:
    """Takes a chunked body apart; a parser of the soak's own, which shares nothing with the one that it checks."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._buffer = b""

    @property
    def body(self) -> bytes:
        """What has come so far."""
        return b"".join(self._pieces)

    def feed(self, data: bytes) -> bytes | None:
        """Take in bytes; return those behind the end of the body, None before it.

        Raises:
            ValueError: this is not the chunked coding.
        """
        data = self._buffer + data
        at = 0
        while (end := data.find(b"\r\n", at)) >= 0:
            size = int(data[at:end], 16)
            after = end + 2 + size
            if len(data) < after + 2:
                break
            if data[after : after + 2] != b"\r\n":
                raise ValueError("a chunk without its end")
            if not size:
                return data[after + 2 :]
            self._pieces.append(data[end + 2 : after])
            at = after + 2
        self._buffer = data[at:]
        return None
