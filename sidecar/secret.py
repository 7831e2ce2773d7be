"""A value that cannot print itself.

API keys and tokens live in this type from the moment they are read. Whatever
renders it (repr, str, format, a traceback with locals, a dump of the dataclass
that holds it) gets `***`, what would write it down (JSON, pickle) an error; only
`reveal()` hands out the bytes, so that every place where a secret leaves the
process is found by searching for that word.

The bytes are no attribute: printers that walk `__dict__`, `__slots__` or `dir()`
(debuggers, crash reporters, `inspect.getmembers`) would show them past every `__repr__`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import NoReturn

_MASK = "***"
# The same for every process: an operator compares the fingerprints of a fleet to see a rotation arrive.
_FINGERPRINT_KEY = b"sidecar-fingerprint"


class Secret:
    """Bytes that must not appear in any output.

    Args:
        value: the secret itself; text is kept as UTF-8.
    """

    __slots__ = ("reveal",)

    # Returns the bytes, for the one place that sends them. In the slot itself: a method around it costs each request.
    reveal: Callable[[], bytes]

    def __init__(self, value: bytes | str) -> None:
        held = value.encode() if isinstance(value, str) else value
        object.__setattr__(self, "reveal", lambda: held)

    def fingerprint(self) -> str:
        """Return 8 hex digits of a keyed hash: tells two secrets apart and gives neither away."""
        return hashlib.blake2b(self.reveal(), digest_size=4, key=_FINGERPRINT_KEY).hexdigest()

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Secret does not change")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self.reveal(), other.reveal())

    def __hash__(self) -> int:
        return hash((Secret, self.reveal()))

    def __bool__(self) -> bool:
        return bool(self.reveal())

    def __repr__(self) -> str:
        return _MASK

    def __str__(self) -> str:
        return _MASK

    def __format__(self, spec: str) -> str:
        return format(_MASK, spec)

    # It does not change, so one is as good as two; and a dump of the dataclass that holds it (`asdict`) copies.

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is never pickled or copied to disk")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a Secret is never pickled or copied to disk")
