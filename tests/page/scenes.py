"""Made-up processes to draw: a fresh, a stale, a failing and a rejected credential, and what goes with each."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from time import time

from sidecar.admin.traffic import BUCKET_S, BUCKETS
from sidecar.admin.view import Reload, RouteView, Setting
from sidecar.credentials.remedies import NO_HELP_REMEDY, remedy
from sidecar.credentials.status import CredentialStatus, ExchangeRecord, State
from sidecar.errors import BadRequest, ExchangeOutcome, KeyRejected, NoToken, Refused, UpstreamTimeout
from sidecar.stats import Stats
from sidecar.troubles import Troubles
from tests.admin.running import MadeUpProcess

_KEY_REMEDY = "put a valid key of giantcontext into file /run/secrets/giantcontext"
_SET = (
    ("listen", "127.0.0.1:8080, unix:/run/sidecar/app.sock", "config.yaml:1", ""),
    ("credentials.giantcontext.preset", "giantcontext", "config.yaml:4", ""),
    ("credentials.giantcontext.api_key", "file /run/secrets/giantcontext", "config.yaml:5", "giantcontext"),
    ("credentials.giantcontext.exchange.url", "https://api.giantcontext.com/auth/token", "preset giantcontext", ""),
    ("credentials.giantcontext.exchange.json", "set, not shown", "preset giantcontext", ""),
    ("routes[0].name", "giantcontext", "config.yaml:8", ""),
    ("routes[0].upstream.url", "https://api.giantcontext.com", "config.yaml:9", ""),
    ("routes[0].credential", "giantcontext", "config.yaml:10", ""),
    ("admin.listen", "127.0.0.1:8081", "flag --admin-listen", ""),
    ("log.level", "info", "config.yaml:13, environment LOG_LEVEL", ""),
)
_DEFAULTS = (("gate.expose", "false"), ("limits.head", "64KiB"), ("limits.waiting", "1000"), ("drain.most", "25s"))


class MovingClock:
    """The wall clock, and a monotonic one that a scene moves through its past."""

    def __init__(self) -> None:
        self.at = 0.0

    def wall(self) -> float:
        """Return seconds since the epoch."""
        return time()

    def monotonic(self) -> float:
        """Return where the scene is."""
        return self.at


@dataclass
class Scene:
    """A process, and how its last quarter of an hour goes."""

    process: MadeUpProcess
    requests_a_bucket: int = 40
    server_errors: Callable[[int], int] = lambda at: 0
    client_errors: Callable[[int], int] = lambda at: 1 if at % 11 == 0 else 0
    rejections: Callable[[int], int] = lambda at: 0
    refusals: Callable[[int], int] = lambda at: 0
    clock: MovingClock = field(default_factory=MovingClock)

    def play(self, sweep: Callable[[], None]) -> None:
        """Let the quarter of an hour pass: count what happens, bucket by bucket."""
        chance = random.Random(7)
        stats = self.process.stats
        route = stats.route(self.process.routes[0].name)
        for at in range(BUCKETS - 1):
            swing = 0.55 + 0.45 * abs((at % 23) / 11.5 - 1)
            counts = route.requests[b"GET"]
            counts[0] += round(self.requests_a_bucket * swing * chance.uniform(0.75, 1.15))
            counts[2] += self.client_errors(at)
            counts[3] += self.server_errors(at)
            route.rejections["revoked"] += self.rejections(at)
            for _ in range(self.refusals(at)):
                stats.refusals.count("host", "")
            self.clock.at += BUCKET_S
            sweep()
        route.requests[b"POST"][0] += self.requests_a_bucket // 3
        self.clock.at += BUCKET_S / 2


def credential(
    name: str,
    state: State,
    *,
    age_s: float = 0,
    life_s: float = 3600,
    refresh_in_s: float | None = None,
    exchanges: tuple[tuple[float, ExchangeOutcome, str], ...] = (),
    usable: bool = True,
    error: str | None = None,
    what_to_do: str | None = None,
    hopeless_for_s: float = 0.0,
) -> CredentialStatus:
    """Return a credential; `exchanges` are how long ago, the outcome and the detail, the oldest first."""
    now = time()
    records = tuple(
        ExchangeRecord(now - ago, "start" if at == 0 else "expiry", outcome, 0.118 + 0.013 * at, detail)
        for at, (ago, outcome, detail) in enumerate(exchanges)
    )
    failed = 0
    for record in reversed(records):
        if record.outcome == "ok":
            break
        failed += 1
    had_one = any(record.outcome == "ok" for record in records)
    expires_at = now - age_s + life_s
    planned = now + refresh_in_s if refresh_in_s is not None else expires_at - min(60, life_s / 3)
    return CredentialStatus(
        name=name,
        state=state,
        usable=usable,
        source=f"file /run/secrets/{name}",
        fingerprint="6f0c41da",
        obtained_at=now - age_s if had_one else None,
        expires_at=expires_at if had_one else None,
        next_refresh_at=planned,
        consecutive_failures=failed,
        last_exchange=records[-1] if records else None,
        recent=records,
        error=error,
        remedy=what_to_do,
        hopeless_for_s=hopeless_for_s,
    )


def process(*credentials: CredentialStatus) -> MadeUpProcess:
    """Return a process that holds these, with a route for each."""
    settings = [Setting(*row) for row in _SET] + [Setting(key, value, "default") for key, value in _DEFAULTS]
    made = MadeUpProcess(
        list(credentials),
        version="0.1.0",
        started_at=time() - 3 * 3600 - 700,
        listeners=("127.0.0.1:8080", "unix:/run/sidecar/app.sock"),
        routes=[
            RouteView(one.name, "/" if not at else f"/{one.name}/", None, f"https://api.{one.name}.com", one.name)
            for at, one in enumerate(credentials)
        ],
        stats=Stats(),
        troubles=Troubles(time),
        configured=settings,
    )
    made.stats.refusals.count("host", "")
    return made


def _fresh() -> Scene:
    past: tuple[tuple[float, ExchangeOutcome, str], ...] = ((8040, "ok", ""), (4500, "ok", ""), (960, "ok", ""))
    made = process(credential("giantcontext", "fresh", age_s=960, exchanges=past))
    made.last_reload = Reload(time() - 2400)
    return Scene(made)


def _stale() -> Scene:
    cuts = range(1060, 60, -52)
    past: tuple[tuple[float, ExchangeOutcome, str], ...] = tuple((float(ago), "ok", "") for ago in cuts)
    short = credential(
        "giantcontext", "stale", age_s=72, life_s=90, refresh_in_s=-2, exchanges=(*past[:-1], (72.0, "ok", ""))
    )
    long = credential("billing", "fresh", age_s=1500, exchanges=((5000.0, "ok", ""), (1500.0, "ok", "")))
    made = process(short, long)
    made.troubles.note(Refused("the Host is not one of this listener's", reason="host"), method=b"GET")
    return Scene(made, refusals=lambda at: 2 if at in (20, 21, 44) else 0, rejections=lambda at: int(at == 30))


def _failing() -> Scene:
    detail = "the token endpoint answered 503 (server error)"
    ago = (740.0, 736.0, 729.0, 714.0, 690.0, 655.0, 600.0, 540.0, 470.0, 410.0, 345.0, 280.0, 210.0, 140.0, 75.0, 12.0)
    past: tuple[tuple[float, ExchangeOutcome, str], ...] = (
        (7900.0, "ok", ""),
        (3350.0, "ok", ""),
        *((each, "server_error", detail) for each in ago),
    )
    one = credential(
        "giantcontext",
        "stale",
        age_s=3350,
        refresh_in_s=18,
        exchanges=past,
        error=detail,
        what_to_do=remedy("server", _KEY_REMEDY),
    )
    made = process(one, credential("billing", "fresh", age_s=1500, exchanges=((1500.0, "ok", ""),)))
    late = UpstreamTimeout("the upstream did not answer within 60 s", phase="head")
    for _ in range(4):
        made.troubles.note(late, method=b"POST", route="giantcontext")
    return Scene(made, server_errors=lambda at: 3 if 33 < at < 39 else 0)


def _rejected() -> Scene:
    refused = "the token endpoint refused the key: 401, invalid_api_key"
    past: tuple[tuple[float, ExchangeOutcome, str], ...] = (
        (4900.0, "ok", ""),
        (660.0, "key_rejected", refused),
        (600.0, "key_rejected", refused),
        (480.0, "key_rejected", refused),
        (200.0, "key_rejected", refused),
    )
    what_to_do = remedy("key", _KEY_REMEDY)
    one = credential(
        "giantcontext",
        "key_rejected",
        age_s=4900,
        life_s=4200,
        usable=False,
        refresh_in_s=100,
        exchanges=past,
        error=refused,
        what_to_do=what_to_do,
    )
    other = credential("billing", "fresh", age_s=300, exchanges=((300.0, "ok", ""),), hopeless_for_s=21)
    made = process(one, other)
    made.routes = [made.routes[0], RouteView("billing", "/billing/", None, "https://api.billing.com", "billing", 21.0)]
    no_token = KeyRejected(f"no token for credential giantcontext: {refused}", reason="key_rejected", remedy=what_to_do)
    for _ in range(312):
        made.troubles.note(no_token, method=b"GET", route="giantcontext")
    made.troubles.note(NoToken("no token for credential giantcontext", reason="no_token"), method=b"POST", route="crm")
    made.troubles.note(BadRequest("TLS is not spoken here: use http://"))
    made.troubles.note_rejection(b"GET", "billing", 401, NO_HELP_REMEDY)
    late = UpstreamTimeout("the upstream's answer stopped within its body", phase="body")
    made.troubles.note(late, method=b"GET", route="billing", cut=True)
    return Scene(
        made,
        server_errors=lambda at: 26 if at > 12 else 0,
        requests_a_bucket=14,
        rejections=lambda at: 3 if at > 50 else 0,
        refusals=lambda at: 26 if at > 12 else 0,
    )


SCENES: dict[str, Callable[[], Scene]] = {
    "fresh": _fresh,
    "stale": _stale,
    "failing": _failing,
    "rejected": _rejected,
}
