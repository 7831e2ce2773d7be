"""Routes: which one a request takes, what it may do there, and the target that goes upstream.

The longest path prefix wins, on segment boundaries. The bytes that were
matched are the bytes that are sent: nothing is decoded or folded on the way.
But upstreams do decode and fold, so a path must match in every reading that
some server has of it (`readings.py`): one that leaves its route, or its rules,
or that another route would take, in any of them, is refused, not repaired.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

from sidecar.errors import NoRoute, Refused
from sidecar.messages import NOTHING, RequestHead
from sidecar.readings import LEAVES, readings

R = TypeVar("R")

# RFC 8414 3 and 5, RFC 9728 3, OpenID Connect Discovery 4.
_OAUTH_METADATA = (b"/.well-known/oauth-", b"/.well-known/openid-configuration")
# Those that are about one path of a server, which follows the name (RFC 8414 3.1, RFC 9728 3.1).
METADATA_NAMES = ("oauth-protected-resource", "oauth-authorization-server", "openid-configuration")
# Where an agent goes for a login that no metadata describes (MCP 2025-03-26, authorization, fallbacks).
_OAUTH_FALLBACKS = frozenset((b"/authorize", b"/register", b"/token"))
# Many frameworks take the method from one of these, and some the path (CVE-2018-14773). Where rules say what may be
# asked for, they are part of the question.
METHOD_OVERRIDES = frozenset((b"x-http-method-override", b"x-http-method", b"x-method-override"))
PATH_OVERRIDES = frozenset((b"x-original-url", b"x-rewrite-url"))


@dataclass(frozen=True, slots=True)
class Allow:
    """One allowed combination; empty methods or paths allow all of them."""

    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


class Rules:
    """What may be asked for on a route.

    Args:
        allow: combinations of methods and path patterns; `*` is any run within a segment, `**` any run. None: all.
    """

    def __init__(self, allow: Sequence[Allow]) -> None:
        self._allow = [
            (
                frozenset(method.encode() for method in rule.methods),
                [_pattern(path.encode()) for path in rule.paths],
                # What is encoded in a pattern is decoded in most readings of a path.
                [_pattern(unquote_to_bytes(path)) for path in rule.paths if "%" in path],
            )
            for rule in allow
        ]

    def __bool__(self) -> bool:
        return bool(self._allow)

    def allows(self, method: bytes, reading: bytes, *, written: bool = True) -> bool:
        """Whether a rule allows this.

        Args:
            written: it is the path as it is written, and so are the patterns taken; else a reading of it.
        """
        for methods, patterns, decoded in self._allow:
            if methods and method not in methods:
                continue
            if not patterns or any(pattern.fullmatch(reading) for pattern in patterns):
                return True
            if not written and any(pattern.fullmatch(reading) for pattern in decoded):
                return True
        return False


def _pattern(text: bytes) -> re.Pattern[bytes]:
    parts = re.split(rb"(\*\*|\*)", text)
    wild = {b"**": rb".*", b"*": rb"[^/]*"}
    return re.compile(b"".join(wild.get(part) or re.escape(part) for part in parts), re.DOTALL)


class Match:
    """What a route matches, and what becomes of the target.

    Args:
        path: prefix, matched on segment boundaries: `/crm/` and `/crm` both match `/crm` and all below it.
        host: only requests with this Host, on any port unless it has one; None for all.
        strip_prefix: send the path without the prefix.
        upstream_prefix: put before the path, "" for none.
        allow: what is allowed; none listed is all.
        agent_safe: there is no OAuth here, whatever the upstream has: an agent would start to log in by it.
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
        self._decoded = unquote_to_bytes(self.segments)
        self._strip = len(self.segments) if strip_prefix else 0
        self._prefix = upstream_prefix.rstrip("/").encode()
        self._rules = Rules(allow)
        self._floor = self.segments.count(b"/")
        self._rewrites = bool(self._strip or self._prefix)
        self.agent_safe = agent_safe
        self._within: Sequence[Match] = ()
        # Whether every target passes as it is.
        self.is_plain = not self.segments and not self._rules and not self._rewrites and not agent_safe
        # Folded names of the fields that it asks a head for.
        self.watched = METHOD_OVERRIDES | PATH_OVERRIDES if self._rules else NOTHING

    @property
    def rank(self) -> tuple[int, bool, bool]:
        """The lower, the sooner it is asked."""
        host = self.host
        return -len(self.segments), host is None, host is None or _without_port(host) == host

    def contains(self, within: Sequence[Match]) -> None:
        """Leave these, whose paths are longer, what is theirs: in no reading may a path of ours be one of them."""
        self._within = within
        self.is_plain = self.is_plain and not within

    def covers(self, path: bytes) -> bool:
        """Whether this path, as it is written, is at or below the prefix."""
        size = len(self.segments)
        return path.startswith(self.segments) and (len(path) == size or path[size : size + 1] == b"/")

    def may_cover(self, reading: bytes) -> bool:
        """Whether this reading of a path is at or below the prefix, as that is written or decoded."""
        if self.covers(reading):
            return True
        size = len(self._decoded)
        return reading.startswith(self._decoded) and (len(reading) == size or reading[size : size + 1] == b"/")

    def takes(self, authority: bytes) -> bool:
        """Whether it is for requests with this Host, in lower case."""
        return self.host is None or self.host == authority or self.host == _without_port(authority)

    def admit(self, head: RequestHead) -> bytes:
        """Check a request that this route covers, and return the target to send.

        Raises:
            Refused: a rule forbids it, or would if the path were read otherwise.
        """
        if not self.is_plain:
            self._check(head)
        if not self._rewrites:
            return head.target
        rest = head.target[self._strip :]
        if rest[:1] != b"/":
            rest = b"/" + rest
        elif rest[1:2] in (b"/", b"\\") and self._strip and not self._prefix:
            # Some servers and libraries take what follows for a host (RFC 3986 4.2).
            raise Refused("without its prefix, the target would begin with two slashes", reason="path")
        return self._prefix + rest

    def _check(self, head: RequestHead) -> None:
        path, rules = head.path, self._rules
        methods = self._methods(head) if rules else ()
        for reading in readings(path, self._floor):
            written = reading is path
            if not written:
                self._stay(head, reading)
            if self.agent_safe and _begins_login(reading):
                raise NoRoute("there is no OAuth login on an agent-safe route", reason="agent_safe")
            for method in methods:
                if not rules.allows(method, reading, written=written):
                    raise Refused("no rule of this route allows this", reason="rule")

    def _stay(self, head: RequestHead, reading: bytes) -> None:
        """See to it that this reading of a path is for this route, and no other."""
        if not self.may_cover(reading):
            raise Refused(LEAVES, reason="path")
        for other in self._within:
            if other.may_cover(reading) and other.takes(authority_of(head)):
                raise Refused("another route takes this path when it is decoded or folded", reason="path")

    def _methods(self, head: RequestHead) -> tuple[bytes, ...]:
        """Return the method, and each that a field names instead of it."""
        methods = [head.method]
        for field in head.fields.found:
            if field[0] in METHOD_OVERRIDES:
                methods.append(head.fields.value_at(field).upper())
            elif field[0] in PATH_OVERRIDES:
                raise Refused("a field that some servers take the path from", reason="rule")
        return tuple(methods)


def authority_of(head: RequestHead) -> bytes:
    """Return whom a request is for, in lower case: an absolute target's authority goes before Host (RFC 9112 3.2.2)."""
    return (head.authority or head.fields.host or b"").lower()


def _without_port(authority: bytes) -> bytes:
    name, _, port = authority.rpartition(b":")
    return name if port.isdigit() else authority


class Routes(Generic[R]):
    """Finds the route of a request.

    Args:
        routes: each with what it matches; the longest path goes first, then a bound host, one with a port before all.
    """

    def __init__(self, routes: Sequence[tuple[Match, R]]) -> None:
        self._routes = sorted(routes, key=lambda route: route[0].rank)
        matches = [match for match, _ in self._routes]
        for match in matches:
            match.contains(
                [other for other in matches if other.segments != match.segments and match.covers(other.segments)]
            )
        first = matches[0] if matches else None
        self._catches_all = first is not None and not first.segments and first.host is None
        self.watched = NOTHING.union(*(match.watched for match in matches))

    def match(self, head: RequestHead) -> tuple[Match, R]:
        """Return the route that a request takes.

        Raises:
            NoRoute: none matches.
        """
        if self._catches_all:
            return self._routes[0]
        path = head.path
        authority = authority_of(head)
        for route in self._routes:
            match = route[0]
            if match.covers(path) and match.takes(authority):
                return route
        raise NoRoute("no route matches this path and host", reason="no_route")


def _begins_login(path: bytes) -> bool:
    """Whether an agent that asks for this is about to log in."""
    return path in _OAUTH_FALLBACKS or any(metadata in path for metadata in _OAUTH_METADATA)
