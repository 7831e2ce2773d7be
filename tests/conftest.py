"""What every test can use: `async def test_…` just runs, and the real servers are fixtures."""

from __future__ import annotations

pytest_plugins = ["tests.async_tests", "tests.servers.fixtures"]
