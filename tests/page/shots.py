"""Pictures of the status page, to be looked at: `python -m tests.page.shots DIRECTORY`.

Each scene at 400 and 1,600 px, light and dark, as a file of its own.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sidecar.admin.server import AdminServer
from tests.admin.running import endpoints
from tests.page.browser import Page, attached, chromium
from tests.page.scenes import SCENES, Scene

WIDTHS = (400, 1600)


@asynccontextmanager
async def served(scene: Scene, port: int = 0) -> AsyncIterator[int]:
    """Serve a scene on a port, or on any free one; yields the port."""
    answers = endpoints(scene.process, clock=scene.clock)
    scene.play(answers.sweep)
    sock = socket.create_server(("127.0.0.1", port))
    server = AdminServer(answers, asyncio.create_task, loopback=True)
    await server.start(sock)
    try:
        yield sock.getsockname()[1]
    finally:
        await server.stop()


async def shoot(page: Page, name: str, folder: Path) -> None:
    """Write the pictures of one scene."""
    async with served(SCENES[name]()) as port:
        for width in WIDTHS:
            for dark in (False, True):
                await page.size(width, 900, dark=dark, scale=2 if width == min(WIDTHS) else 1)
                await page.open(f"http://127.0.0.1:{port}/")
                await page.until("document.querySelector('#live[data-live=on]')")
                file = folder / f"{name}-{width}-{'dark' if dark else 'light'}.png"
                await page.shot(file)
                print(file)
        await page.open("about:blank")


async def main(folder: Path) -> None:
    """Write the pictures of all scenes."""
    folder.mkdir(parents=True, exist_ok=True)
    with chromium() as address:
        async with attached(address) as page:
            for name in SCENES:
                await shoot(page, name, folder)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
