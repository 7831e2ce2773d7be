"""What the page shows, as JSON: the same as `/status` and more, with moments instead of ages. A view in, text out.

Moments do not change while nothing happens, so that the same text twice means that there is nothing new to
send; the page counts the seconds by itself. The rule of `describe.py` holds here too: it is built field by field.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sidecar.admin.advice import advice
from sidecar.admin.health import verdict
from sidecar.admin.traffic import BUCKET_S, Traffic
from sidecar.admin.view import Reload, RouteView, Setting, View
from sidecar.clock import Clock
from sidecar.credentials.remedies import NO_HELP_REASON, NO_HELP_REMEDY
from sidecar.credentials.status import CredentialStatus, ExchangeRecord
from sidecar.stats import CODE_CLASSES, RouteStats
from sidecar.troubles import Trouble

Shown = dict[str, object]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What there is to see at one moment, as JSON texts of one line.

    `status` is all that moves but the moment itself, `settings` the configuration.
    """

    now: float
    status: str
    settings: str

    @property
    def whole(self) -> str:
        """The status with the moment that it is of, in wall-clock seconds."""
        return f'{{"now":{self.now:.3f},{self.status[1:]}'

    @property
    def all(self) -> str:
        """Everything, as one object."""
        return f'{{"status":{self.whole},"settings":{self.settings}}}'


class Camera:
    """Takes snapshots of a process.

    Args:
        view: the process.
        clock: wall and monotonic.
    """

    def __init__(self, view: View, clock: Clock) -> None:
        self._view = view
        self._clock = clock
        self._traffic = Traffic(view.stats, clock.monotonic())
        self._settings: tuple[Reload | None, str] | None = None
        self._bucket_ends_at = 0

    def sweep(self) -> None:
        """Keep the last quarter of an hour (called twice a second or so)."""
        self._traffic.sample(self._clock.monotonic())

    def take(self) -> Snapshot:
        """Return what there is to see now."""
        wall, now = self._clock.wall(), self._clock.monotonic()
        self._traffic.sample(now)
        reload = self._view.last_reload
        if self._settings is None or self._settings[0] is not reload:  # only a reload changes them
            self._settings = reload, _json(_settings(self._view.settings()))
        ends_at = wall + self._traffic.ends_in_s(now)
        if abs(ends_at - self._bucket_ends_at) >= 1:  # not where it is only rounded otherwise: that would be news
            self._bucket_ends_at = round(ends_at)
        status = _status(self._view, wall) | {
            "traffic": {"bucket_s": BUCKET_S, "ends_at": self._bucket_ends_at, **self._traffic.columns(now)}
        }
        return Snapshot(wall, _json(status), self._settings[1])


def _status(view: View, wall: float) -> Shown:
    reload = view.last_reload
    return {
        "version": view.version,
        "started_at": _moment(view.started_at),
        "config_source": view.config_source,
        "draining": view.draining,
        "listeners": list(view.listeners),
        "reload": reload and {"at": _moment(reload.at), "error": reload.error},
        "credentials": [_credential(status, wall) for status in view.credentials()],
        "routes": [_route(route, view.stats.routes.get(route.name), wall) for route in view.routes],
        "troubles": [_trouble(trouble) for trouble in view.troubles.last()],
    }


def _credential(status: CredentialStatus, wall: float) -> Shown:
    held_against = verdict(status)
    return {
        "name": status.name,
        "state": status.state,
        "usable": status.usable,
        "source": status.source,
        "fingerprint": status.fingerprint,
        "obtained_at": _moment(status.obtained_at),
        "expires_at": _moment(status.expires_at),
        "next_refresh_at": _moment(status.next_refresh_at),
        "failures": status.consecutive_failures,
        "exchanges": [_exchange(record) for record in status.recent],
        "error": status.error,
        "remedy": status.remedy,
        "verdict": held_against
        and {
            "reason": held_against["reason"],
            "remedy": held_against["remedy"],
            "ends_at": round(wall + status.hopeless_for_s),
        },
    }


def _exchange(record: ExchangeRecord) -> Shown:
    return {
        "at": _moment(record.at),
        "trigger": record.trigger,
        "outcome": record.outcome,
        "duration_s": round(record.duration_s, 3),
        "detail": record.detail,
    }


def _route(route: RouteView, stats: RouteStats | None, wall: float) -> Shown:
    held_down = route.held_down_for_s > 0
    return {
        "name": route.name,
        "path": route.path,
        "host": route.host,
        "upstream": route.upstream,
        "credential": route.credential,
        "held_down": {
            "ends_at": round(wall + route.held_down_for_s),
            "reason": NO_HELP_REASON,
            "remedy": NO_HELP_REMEDY,
        }
        if held_down
        else None,
        **_counts(stats),
    }


def _counts(stats: RouteStats | None) -> Shown:
    """Return a route's requests since the start, those of them that failed, and what runs."""
    if stats is None:
        return {"requests": 0, "failed": 0, "rejected": 0, "in_flight": 0}
    by_class = dict(
        zip(CODE_CLASSES, map(sum, zip(*stats.requests.values(), strict=True)), strict=True)  # by method, summed
    )
    return {
        "requests": sum(by_class.values()),
        "failed": by_class["5xx"] + by_class["aborted"],
        "rejected": sum(stats.rejections.values()),
        "in_flight": stats.in_flight,
    }


def _trouble(trouble: Trouble) -> Shown:
    return {
        "method": trouble.method,
        "route": trouble.route,
        "status": trouble.status,
        "reason": trouble.reason,
        "detail": trouble.detail,
        "remedy": trouble.remedy or advice(trouble.reason),
        "count": trouble.times,
        "first_at": _moment(trouble.first_at),
        "last_at": _moment(trouble.last_at),
    }


def _settings(settings: Sequence[Setting]) -> list[Mapping[str, str]]:
    return [
        {"key": setting.key, "value": setting.value, "origin": setting.origin, "credential": setting.credential}
        for setting in settings
    ]


def _moment(seconds: float | None) -> float | None:
    """Return wall-clock seconds to a tenth; None also for a moment past the year 9999, which no page can name."""
    return None if seconds is None or not 0 <= seconds < 253_402_300_800 else round(seconds, 1)


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
