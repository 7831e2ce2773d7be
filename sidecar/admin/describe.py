"""The process as JSON: what `/status` and `/readyz?verbose` answer. Pure: a view in, plain values out.

The rule: it is built field by field from values that hold no secret, never from a
whole object, so that a field added elsewhere does not appear here by itself.
"""

from __future__ import annotations

import datetime

from sidecar.admin.health import held_down, verdict, why_not_ready
from sidecar.admin.view import Reload, RouteView, View
from sidecar.credentials.status import CredentialStatus, ExchangeRecord

Described = dict[str, object]


def describe(view: View, now: float) -> Described:
    """Return everything that `/status` tells.

    Args:
        now: wall-clock seconds.
    """
    credentials = view.credentials()
    reload = view.last_reload
    return {
        "version": view.version,
        "started_at": timestamp(view.started_at),
        "uptime_s": round(max(0.0, now - view.started_at), 1),
        "config_source": view.config_source,
        "last_reload": reload and _reload(reload, now),
        "draining": view.draining,
        "ready": not why_not_ready(view.draining, credentials),
        "listeners": list(view.listeners),
        "client_environment": dict(view.client_environment),
        "routes": [_route(route) for route in view.routes],
        "held_down": held_down(view.routes),
        "credentials": [
            credential(status, now) | {"recent": [_exchange(record, now) for record in status.recent]}
            for status in credentials
        ],
    }


def credential(status: CredentialStatus, now: float) -> Described:
    """Return one credential as JSON.

    Args:
        now: wall-clock seconds.
    """
    return {
        "name": status.name,
        "state": status.state,
        "usable": status.usable,
        "source": status.source,
        "fingerprint": status.fingerprint,
        "obtained_at": timestamp(status.obtained_at),
        "age_s": None if status.obtained_at is None else round(now - status.obtained_at, 1),
        "expires_at": timestamp(status.expires_at),
        "expires_in_s": None if status.expires_at is None else round(status.expires_at - now, 1),
        "next_refresh_at": timestamp(status.next_refresh_at),
        "next_refresh_in_s": None if status.next_refresh_at is None else round(status.next_refresh_at - now, 1),
        "consecutive_failures": status.consecutive_failures,
        "last_exchange": status.last_exchange and _exchange(status.last_exchange, now),
        "error": status.error,
        "remedy": status.remedy,
        "verdict": verdict(status),
    }


def timestamp(seconds: float | None) -> str | None:
    """Return wall-clock seconds as ISO 8601 in UTC, to the second, with `Z`."""
    if seconds is None:
        return None
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):  # a token that says it lives past the year 9999
        return None


def _reload(reload: Reload, now: float) -> Described:
    return {
        "at": timestamp(reload.at),
        "age_s": round(now - reload.at, 1),
        "ok": not reload.error,
        "error": reload.error or None,
    }


def _exchange(record: ExchangeRecord, now: float) -> Described:
    return {
        "at": timestamp(record.at),
        "age_s": round(now - record.at, 1),
        "trigger": record.trigger,
        "outcome": record.outcome,
        "duration_s": round(record.duration_s, 3),
        "detail": record.detail or None,
    }


def _route(route: RouteView) -> Described:
    return {
        "name": route.name,
        "path": route.path,
        "host": route.host,
        "upstream": route.upstream,
        "credential": route.credential,
        "hold_down_s": round(route.held_down_for_s, 1),
    }
