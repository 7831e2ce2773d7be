"""An answer of the admin listener, as a value and as bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

JSON = "application/json"
_SAFE = (
    "Server: sidecar",
    "Cache-Control: no-store",
    "X-Content-Type-Options: nosniff",
    "Cross-Origin-Resource-Policy: same-origin",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, body, what it is, and further fields."""

    status: int
    body: bytes
    content_type: str = JSON
    fields: tuple[tuple[str, str], ...] = ()

    def rendered(self, *, close: bool, without_body: bool = False, sized: bool = True) -> bytes:
        """Return its bytes.

        Args:
            close: whether the connection ends after it.
            without_body: it answers a HEAD.
            sized: whether the body is all there is; else it goes on until the connection ends.
        """
        lines = [
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}",
            f"Content-Type: {self.content_type}",
            *((f"Content-Length: {len(self.body)}",) if sized else ()),
            *_SAFE,
            *(f"{name}: {value}" for name, value in self.fields),
        ]
        if close:
            lines.append("Connection: close")
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        return head if without_body else head + self.body


def of_json(value: Mapping[str, object], status: int = 200) -> Answer:
    """Return a value as an answer that a person can read too."""
    return Answer(status, json.dumps(value, indent=2).encode() + b"\n")
