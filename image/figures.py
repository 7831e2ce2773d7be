"""What the checks measured: size, start, memory. Kept in `.image/figures.json`, and shown at the end."""

from __future__ import annotations

import json

from image.engine import HOME

FILE = HOME / "figures.json"


def forget() -> None:
    """Begin anew."""
    FILE.unlink(missing_ok=True)


def shown() -> str:
    """Return them, one a line; "" if nothing was measured."""
    known: dict[str, str] = json.loads(FILE.read_text()) if FILE.exists() else {}
    width = max(map(len, known), default=0)
    return "\n".join(f"  {name:<{width}}  {value}" for name, value in known.items())
