"""JSON pointers: a path to one value in a JSON document (RFC 6901).

Reading only, and forgiving about what is not there: an absent value and null
are the same to everyone who asks.
"""

from __future__ import annotations

import re

# Nine digits are more than any array has, and few enough for int() to take from anyone.
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


def lookup(document: object, pointer: str) -> object | None:
    """Return the value that a pointer leads to, or None where there is none.

    Args:
        document: a parsed JSON value.
        pointer: "" for the whole document, else a path that starts with "/".

    Source: RFC 6901 sections 4 and 5.
    """
    value: object | None = document
    for part in pointer.split("/")[1:]:
        value = _step(value, part.replace("~1", "/").replace("~0", "~"))
    return value


def _step(value: object, name: str) -> object | None:
    found: object | None = None
    if isinstance(value, dict):
        found = value.get(name)
    elif isinstance(value, list) and _INDEX.fullmatch(name) and int(name) < len(value):
        found = value[int(name)]
    return found
