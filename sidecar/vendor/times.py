"""Times as the vendor writes them."""

from __future__ import annotations

from datetime import UTC, datetime


def iso_ms(seconds: float) -> str:
    """Return wall-clock seconds as ISO 8601 in UTC with milliseconds and `Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
