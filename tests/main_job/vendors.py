"""The pretend vendor, for what no real server does on demand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sidecar.vendor.server import Vendor, VendorOptions


@asynccontextmanager
async def vendor(*, port: int = 0, token_life_s: float = 3600.0) -> AsyncIterator[Vendor]:
    """Run one on this test's loop; a token lives an hour, so that nothing is renewed by itself."""
    server = Vendor(VendorOptions(token_life_s=token_life_s))
    await server.start(port=port)
    try:
        yield server
    finally:
        await server.stop()
