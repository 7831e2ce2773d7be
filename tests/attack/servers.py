"""How servers turn a path into what they serve: several models, each written from what such a server does.

They know nothing of `sidecar.readings`, and are generous: where servers differ, each way is a model of its own. What
they return is absolute, decoded and folded; `..` above the root is dropped, as servers do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote, unquote_to_bytes

Server = Callable[[bytes], bytes]


def folded(path: bytes, *, merge: bool = False) -> bytes:
    """Resolve dot segments as RFC 3986 5.2.4 does; `merge` makes one slash of several before."""
    if merge:
        path = re.sub(rb"/+", b"/", path)
    kept: list[bytes] = []
    parts = path.split(b"/")[1:]
    for number, part in enumerate(parts):
        if part == b"..":
            del kept[-1:]
        elif part != b".":
            kept.append(part)
            continue
        if number == len(parts) - 1:
            kept.append(b"")
    return b"/" + b"/".join(kept)


def plain(path: bytes) -> bytes:
    """Takes it as it is: object stores, many a Go mux."""
    return path


def folding(path: bytes) -> bytes:
    """Folds before it decodes, and then does not look again."""
    return unquote_to_bytes(folded(path))


def decoding(path: bytes) -> bytes:
    """Decodes, then folds: Python's own handlers, Apache."""
    return folded(unquote_to_bytes(path))


def merging(path: bytes) -> bytes:
    """Decodes, merges slashes, folds: nginx."""
    return folded(unquote_to_bytes(path), merge=True)


def merging_first(path: bytes) -> bytes:
    """Merges and folds what is written, then decodes: Envoy's normalize_path and merge_slashes, then a server."""
    return unquote_to_bytes(folded(re.sub(rb"(?i)%2e", b".", path), merge=True))


def segment_wise(path: bytes) -> bytes:
    """Splits first and decodes each segment: Java's URI, many routers."""
    parts = [unquote_to_bytes(part).replace(b"/", b"\xff") for part in path.split(b"/")]
    return folded(b"/".join(parts)).replace(b"\xff", b"/")


def servlet(path: bytes) -> bytes:
    """Drops the parameters of each segment, decodes, a backslash is a slash, merges, folds: Tomcat."""
    bare = b"/".join(part.split(b";")[0] for part in path.split(b"/"))
    return folded(unquote_to_bytes(bare).replace(b"\\", b"/"), merge=True)


def servlet_late(path: bytes) -> bytes:
    """Decodes first and then drops parameters."""
    decoded = unquote_to_bytes(path)
    return folded(b"/".join(part.split(b";")[0] for part in decoded.split(b"/")))


def session_id(path: bytes) -> bytes:
    """Everything from the first semicolon on is a parameter."""
    return folded(unquote_to_bytes(path.split(b";")[0]))


def twice(path: bytes) -> bytes:
    """A proxy decodes, and the server behind it decodes again (CVE-2001-0333)."""
    return folded(unquote_to_bytes(unquote_to_bytes(path)))


def thrice(path: bytes) -> bytes:
    """And one more."""
    return folded(unquote_to_bytes(unquote_to_bytes(unquote_to_bytes(path))).replace(b"\\", b"/"), merge=True)


def folded_twice(path: bytes) -> bytes:
    """A proxy decodes and folds, and the server behind it does so again."""
    return decoding(decoding(path))


def windows(path: bytes) -> bytes:
    """IIS of old: decodes twice, overlong UTF-8 and %u too, backslashes, dots and spaces at the end, merges."""
    text = path
    for _ in range(2):
        text = re.sub(rb"(?i)%u00([0-9a-f]{2})", rb"%\1", text)
        text = unquote_to_bytes(text)
        text = re.sub(rb"[\xc0\xc1][\x80-\xbf]", lambda two: bytes([(two[0][0] & 1) << 6 | two[0][1] & 0x3F]), text)
        text = re.sub(rb"\xe0[\x80\x81][\x80-\xbf]", lambda one: bytes([(one[0][1] & 1) << 6 | one[0][2] & 0x3F]), text)
    text = text.replace(b"\\", b"/")
    parts = [part if set(part) <= set(b".") else part.rstrip(b" .") or b".." for part in text.split(b"/")]
    return folded(b"/".join(parts), merge=True)


def best_fit(path: bytes) -> bytes:
    """Makes ASCII of what looks like it, after decoding."""
    import unicodedata

    text = unicodedata.normalize("NFKC", unquote(path.decode("latin-1"), errors="surrogateescape"))
    return folded(text.replace("\\", "/").encode("utf-8", "surrogateescape"), merge=True)


def c_string(path: bytes) -> bytes:
    """Decodes; a NUL ends it."""
    return folded(unquote_to_bytes(path).split(b"\x00")[0])


def late_split(path: bytes) -> bytes:
    """Decodes, and only then takes off query and fragment."""
    return folded(re.split(rb"[?#]", unquote_to_bytes(path))[0])


def one_line(path: bytes) -> bytes:
    """Decodes, and reads one line of it."""
    return folded(re.split(rb"[\r\n]", unquote_to_bytes(path))[0])


def browser_like(path: bytes) -> bytes:
    """The WHATWG URL standard on a path that was decoded: no tabs and line ends, a backslash is a slash."""
    text = unquote_to_bytes(path).translate(None, b"\t\r\n").replace(b"\\", b"/")
    return folded(re.sub(rb"(?i)%2e", b".", text))


def no_encoded_slashes(path: bytes) -> bytes:
    """Decodes all but slashes: Apache's AllowEncodedSlashes NoDecode."""
    return folded(unquote_to_bytes(re.sub(rb"(?i)%(2f|5c)", rb"%25\1", path)))


SERVERS: tuple[Server, ...] = (
    *(plain, folding, decoding, merging, merging_first, segment_wise, servlet, servlet_late, session_id, twice, thrice),
    *(folded_twice, windows, best_fit, c_string, late_split, one_line, browser_like, no_encoded_slashes),
)
