"""Each test here has a home of its own."""

from __future__ import annotations

from tests.scaffold.written import home

__all__ = ["home"]
