"""The access log: one record for each request that is done, where `log.access` asks for it.

Not a place for what a request holds: it tells no field, no query and no byte of a body. What is
not a request has no record, but a warning. The rule: a record is made of plain fields, and the
log's formats see to it that nothing in a path can end a line.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import perf_counter

from sidecar.log import ACCESS_LOGGER
from sidecar.stats import METHODS, OTHER_METHOD
from sidecar.trip import Trip

_log = logging.getLogger(ACCESS_LOGGER)


def access_log() -> Callable[[Trip], None]:
    """Return what writes the record of a request; it is written whatever `log.level` says."""
    _log.setLevel(logging.INFO)
    return _write


def _write(trip: Trip) -> None:
    """Write method, path, route, status, and how long it took, of that our own part."""
    head, route, overhead_s = trip.head, trip.route, trip.overhead_s
    method = head.method if head.method in METHODS else OTHER_METHOD
    record: dict[str, object] = {
        "method": method.decode(),
        "path": head.path.decode("ascii", "backslashreplace"),
        "route": route.name if route is not None else "",
        "status": trip.status or "aborted",
        "duration_ms": _ms(perf_counter() - trip.started_at),
    }
    if overhead_s is not None:
        record["overhead_ms"] = _ms(overhead_s)
    _log.info("request", extra=record)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
