"""`sidecar run --inspect`: a line for a person at each request that is done, with what the credential did for it.

Not the access log: that one is for machines, and the same for every request. The rule is the same:
no field, no query and no byte of a body. It goes where the log goes, through what keeps a peer's
bytes from steering a terminal. Off, it is not there at all: the path tells nobody, and notes what
the credential did only where it did something.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from sidecar.log import INSPECT_LOGGER
from sidecar.trip import Trip

_log = logging.getLogger(INSPECT_LOGGER)

_LONGEST_METHOD = 16
_LONGEST_PATH = 200


def inspection() -> Callable[[Trip], None]:
    """Return what writes the line of a request; it is written whatever `log.level` says."""
    _log.setLevel(logging.INFO)
    _log.info("each request: method, path, route, status, our part + the upstream's, what the credential did")
    return _write


def _write(trip: Trip) -> None:
    head, route = trip.head, trip.route
    columns = (
        f"{_text(head.method, _LONGEST_METHOD):<6}",
        f"{_text(head.path, _LONGEST_PATH):<28}",
        f"{route.name if route is not None else '-':<8}",
        f"{_status(trip):<8}",
        f"{_ms(trip.overhead_s)} + {_ms(_theirs_s(trip))} ms",
        trip.credential_did,
    )
    _log.info("%s", "  ".join(columns).rstrip())


def _text(value: bytes, most: int) -> str:
    text = value.decode("ascii", "backslashreplace")
    return text if len(text) <= most else text[: most - 3] + "..."


def _status(trip: Trip) -> str:
    """Return the status that the app got; one that is not the upstream's says so."""
    if not trip.status:
        return "cut"
    return str(trip.status) if trip.relaying else f"{trip.status} ours"


def _theirs_s(trip: Trip) -> float | None:
    """Return the time that the upstream took for the head of its answer; None where it gave none."""
    return trip.answered_at - trip.sent_at if trip.answered_at else None


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.1f}"
