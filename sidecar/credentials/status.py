"""What a credential tells about itself: the value behind `/status`, `/readyz` and the credential's metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sidecar.errors import ExchangeOutcome

State = Literal["empty", "fresh", "stale", "expired", "key_rejected"]
STATES: tuple[State, ...] = ("empty", "fresh", "stale", "expired", "key_rejected")
Trigger = Literal["start", "expiry", "rejection", "key_change", "manual"]
TRIGGERS: tuple[Trigger, ...] = ("start", "expiry", "rejection", "key_change", "manual")


@dataclass(frozen=True, slots=True)
class ExchangeRecord:
    """One exchange that was made. `at` is wall-clock seconds; `detail` is "" for a success."""

    at: float
    trigger: Trigger
    outcome: ExchangeOutcome
    duration_s: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CredentialStatus:
    """A snapshot, free of secrets. Times are wall-clock seconds; None where there is no such moment.

    `usable` is whether an unexpired token is held, whatever the state says of the key.
    `error` and `remedy` are None while all is well; `remedy` says what a person can do.
    `hopeless_for_s` is for how long it is held against the token that an upstream rejected it right
    after its exchange, so that exchanging again does not help; 0.0 where that is not so.
    """

    name: str
    state: State
    usable: bool
    source: str
    fingerprint: str
    obtained_at: float | None
    expires_at: float | None
    next_refresh_at: float | None
    consecutive_failures: int
    last_exchange: ExchangeRecord | None
    recent: tuple[ExchangeRecord, ...]
    error: str | None
    remedy: str | None
    hopeless_for_s: float = 0.0
