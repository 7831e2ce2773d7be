"""Looks for secrets in what should hold none, however they are spelled there."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

# An end that long is no coincidence, and shows enough of a secret to be one finding.
END = 8


def spellings(secret: bytes) -> Iterator[bytes]:
    """Yield how a secret may look: raw, its two ends, URL-encoded, and inside base64 at each alignment."""
    yield secret
    yield secret[:END]
    yield secret[-END:]
    yield quote(secret, safe="").encode()
    yield quote_plus(secret).encode()
    for before in range(3):
        # Whole groups of three bytes alone: what they become does not depend on the neighbours.
        first = -before % 3
        whole = secret[first : first + (len(secret) - first) // 3 * 3]
        encoded = base64.b64encode(whole)
        yield encoded
        yield encoded.replace(b"+", b"-").replace(b"/", b"_")


def found(secrets: Iterable[bytes], said: bytes) -> list[bytes]:
    """Return every spelling of a secret that is in what was said."""
    return [spelling for secret in secrets for spelling in spellings(secret) if spelling in said]
