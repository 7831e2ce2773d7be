"""Every way in which a server may read a path: decoded, folded, cut, and any of these after any other.

Not a decoder: nothing here is ever sent. A rule of a route must hold in each
reading, so that no server's habit is a way around it. The rule: whoever adds a
habit adds it for good. The set is closed over its own steps, so what one server
does twice, or two servers do one after the other, is in it.

| habit | who has it |
|---|---|
| decode, once or again and again | everybody; IIS (CVE-2001-0333), a proxy before a server |
| decode all but slashes | Apache's AllowEncodedSlashes NoDecode; whoever splits before decoding |
| fold `.` and `..`, keeping or dropping empty segments | RFC 3986 5.2.4; nginx's merge_slashes |
| a backslash is a slash | IIS, the WHATWG URL standard |
| drop `;...` of each segment, or from the first one on | servlet containers; older ones |
| what was decoded to `?` or `#`, or a line's end, ends the path | servers that decode before they split |
| a tab or a line's end is not there | the WHATWG URL standard |
| dots and spaces at a segment's end do not count | Windows |
| a character that looks like `.`, `/` or a backslash is one | best-fit mapping, NFKC |

What has no honest use is refused outright: NUL (it ends the path in C), overlong
UTF-8 (CVE-2000-0884) and `%uXXXX` (IIS alone reads it).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote_to_bytes

from sidecar.errors import Refused

# Honest paths have a handful: two where something in them is encoded, which costs 2 us.
MOST_READINGS = 64
# Of a path that can be read in several ways; nginx takes no longer one at all.
LONGEST_BYTES = 8 * 1024
# Of all its readings together: the worst take some 5 ms, in which nobody else is served.
MOST_BYTES = 64 * 1024

LEAVES = "the path leaves its route when it is decoded or folded"

# A path without any of these is read as it is written; one that has only `%`, and none when it is decoded, in two ways.
_SEVERAL = re.compile(
    rb"[%\\;?#\x00-\x1f\xc0\xc1\xe2\xef]|\xe0[\x80-\x9f]|\xf0[\x80-\x8f]|//|/\.{1,2}(?:/|$)|[. ](?:/|$)"
)
_NEVER = re.compile(
    rb"\x00|[\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x9f][\x80-\xbf]|\xf0[\x80-\x8f][\x80-\xbf]|%u[0-9a-f]{4}", re.IGNORECASE
)
_END = re.compile(rb"[?#\r\n]")
_ENCODED_SLASH = re.compile(rb"%(?=2f|5c)", re.IGNORECASE)
# Full-width and small forms, division and fraction slash, leaders and the ellipsis.
_LOOKS = {
    "\uff0e": ".", "\ufe52": ".", "\u2024": ".", "\u2025": "..", "\u2026": "...",
    "\uff0f": "/", "\u2044": "/", "\u2215": "/",
    "\uff3c": "\\", "\ufe68": "\\", "\u2216": "\\",
    "\uff05": "%", "\ufe6a": "%", "\uff1b": ";", "\ufe54": ";",
}  # fmt: skip
_LOOK_ALIKES = {look.encode(): char.encode() for look, char in _LOOKS.items()}
_find_look_alikes = re.compile(b"|".join(re.escape(look) for look in _LOOK_ALIKES)).sub


def readings(path: bytes, floor: int = 0) -> Iterable[bytes]:
    """Return the path as it is written, and then every other reading of it.

    Args:
        path: what begins with a slash.
        floor: how many segments at its beginning no `..` may take away.

    Raises:
        Refused: a `..` does in some reading, or there is no honest use for what it holds.
    """
    if not _SEVERAL.search(path):
        return (path,)
    if len(path) > LONGEST_BYTES:
        raise Refused("the path is too long for one that can be read in several ways", reason="path")
    decoded = _decode(path)
    if decoded != path and not _SEVERAL.search(decoded):
        return (path, decoded)
    found = [path]
    known = {path}
    for reading in found:  # grows
        for other in _read_otherwise(reading, floor):
            if other not in known:
                known.add(other)
                found.append(other)
        if len(found) > MOST_READINGS or len(found) * len(path) > MOST_BYTES:
            raise Refused("the path can be read in too many ways", reason="path")
    return found


def _read_otherwise(path: bytes, floor: int) -> Iterable[bytes]:
    """Yield what one more step makes of it; most steps leave most paths as they are."""
    yield _fold(path, floor, keep_empty=True)
    yield _fold(path, floor, keep_empty=False)
    yield _decode(path)
    if b"%" in path:
        yield _decode(_ENCODED_SLASH.sub(b"%25", path))
    if b"\\" in path:
        yield path.replace(b"\\", b"/")
    if b";" in path:
        yield b"/".join(segment.partition(b";")[0] for segment in path.split(b"/"))
        yield path.partition(b";")[0]
    if end := _END.search(path):
        yield path[: end.start()]
    if not path.isascii() or not path.decode().isprintable():
        yield path.translate(None, b"\t\r\n")
        yield _find_look_alikes(lambda found: _LOOK_ALIKES[found[0]], path)
    segments = path.split(b"/")
    yield b"/".join(_without_end(segment) for segment in segments)
    if b"..." in segments:
        yield b"/".join(b".." if segment == b"..." else segment for segment in segments)


def _decode(path: bytes) -> bytes:
    if b"%" not in path and path.isascii() and b"\x00" not in path:
        return path
    decoded = unquote_to_bytes(path)
    if _NEVER.search(decoded) or _NEVER.search(path):
        raise Refused("the path holds what no honest one does", reason="path")
    return decoded


def _fold(path: bytes, floor: int, *, keep_empty: bool) -> bytes:
    """Resolve dot segments; an empty one is a segment like any other (RFC 3986), or none at all."""
    kept: list[bytes] = []
    segments = path.split(b"/")[1:]
    for segment in segments:
        if segment == b"..":
            if len(kept) <= floor:
                raise Refused(LEAVES, reason="path")
            kept.pop()
        elif segment != b"." and (segment or keep_empty):
            kept.append(segment)
    folded = b"/" + b"/".join(kept)
    is_folder = segments[-1] in (b".", b"..") or not (segments[-1] or keep_empty)
    return folded + b"/" if is_folder and not folded.endswith(b"/") else folded


def _without_end(segment: bytes) -> bytes:
    """Return a segment without the dots and spaces at its end, unless it is dots alone."""
    return segment if not segment.strip(b".") else segment.rstrip(b" .") or b".." * (segment.count(b".") > 1)
