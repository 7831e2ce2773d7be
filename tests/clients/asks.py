"""What every client asks for, directly and through the sidecar; both must come to the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

ONE_MIB = 1024 * 1024
# What may differ: it belongs to one connection or one moment (RFC 9110 6.6.1, 7.6.1).
MAY_DIFFER = frozenset(("connection", "date", "keep-alive"))


@dataclass(frozen=True, slots=True)
class Ask:
    """One request.

    Args:
        body_bytes: the size of its body; None for none.
        chunked: whether the client is to stream the body rather than to know its length.
    """

    method: str
    path: str
    fields: tuple[tuple[str, str], ...] = ()
    body_bytes: int | None = None
    chunked: bool = False

    @property
    def body(self) -> bytes | None:
        """The bytes of its body."""
        return None if self.body_bytes is None else content(self.body_bytes)

    @property
    def pieces(self) -> Iterable[bytes]:
        """The body, in pieces."""
        whole = self.body or b""
        return [whole[at : at + 100_000] for at in range(0, len(whole), 100_000)]


@dataclass(frozen=True, slots=True)
class Got:
    """What a client made of the answer: content-coding undone, the usual redirects followed."""

    status: int
    reason: str
    fields: tuple[tuple[str, str], ...]
    size: int
    sha256: str


def content(size: int) -> bytes:
    """Return bytes that repeat nowhere on the boundaries at which programs cut."""
    return (b"0123456789abcdef\r\n\r\n\x00" * (size // 21 + 1))[:size]


def got(status: int, reason: str, fields: Iterable[tuple[str, str]], body: bytes) -> Got:
    """Return what a client got, without what may differ."""
    return Got(status, reason, lasting(fields), len(body), hashlib.sha256(body).hexdigest())


def lasting(fields: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return the fields of an answer that may not differ."""
    return tuple((name.lower(), value) for name, value in fields if name.lower() not in MAY_DIFFER)


# Of nginx, and then of the mirror.
ASKS: tuple[Ask, ...] = (
    Ask("GET", "/files/one"),
    Ask("GET", "/chunked/one"),
    Ask("HEAD", "/files/one"),
    Ask("GET", "/files/one", (("Range", "bytes=100-299"),)),
    Ask("GET", "/files/one", (("Range", "bytes=-500"),)),
    Ask("GET", "/files/one", (("Range", "bytes=99999999-"),)),
    Ask("GET", "/files/one", (("If-None-Match", "*"),)),
    Ask("GET", "/gzip/one", (("Accept-Encoding", "gzip"),)),
    Ask("GET", "/gzip/one", (("Accept-Encoding", "identity"),)),
    Ask("GET", "/a%2Fb;c/%7Ed//e?q=%20+&q=%C3%BC&&"),
    Ask("GET", "/status/403"),
    Ask("GET", "/status/404"),
    Ask("GET", "/status/500"),
    Ask("POST", "/sink", body_bytes=3 * ONE_MIB),
    Ask("POST", "/sink", body_bytes=ONE_MIB, chunked=True),
    Ask("PUT", "/upload/two", body_bytes=2 * ONE_MIB),
    Ask("GET", "/mirror/plain", (("X-Of-The-App", "a  b"), ("Cookie", "c=3"))),
    Ask("POST", "/mirror/none", body_bytes=0),
    Ask("POST", "/mirror/some?q=1", (("Content-Type", "application/json"),), body_bytes=1000),
    Ask("PUT", "/mirror/streamed", body_bytes=ONE_MIB, chunked=True),
    Ask("PATCH", "/mirror/some", body_bytes=10),
    Ask("DELETE", "/mirror/some"),
    Ask("OPTIONS", "/mirror/some"),
    Ask("GET", "/mirror/moved"),
)


def assert_same(asks: Iterable[Ask], direct: Iterable[Got], through: Iterable[Got]) -> None:
    """Fail where something came out differently through the sidecar, and say what."""
    triples = zip(asks, direct, through, strict=True)
    told = [f"{ask}\n  direct:  {one}\n  through: {other}" for ask, one, other in triples if one != other]
    assert not told, "\n".join(told)
