"""The request paths of one process: that of ordinary listeners, and where there is a forward proxy, that of its apps.

They differ in gate and routes alone. Which one a connection takes is decided once, when it has
come in: a path of their own costs the requests of ordinary listeners nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from sidecar.assembly import Parts
from sidecar.dataplane.client import ClientConnection
from sidecar.dataplane.flow import ReplayMemory
from sidecar.path import Path
from sidecar.stats import Refusals
from sidecar.trip import Trip
from sidecar.troubles import Troubles

Tell = Callable[[Trip], None]


class Paths:
    """All of them.

    Args:
        parts: what they serve by.
        memory: the bound on bodies kept for replays.
        refusals: counts our own answers.
        troubles: takes in what was refused or failed.
        access: write the access log.
        inspect: write a line at each request, for a person.
        wall: wall-clock seconds.
    """

    def __init__(
        self,
        parts: Parts,
        memory: ReplayMemory,
        refusals: Refusals,
        troubles: Troubles,
        *,
        access: bool,
        inspect: bool,
        wall: Callable[[], float],
    ) -> None:
        tell = _tell(access, inspect)
        self._make = partial(Path, memory=memory, refusals=refusals, access=tell, wall=wall, troubles=troubles)
        self._path = self._make(parts.gate, parts.routes)
        self._forward = self._make(*parts.forward) if parts.forward is not None else None

    def switch(self, parts: Parts) -> None:
        """Serve by these from the next request on; those under way keep what they began with."""
        self._path.switch(parts.gate, parts.routes)
        if parts.forward is None:
            return
        if self._forward is None:
            self._forward = self._make(*parts.forward)
        else:
            self._forward.switch(*parts.forward)

    def serve(self, client: ClientConnection) -> Coroutine[Any, Any, None]:
        """Return what serves one connection until either side ends it."""
        if client.door.forward and self._forward is not None:
            return self._forward.serve(client)
        return self._path.serve(client)


def _tell(access: bool, inspect: bool) -> Tell | None:
    """Return what is told of each request that is done; None where nobody asks."""
    told: list[Tell] = []
    if access:
        from sidecar.access import access_log

        told.append(access_log())
    if inspect:
        from sidecar.inspection import inspection

        told.append(inspection())
    if len(told) < 2:
        return told[0] if told else None

    def tell(trip: Trip) -> None:
        for each in told:
            each(trip)

    return tell
