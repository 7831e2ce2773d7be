"""Whether the sidecar is ready, and if not, why and what a person can do. Pure: a view in, values out.

Not the credential's own account of itself (that is `credentials/status.py`). The rule:
a credential that still holds an unexpired token is ready, even where its refresh fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sidecar.admin.view import RouteView, View
from sidecar.credentials.remedies import NO_HELP_REASON, NO_HELP_REMEDY
from sidecar.credentials.status import CredentialStatus


@dataclass(frozen=True, slots=True)
class Reason:
    """Why it is not ready. `credential` is None where that is not about one."""

    credential: str | None
    state: str
    reason: str
    remedy: str


def why_not_ready(draining: bool, credentials: Sequence[CredentialStatus]) -> list[Reason]:
    """Return every reason against sending traffic here; none: it is ready."""
    reasons = [_of_credential(status) for status in credentials if not status.usable]
    if draining:
        reasons.insert(0, Reason(None, "draining", "The sidecar is stopping.", "Send requests to another one."))
    return reasons


def held_down(routes: Sequence[RouteView]) -> list[dict[str, object]]:
    """Return the routes on which exchanging again will not help for now, with what a person can do."""
    return [
        {
            "route": route.name,
            "hold_down_s": round(route.held_down_for_s, 1),
            "reason": NO_HELP_REASON,
            "remedy": NO_HELP_REMEDY,
        }
        for route in routes
        if route.held_down_for_s > 0
    ]


def verdict(status: CredentialStatus) -> dict[str, object] | None:
    """Return what upstreams have said of the token a credential holds, where exchanging again will not help."""
    if status.hopeless_for_s <= 0:
        return None
    return {"reason": NO_HELP_REASON, "remedy": NO_HELP_REMEDY, "ends_in_s": round(status.hopeless_for_s, 1)}


def without_first_token(view: View) -> list[Reason]:
    """Return why those credentials that have not had a token yet have none."""
    return [_of_credential(status) for status in view.credentials() if status.obtained_at is None and not status.usable]


def _of_credential(status: CredentialStatus) -> Reason:
    if status.state == "empty" and status.error is None:
        reason, remedy = "Its first exchange is under way.", "Wait."
    else:
        reason = status.error or "It holds no unexpired token."
        remedy = status.remedy or "Look at the log, and whether the token endpoint can be reached from here."
    return Reason(status.name, status.state, reason, remedy)
