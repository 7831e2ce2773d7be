"""A value that cannot print itself.

API keys and tokens live in this type from the moment they are read. Whatever
renders it (repr, str, format, JSON, pickle, a traceback with locals) gets
`***`; only `reveal()` hands out the bytes, so that every place where a secret
leaves the process is found by searching for that word.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import NoReturn

_MASK = "***"
# The same for every process: an operator compares the fingerprints of a fleet to see a rotation arrive.
_FINGERPRINT_KEY = b"sidecar-fingerprint"


class Secret:
    """Bytes that must not appear in any output.

    Args:
        value: the secret itself; text is kept as UTF-8.
    """

    __slots__ = ("_value",)

    def __init__(self, value: bytes | str) -> None:
        self._value = value.encode() if isinstance(value, str) else value

    def reveal(self) -> bytes:
        """Return the bytes, for the one place that sends them."""
        return self._value

    def fingerprint(self) -> str:
        """Return 8 hex digits of a keyed hash: tells two secrets apart and gives neither away."""
        return hashlib.blake2b(self._value, digest_size=4, key=_FINGERPRINT_KEY).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return _MASK

    def __str__(self) -> str:
        return _MASK

    def __format__(self, spec: str) -> str:
        return format(_MASK, spec)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is never pickled or copied to disk")
