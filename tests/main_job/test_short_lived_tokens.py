"""Steady load on tokens that live for 5 s: nobody notices a renewal, and no dead token goes out.

15 s of it in the suite; a minute where `SIDECAR_LONG` is set.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import jwt
import pytest

from sidecar.vendor.faults import Fault
from tests.main_job.client import Admin, Client
from tests.main_job.configuration import (
    ENVIRON,
    oidc_credential,
    pocketbase_credential,
    route,
    tls_upstream,
    vendor_credential,
)
from tests.main_job.process import running
from tests.main_job.vendors import vendor
from tests.servers.certificates import Certificates
from tests.servers.nginx import Nginx, Seen
from tests.servers.oidc import OidcProvider
from tests.servers.pocketbase import PocketBase

LOAD_S = 60.0 if os.environ.get("SIDECAR_LONG") else 15.0
REQUESTS_PER_S = 120
CONNECTIONS = 12
TOKEN_LIFE_S = 5.0
ROUTES = ("oidc", "records", "vendor")
# The pretend vendor takes this long for each exchange: a request that waited for one would stand out.
SLOW_EXCHANGE_S = 0.5
# Of the two real ones, which need a tenth of it.
WINDOW_S = 0.5
# What a busy machine may add to a request's time.
NOISE_S = 0.1


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as the app saw it; `at` is wall-clock seconds of its start."""

    route: str
    at: float
    took_s: float
    status: int


async def steady_load(client: Client, seconds: float) -> list[Asked]:
    """Make the requests of a steady app: each at its time, whether or not others still wait."""
    began_at = time.time()
    schedule = enumerate(itertools.takewhile(lambda at: at < seconds, itertools.count(0, 1 / REQUESTS_PER_S)))
    routes = itertools.cycle(ROUTES)
    asked: list[Asked] = []

    async def work() -> None:
        async with client.connected() as wire:
            for number, due_s in schedule:
                name = next(routes)
                await asyncio.sleep(began_at + due_s - time.time())
                at, start_s = time.time(), time.perf_counter()
                await wire.send(client.request("GET", f"/{name}/{name}/{number}"))
                answer = await wire.response()
                asked.append(Asked(name, at, time.perf_counter() - start_s, answer.status))

    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return asked


@pytest.mark.timeout(LOAD_S + 30)
async def test_nobody_notices_a_renewal(
    tmp_path: Path, nginx: Nginx, certificates: Certificates, oidc: OidcProvider, pocketbase: PocketBase
) -> None:
    """Every request is 200, none waits for an exchange, and what nginx logged holds no expired token."""
    upstream = tls_upstream(nginx.https_url, certificates)
    async with vendor(token_life_s=TOKEN_LIFE_S) as slow:
        configuration = {
            "credentials": {
                "oidc": oidc_credential(oidc),
                "records": pocketbase_credential(pocketbase),
                "vendor": vendor_credential(slow),
            },
            "routes": [route(name, upstream, name) for name in ROUTES],
        }
        async with running(tmp_path, configuration, ENVIRON) as sidecar:
            admin = Admin(sidecar.admin_port)
            await admin.ready()
            slow.faults.add(Fault("token", "slow", delay_s=SLOW_EXCHANGE_S))
            asked = await steady_load(Client(sidecar.port), LOAD_S)
            figures = await admin.figures()
    assert {request.status for request in asked} == {200}
    assert len(asked) >= 0.9 * REQUESTS_PER_S * LOAD_S
    assert figures.sum("sidecar_token_wait_seconds_count") == 0
    assert figures.sum("sidecar_rejections_total") == 0
    seen = nginx.seen(at_least=len(asked))
    assert len(seen) == len(asked)
    switches = dict(switches_of(seen))
    for name in ROUTES:
        # Each token is worn for two thirds of its life, less a little.
        assert LOAD_S / TOKEN_LIFE_S <= len(switches[name]) <= LOAD_S / TOKEN_LIFE_S * 2
        not_delayed([request for request in asked if request.route == name], switches[name])


def switches_of(seen: Iterable[Seen]) -> Iterator[tuple[str, list[float]]]:
    """Yield for each route when another token was first worn; each one that was worn must still have been valid."""
    by_route: dict[str, dict[str, float]] = {name: {} for name in ROUTES}
    for request in sorted(seen, key=lambda request: request.ended_at):
        token = request.authorization.removeprefix("Bearer ")
        assert request.ended_at < expiry_of(token), "an expired token was seen upstream"
        by_route[request.target.split("/")[1]].setdefault(token, request.started_at)
    for name, first_worn in by_route.items():
        yield name, sorted(first_worn.values())[1:]


def expiry_of(token: str) -> float:
    """Return when a token expires, as it says itself."""
    claims: Mapping[str, float] = jwt.decode(token, options={"verify_signature": False})
    return claims["exp"]


def not_delayed(asked: Iterable[Asked], switches: Iterable[float]) -> None:
    """Requests while a renewal ran took no longer than the others, but for what a busy machine adds."""
    moments = list(switches)
    during: list[float] = []
    others: list[float] = []
    for request in asked:
        renewing = any(switch - WINDOW_S <= request.at <= switch + 0.05 for switch in moments)
        (during if renewing else others).append(request.took_s)
    assert len(during) >= len(moments) and others
    assert percentile_90(during) <= percentile_90(others) + NOISE_S


def percentile_90(values: list[float]) -> float:
    """Return what 9 of 10 values do not exceed.

    Requests that waited would be most of those during a renewal. A few dozen values have a 99th percentile that is the
    longest of them: one stall of a busy machine.
    """
    return statistics.quantiles(values, n=10)[8]
