"""Which tests need the image: they take a minute and root, and run by `make image` alone."""

from __future__ import annotations

import os

import pytest

needs_image = pytest.mark.skipif(not os.environ.get("SIDECAR_IMAGE"), reason="needs the image: make image")
# What the image was built with.
LOCK = os.environ.get("LOCK", "run")
