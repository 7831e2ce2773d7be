"""One Chromium for all tests of a file: it takes a second to start, a tab of it a hundredth."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.page.browser import chromium


@pytest.fixture(scope="module")
def devtools() -> Iterator[str]:
    """The address of a Chromium's DevTools."""
    with chromium() as address:
        yield address


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """News each tenth of a second."""
    monkeypatch.setattr("sidecar.admin.events.TICK_S", 0.1)
