"""Routes: which one a request takes, what it may do there, and the target that goes upstream.

The longest path prefix wins, on segment boundaries. The bytes that were
matched are the bytes that are sent: nothing is decoded or folded on the way.
But upstreams do decode and fold, so a path must match in every reading that
some server has of it (`readings`): one that leaves its route, or its rules,
in any of them is refused, not repaired.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

from sidecar.errors import NoRoute, Refused
from sidecar.messages import RequestHead

R = TypeVar("R")

# Decoding can be repeated by careless servers; a path that still changes after this many times has no honest use.
MOST_DECODINGS = 3

_OAUTH_METADATA = b"/.well-known/oauth-"  # RFC 8414 3, RFC 9728 3
_LEAVES = "the path leaves its route when it is decoded or folded"
_READ_IN_SEVERAL_WAYS = re.compile(rb"[%\\;\x00]|/\.|//")


@dataclass(frozen=True, slots=True)
class Allow:
    """One allowed combination; empty methods or paths allow all of them."""

    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


def readings(path: bytes, floor: int) -> Iterator[bytes]:
    """Yield the path as received, and each way in which a server may read it.

    Args:
        floor: how many segments at its beginning no `..` may take away.

    Raises:
        Refused: a `..` does, or it goes on changing when it is decoded again.
    """
    yield path
    if not _READ_IN_SEVERAL_WAYS.search(path):
        return
    for _ in range(MOST_DECODINGS):
        yield _fold(path, floor)
        yield _fold(_without_parameters(path), floor)
        decoded = unquote_to_bytes(path)
        if decoded == path:
            return
        path = decoded
    raise Refused("the path is encoded too many times over", reason="path")


def _without_parameters(path: bytes) -> bytes:
    """Drop `;…` from each segment, as servlet containers do."""
    return b"/".join(segment.partition(b";")[0] for segment in path.split(b"/"))


def _fold(path: bytes, floor: int) -> bytes:
    """Resolve dot segments and empty ones; a backslash counts as a slash, a NUL ends the path."""
    path = path.partition(b"\x00")[0].replace(b"\\", b"/")
    kept: list[bytes] = []
    for segment in path.split(b"/"):
        if segment == b"..":
            if len(kept) <= floor:
                raise Refused(_LEAVES, reason="path")
            kept.pop()
        elif segment not in (b"", b"."):
            kept.append(segment)
    folded = b"/" + b"/".join(kept)
    return folded + b"/" if path.endswith((b"/", b"/.", b"/..")) and kept else folded


class Rules:
    """What may be asked for on a route.

    Args:
        allow: combinations of methods and path patterns; `*` is any run within a segment, `**` any run. None: all.
    """

    def __init__(self, allow: Sequence[Allow]) -> None:
        self._allow = [
            (frozenset(method.encode() for method in rule.methods), [_pattern(path) for path in rule.paths])
            for rule in allow
        ]

    def __bool__(self) -> bool:
        return bool(self._allow)

    def allows(self, method: bytes, path: bytes) -> bool:
        """Whether a rule allows this, taking the path as it is written."""
        for methods, patterns in self._allow:
            if (not methods or method in methods) and (not patterns or any(p.fullmatch(path) for p in patterns)):
                return True
        return False


def _pattern(text: str) -> re.Pattern[bytes]:
    parts = re.split(r"(\*\*|\*)", text)
    wild = {"**": rb".*", "*": rb"[^/]*"}
    return re.compile(b"".join(wild.get(part) or re.escape(part.encode()) for part in parts), re.DOTALL)


class Match:
    """What a route matches, and what becomes of the target.

    Args:
        path: prefix, matched on segment boundaries: `/crm/` and `/crm` both match `/crm` and all below it.
        host: only requests with this Host (without its port), or None for all.
        strip_prefix: send the path without the prefix.
        upstream_prefix: put before the path, "" for none.
        allow: what is allowed; none listed is all.
        agent_safe: there is no OAuth metadata here, whatever the upstream has: an agent would start to log in by it.
    """

    def __init__(
        self,
        path: str,
        *,
        host: str | None,
        strip_prefix: bool,
        upstream_prefix: str,
        allow: Sequence[Allow],
        agent_safe: bool = False,
    ) -> None:
        self.segments = path.rstrip("/").encode()
        self.host = None if host is None else host.lower().encode()
        self._strip = len(self.segments) if strip_prefix else 0
        self._prefix = upstream_prefix.rstrip("/").encode()
        self._rules = Rules(allow)
        self._floor = self.segments.count(b"/")
        self._rewrites = bool(self._strip or self._prefix)
        # Whether every target passes as it is.
        self.is_plain = not self.segments and not self._rules and not self._rewrites and not agent_safe
        self._agent_safe = agent_safe

    def covers(self, path: bytes) -> bool:
        """Whether this path, as it is written, is at or below the prefix."""
        size = len(self.segments)
        return path.startswith(self.segments) and (len(path) == size or path[size : size + 1] == b"/")

    def admit(self, head: RequestHead) -> bytes:
        """Check a request that this route covers, and return the target to send.

        Raises:
            Refused: a rule forbids it, or would if the path were read otherwise.
        """
        if not self.is_plain:
            self._check(head.method, head.path)
        if self._agent_safe and _OAUTH_METADATA in head.path:
            raise NoRoute("no OAuth metadata on an agent-safe route", reason="agent_safe")
        if not self._rewrites:
            return head.target
        rest = head.target[self._strip :]
        if rest[:1] != b"/":
            rest = b"/" + rest
        return self._prefix + rest

    def _check(self, method: bytes, path: bytes) -> None:
        for reading in readings(path, self._floor):
            if not self.covers(reading):
                raise Refused(_LEAVES, reason="path")
            if self._rules and not self._rules.allows(method, reading):
                raise Refused("no rule of this route allows this", reason="rule")


class Routes(Generic[R]):
    """Finds the route of a request.

    Args:
        routes: each with what it matches; the longest path goes first, and a bound host before none.
    """

    def __init__(self, routes: Sequence[tuple[Match, R]]) -> None:
        self._routes = sorted(routes, key=lambda route: (-len(route[0].segments), route[0].host is None))
        first = self._routes[0][0] if self._routes else None
        self._catches_all = first is not None and not first.segments and first.host is None

    def match(self, head: RequestHead) -> tuple[Match, R]:
        """Return the route that a request takes.

        Raises:
            NoRoute: none matches.
        """
        if self._catches_all:
            return self._routes[0]
        path = head.path
        host = (head.authority or head.fields.host or b"").lower()
        if host.rpartition(b":")[2].isdigit():
            host = host.rpartition(b":")[0]
        for route in self._routes:
            match = route[0]
            if (match.host is None or match.host == host) and match.covers(path):
                return route
        raise NoRoute("no route matches this path and host", reason="no_route")
