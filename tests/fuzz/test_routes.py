"""Paths of any kind: prefixes on segment boundaries, and readings that end."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from sidecar.errors import Refused
from sidecar.readings import readings
from sidecar.routes import Allow, Match, Rules

_SEGMENTS = st.sampled_from(" a b crm .. . %2e%2e %2E . %252e%2e ;x a;b %2f %5c \\ %00 %61 %zz % é".split(" ")).map(
    str.encode
)
_PATHS = st.lists(_SEGMENTS, min_size=1, max_size=6).map(lambda parts: b"/" + b"/".join(parts))
_PREFIXES = st.lists(st.sampled_from(["a", "b", "crm", "a.b"]), max_size=3).map(lambda parts: "/" + "/".join(parts))


def _readings(path: bytes, floor: int) -> list[bytes] | None:
    try:
        return list(readings(path, floor))
    except Refused:
        return None


@given(_PATHS)
def test_readings_are_closed(path: bytes) -> None:
    """The path itself first; and to read a reading again brings nothing that was not there."""
    seen = _readings(path, 0)
    assume(seen is not None)
    assert seen is not None and seen[0] == path
    for reading in seen:
        again = _readings(reading, 0)
        assert again is None or set(again) <= {*seen, reading}


@given(_PATHS, st.integers(0, 3))
def test_a_deeper_floor_allows_no_more(path: bytes, floor: int) -> None:
    """What may not be left is part of what was matched."""
    if _readings(path, floor) is None:
        assert _readings(path, floor + 1) is None


@given(_PREFIXES, _PATHS, st.booleans())
def test_a_prefix_covers_whole_segments(prefix: str, path: bytes, slash: bool) -> None:
    """With its slash and without it, the same."""
    match = Match(prefix + "/" * slash, host=None, strip_prefix=False, upstream_prefix="", allow=())
    wanted = [part.encode() for part in prefix.split("/") if part]
    assert match.covers(path) == (path.split(b"/")[1 : len(wanted) + 1] == wanted)


@given(_PATHS, _PREFIXES)
def test_a_rule_for_everything_below_is_the_prefix(path: bytes, prefix: str) -> None:
    """`/crm/**` allows what begins so, taken as it is written; a method that is not named, nothing."""
    below = prefix.rstrip("/") + "/"
    rules = Rules([Allow(("GET",), (below + "**",))])
    assert rules.allows(b"GET", path) == path.startswith(below.encode())
    assert not rules.allows(b"get", path)
