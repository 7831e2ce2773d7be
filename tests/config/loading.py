"""Loading a text as a configuration file, as the tests here do it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from sidecar.config import Config, load
from sidecar.errors import ConfigError, Mistake

API_KEY = {"API_KEY": "key-for-tests"}
SHORT = """\
credential:
  preset: giantcontext
  api_key: {env: API_KEY}
"""
LONG = """\
credentials:
  vendor:
    preset: giantcontext
    api_key: {env: API_KEY}
routes:
  - upstream: https://api.example.com
    credential: vendor
"""


def load_text(
    text: str | bytes, environ: Mapping[str, str] | None = None, flags: Mapping[str, str] | None = None
) -> Config:
    """Load what a file with this text says."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.yaml")
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return load(path=str(path), flags=flags or {}, environ={**API_KEY, **(environ or {})})


def mistakes_in(
    text: str | bytes, environ: Mapping[str, str] | None = None, flags: Mapping[str, str] | None = None
) -> tuple[Mistake, ...]:
    """Return the mistakes of a file with this text; none where it loads."""
    try:
        load_text(text, environ, flags)
    except ConfigError as error:
        return error.mistakes
    return ()


def mistake_in(
    text: str | bytes, environ: Mapping[str, str] | None = None, flags: Mapping[str, str] | None = None
) -> Mistake:
    """Return the one mistake of a file with this text."""
    (mistake,) = mistakes_in(text, environ, flags)
    return mistake
