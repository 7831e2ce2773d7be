"""A real headless Chromium, driven by the DevTools protocol over its WebSocket: the few commands that the tests need.

Source: https://chromedevtools.github.io/devtools-protocol/. It runs with a profile of its own that is thrown away,
asks for nothing by itself, and is ended by its process id.
"""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tests.servers import programs

START_WITHIN_S = 20.0
END_WITHIN_S = 10.0
ANSWER_WITHIN_S = 10.0
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)

Event = dict[str, Any]


class Page:
    """One tab.

    Args:
        browser: what it belongs to.
        session: its id there.
    """

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self.events: list[Event] = []

    async def do(self, method: str, **parameters: object) -> dict[str, Any]:
        """Carry a command of the protocol out, and return what came of it."""
        return await self._browser.do(method, parameters, self._session)

    async def open(self, url: str) -> None:
        """Go to an address; return when the document is there."""
        self.events.clear()
        await self.do("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def value(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript, awaited where it is a promise."""
        got = await self.do(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
            allowUnsafeEvalBlockedByCSP=False,  # else what is tried here could do more than the page can
        )
        assert "exceptionDetails" not in got, got["exceptionDetails"]
        return got["result"].get("value")

    async def until(self, expression: str, within_s: float = ANSWER_WITHIN_S) -> None:
        """Wait until an expression of JavaScript is true."""
        async with asyncio.timeout(within_s):
            while not await self.value(f"Boolean({expression})"):  # noqa: ASYNC110  # most of it tells nobody
                await asyncio.sleep(0.02)

    async def size(self, width: int, height: int, *, dark: bool = False, scale: float = 1) -> None:
        """Set the size of what is seen, and the colour scheme."""
        await self.do(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}  # to draw what moves costs a processor its time
        await self.do("Emulation.setEmulatedMedia", features=[scheme, still])

    async def press(self, key: str) -> None:
        """Press a key and let it go."""
        code, text = _KEYS[key]
        for kind in ("keyDown", "keyUp"):
            typed = {"text": text} if text and kind == "keyDown" else {}
            await self.do("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **typed)

    async def shot(self, file: Path) -> None:
        """Write a picture of the whole page."""
        got = await self.do("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(got["data"]))

    def told(self, method: str) -> list[dict[str, Any]]:
        """Return what the events of this kind said since the page was opened."""
        return [event["params"] for event in self.events if event["method"] == method]


# The code of a key, and what it types.
_KEYS = {"Tab": (9, ""), "Enter": (13, "\r")}


class Browser:
    """A browser that runs.

    Args:
        connection: to its DevTools.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._count = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._pages: dict[str, Page] = {}
        self._listening = asyncio.create_task(self._listen())

    async def page(self) -> Page:
        """Open a tab."""
        target = await self.do("Target.createTarget", {"url": "about:blank"})
        attached = await self.do("Target.attachToTarget", {"targetId": target["targetId"], "flatten": True})
        page = self._pages[attached["sessionId"]] = Page(self, attached["sessionId"])
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            await page.do(f"{domain}.enable")
        await page.size(1000, 900)
        return page

    async def do(self, method: str, parameters: object, session: str | None = None) -> dict[str, Any]:
        """Carry a command out."""
        self._count += 1
        answer = self._waiting[self._count] = asyncio.get_running_loop().create_future()
        wanted = {"id": self._count, "method": method, "params": parameters}
        await self._connection.send(json.dumps(wanted | ({"sessionId": session} if session else {})))
        async with asyncio.timeout(ANSWER_WITHIN_S):
            got = await answer
        assert "error" not in got, (method, got)
        result: dict[str, Any] = got["result"]
        return result

    async def _listen(self) -> None:
        async for message in self._connection:
            got = json.loads(message)
            if "id" in got:
                answer = self._waiting.pop(got["id"])
                if not answer.done():  # whoever asked has given up
                    answer.set_result(got)
            elif got.get("sessionId") in self._pages:
                self._pages[got["sessionId"]].events.append(got)

    async def end(self) -> None:
        """Stop listening."""
        self._listening.cancel()
        await asyncio.wait([self._listening])
        await self._connection.close()


@contextmanager
def chromium() -> Iterator[str]:
    """Run Chromium, and yield the address of its DevTools; the test is skipped where there is no such program."""
    program = programs.require("chromium")
    with tempfile.TemporaryDirectory(prefix="sidecar-chromium-", ignore_cleanup_errors=True) as profile:
        command = [str(program), *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        # Its errors are of the machine's buses and graphics; the tests see the page's by the protocol.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            yield _address(Path(profile) / "DevToolsActivePort")
        finally:
            process.terminate()
            try:
                process.wait(END_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _address(file: Path) -> str:
    """Wait for the file in which Chromium says where it listens."""
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline:
        if file.exists() and len(lines := file.read_text().split("\n")) >= 2:
            return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
        time.sleep(0.02)
    raise RuntimeError(f"chromium does not say within {START_WITHIN_S} s where its DevTools listen")


@asynccontextmanager
async def attached(address: str) -> AsyncIterator[Page]:
    """Open a tab in a Chromium that runs; it is closed at the end."""
    running = Browser(await connect(address, max_size=None, proxy=None))
    try:
        page = await running.page()
        try:
            yield page
        finally:
            await page.do("Page.close")
    finally:
        await running.end()
