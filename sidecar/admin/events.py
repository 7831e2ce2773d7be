"""`/events`: the page's live values as server-sent events, for a few pages at a time.

Source: the HTML standard, 9.2. `status` has all that moves, and is sent when something has moved;
`settings` when a page comes and after each reload; `alive` where nothing else was for long; `end` when the
admin listener closes. The rule: however many look, and however slowly they read, it costs the process a bounded share.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from time import perf_counter
from typing import Final

from sidecar.admin.answer import Answer
from sidecar.admin.snapshot import Snapshot
from sidecar.dataplane.client import ClientConnection
from sidecar.errors import Overloaded

MOST_SUBSCRIBERS: Final = 8
TICK_S: Final = 1.0
# Something is sent at least this often: a page that is gone shows when it is written to, and one that is there
# knows that we are. (page_live.js waits for it.)
SILENCE_S: Final = 15.0
# A page looks again after this many times what a look takes; where several look, one may come half as soon after
# another's: at most a twenty-fifth of the processor.
_REST: Final = 50

_log = logging.getLogger(__name__)


class Events:
    """The pages that look.

    Args:
        snapshot: returns what there is to see.
    """

    content_type: Final = "text/event-stream; charset=utf-8"

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._look = snapshot
        self._subscribers = 0
        self._over = asyncio.Event()
        self._seen: tuple[float, Snapshot] | None = None
        self._rest_s = TICK_S

    @property
    def subscribers(self) -> int:
        """How many pages look now."""
        return self._subscribers

    def end(self) -> None:
        """Tell the pages that there will be no more, and let their connections end."""
        self._over.set()

    async def serve(self, client: ClientConnection) -> None:
        """Send events until the page leaves or the admin listener closes.

        Raises:
            Overloaded: enough pages look already; nothing was sent.
        """
        if self._subscribers >= MOST_SUBSCRIBERS:
            raise Overloaded(
                f"{MOST_SUBSCRIBERS} pages look already: close one of them", reason="pages", retry_after_s=10
            )
        self._now()  # what breaks is answered as on any other path, as long as there is no answer
        self._subscribers += 1
        try:
            client.transport.write(Answer(200, b"", self.content_type).rendered(close=True, sized=False))
            await self._send(client)
        except Exception:
            _log.exception("the page's events have ended")
            client.abort()
        finally:
            self._subscribers -= 1
        client.close()

    async def _send(self, client: ClientConnection) -> None:
        status, settings, silent_s = "", "", 0.0
        while client.fault is None and not self._over.is_set():
            seen = self._now()
            silent_s += self._rest_s
            if seen.settings != settings:
                settings = seen.settings
                client.transport.write(_event("settings", settings))
            if seen.status != status:
                status, silent_s = seen.status, 0.0
                client.transport.write(_event("status", seen.whole))
            elif silent_s >= SILENCE_S:
                silent_s = 0.0
                client.transport.write(_event("alive", "{}"))
            if not client.writable:
                await client.drained()
            await self._rest()
        if client.fault is None:
            client.transport.write(_event("end", "{}"))

    def _now(self) -> Snapshot:
        """Return what there is to see; pages that look at the same time share one look."""
        began_at = perf_counter()
        if self._seen is None or began_at - self._seen[0] >= self._rest_s / 2:
            self._seen = began_at, self._look()
            self._rest_s = max(TICK_S, (perf_counter() - began_at) * _REST)
        return self._seen[1]

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._rest_s):
                await self._over.wait()
        except TimeoutError:
            pass


def _event(name: str, data: str) -> bytes:
    """Return an event; its data is JSON of one line."""
    return f"event: {name}\ndata: {data}\n\n".encode()
