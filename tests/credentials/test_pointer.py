"""JSON pointers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.credentials.pointer import lookup

# The document and the values of RFC 6901 section 5.
DOCUMENT = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, 'k"l': 6, " ": 7, "m~n": 8}
VALUES = [
    ("", DOCUMENT),
    ("/foo", ["bar", "baz"]),
    ("/foo/0", "bar"),
    ("/", 0),
    ("/a~1b", 1),
    ("/c%d", 2),
    ("/e^f", 3),
    ("/g|h", 4),
    ("/i\\j", 5),
    ('/k"l', 6),
    ("/ ", 7),
    ("/m~0n", 8),
]
ABSENT = ["/foo/2", "/foo/-", "/foo/-1", "/foo/00", "/foo/+1", "/foo/ 1", "/foo/1e0", "/foo/" + "9" * 5000]


@pytest.mark.parametrize(("pointer", "value"), VALUES)
def test_the_examples_of_the_rfc(pointer: str, value: object) -> None:
    """Every example of RFC 6901 leads where it says."""
    assert lookup(DOCUMENT, pointer) == value


@pytest.mark.parametrize("pointer", [*ABSENT, "/bar", "/foo/0/0", "/foo/\u0661", "/a/b", "//", "/foo/bar"])
def test_what_is_not_there_is_none(pointer: str) -> None:
    """A name, index or depth that does not exist is no error."""
    assert lookup(DOCUMENT, pointer) is None


def test_an_escaped_tilde_is_unescaped_once() -> None:
    """`~01` is a tilde and a one, never a slash."""
    assert lookup({"~1": "right", "/": "wrong"}, "/~01") == "right"


@given(st.lists(st.text() | st.integers(0, 5), max_size=6), st.text())
def test_any_path_leads_to_its_value(path: list[str | int], value: str) -> None:
    """A value wrapped in objects and arrays is found by the pointer made of its names and indexes."""
    document: object = value
    for step in reversed(path):
        document = {step: document} if isinstance(step, str) else [None] * step + [document]
    pointer = "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)
    assert lookup(document, pointer) == value
