"""One soak: a sidecar as a process, apps and an upstream around it that check everything, and what came of it."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.main_job.client import Admin
from tests.main_job.process import SidecarProcess
from tests.soak.apps import Apps
from tests.soak.ledger import Ledger
from tests.soak.plan import REPLAYED_BYTES
from tests.soak.tokens import TokenEndpoint, Tokens
from tests.soak.upstream import Upstream
from tests.soak.watch import MIB, Held, held, resident_bytes, slope

# What is resident under load steps by megabytes at random, with the bodies that are on their way. A leak of 1 MiB per
# million requests is seen at rest, when every connection has ended: the requests come in rounds with a rest between.
ENVIRON = {"SOAK_KEY": "the-key-of-the-soak"}
ROUNDS = 20
# The first of them warm up: memory at rest grows by 4 MiB within 400,000 requests, and from there goes up and down by
# 0.6 MiB. What follows must be enough for a slope.
WARM_SHARE = 0.25
WARM_LEAST = 500_000
LEAST_FOR_SLOPE = 500_000
MOST_SLOPE_BYTES = 1.0 * MIB / 1_000_000
# Idle upstream connections are kept this long, and then all must be as it was before.
POOL_IDLE_S = 1.0
SETTLED_WITHIN_S = 15.0
# An app that leaves ends its request upstream within a second; the machine may be busy.
LEFT_WITHIN_S = 5.0
SAMPLE_S = 0.5


@dataclass(frozen=True, slots=True)
class Options:
    """How much: `token_life_s` is a token's, the newest of which is revoked every `revoke_s`; at rest memory is taken
    after each round of `round_requests` (there are at most 20 of them).
    """

    requests: int
    apps: int = 64
    most_s: float = 1500.0
    token_life_s: float = 9.0
    revoke_s: float = 7.0
    round_requests: int = 20_000


@dataclass(slots=True)
class Result:
    """What came of a soak."""

    options: Options
    ledger: Ledger
    tokens: Tokens
    took_s: float
    before: Held
    after: Held
    samples: list[tuple[int, int]]
    output: str
    broken: list[str]

    @property
    def slope(self) -> float | None:
        """How many bytes memory at rest grows per request after the warm-up; None where there were too few."""
        warm_after = max(WARM_LEAST, self.options.requests * WARM_SHARE)
        warm = [sample for sample in self.samples if sample[0] >= warm_after]
        return slope(warm) if len(warm) > 2 and warm[-1][0] - warm[0][0] >= LEAST_FOR_SLOPE else None


async def soak(options: Options, directory: Path, progress: Callable[[int, int], None]) -> Result:
    """Run one.

    Args:
        directory: for the sidecar's configuration and output.
        progress: told how many requests are done, and of how many.
    """
    loop = asyncio.get_running_loop()
    ledger, tokens = Ledger(options.requests), Tokens(options.token_life_s, loop.time)
    upstream = Upstream(ledger, tokens)
    servers = [
        await loop.create_server(upstream.connection, "127.0.0.1", 0),
        await loop.create_server(lambda: TokenEndpoint(tokens), "127.0.0.1", 0),
    ]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    process = SidecarProcess(directory, _configuration(*ports), ENVIRON)
    try:
        await asyncio.to_thread(process.start)
        return await _measured(options, process, ledger, tokens, upstream, progress)
    finally:
        await asyncio.to_thread(process.stop)
        for server in servers:
            server.close()


def _configuration(upstream_port: int, token_port: int) -> Mapping[str, object]:
    return {
        "credentials": {
            "soak": {
                "api_key": {"env": "SOAK_KEY"},
                "exchange": {
                    "url": f"http://127.0.0.1:{token_port}/token",
                    "json": {"key": "{api_key}"},
                    "response": {"token": "/token", "expires_in": "/expires_in"},
                },
                "refresh": {"budget": "120/1m"},
            }
        },
        "routes": [
            {
                "name": "soak",
                "match": {"path": "/"},
                "upstream": {"url": f"http://127.0.0.1:{upstream_port}", "pool": {"idle": f"{POOL_IDLE_S:g}s"}},
                "credential": "soak",
                "replay_body": f"{REPLAYED_BYTES // MIB}MiB",
            }
        ],
        "limits": {"replay_memory": "256MiB"},
        "log": {"level": "info"},
    }


async def _measured(
    options: Options,
    process: SidecarProcess,
    ledger: Ledger,
    tokens: Tokens,
    upstream: Upstream,
    progress: Callable[[int, int], None],
) -> Result:
    soaking = _Soaking(options, ledger, tokens, upstream, progress)
    before = await _rested(process)
    began_s = time.monotonic()
    watching = asyncio.ensure_future(soaking.watch())
    samples = [(0, resident_bytes(process.pid))]
    broken: list[str] = []
    after = before
    apps = Apps(process.port, options.apps, ledger)
    rounds = max(1, min(ROUNDS, options.requests // options.round_requests))
    try:
        async with asyncio.timeout(options.most_s):
            for number in range(1, rounds + 1):
                await apps.run(options.requests * number // rounds)
                after = await _settled(process, before)
                samples.append((ledger.done, resident_bytes(process.pid)))
    except TimeoutError:
        broken.append(f"only {ledger.done} of {ledger.count} requests within {options.most_s:g} s")
    took_s = time.monotonic() - began_s
    watching.cancel()
    await asyncio.wait([watching])
    result = Result(options, ledger, tokens, took_s, before, after, samples, process.output(), broken)
    judge(result)
    return result


class _Soaking:
    """What goes on beside the requests: tokens are revoked, and requests watched whose app has left."""

    def __init__(
        self,
        options: Options,
        ledger: Ledger,
        tokens: Tokens,
        upstream: Upstream,
        progress: Callable[[int, int], None],
    ) -> None:
        self._options = options
        self._ledger = ledger
        self._tokens = tokens
        self._upstream = upstream
        self._progress = progress

    async def watch(self) -> None:
        """Go on until cancelled."""
        revoke_at = time.monotonic() + self._options.revoke_s / 2
        while True:
            await asyncio.sleep(SAMPLE_S)
            self._upstream.check_waiting(LEFT_WITHIN_S)
            self._progress(self._ledger.done, self._ledger.count)
            if time.monotonic() >= revoke_at:
                self._tokens.revoke()
                revoke_at = time.monotonic() + self._options.revoke_s


async def _rested(process: SidecarProcess) -> Held:
    """Return what the sidecar holds before anything has happened, once that does not change any more."""
    await Admin(process.admin_port).ready()
    now = await held(process.pid, process.admin_port)
    for _ in range(20):
        before = now
        await asyncio.sleep(0.2)
        now = await held(process.pid, process.admin_port)
        if now == before:
            break
    return now


async def _settled(process: SidecarProcess, most: Held) -> Held:
    """Return what the sidecar holds once that is no more than this, or after some seconds anyway."""
    deadline = time.monotonic() + SETTLED_WITHIN_S
    now = await held(process.pid, process.admin_port)
    while now.exceeds(most) and time.monotonic() < deadline:
        await asyncio.sleep(0.25)
        now = await held(process.pid, process.admin_port)
    return now


def judge(result: Result) -> None:
    """Hold the bounds."""
    ledger, broken = result.ledger, result.broken
    if ledger.unexplained:
        broken.append(f"{ledger.unexplained} unexplained errors")
    if ledger.done != ledger.count and not broken:
        broken.append(f"{ledger.count - ledger.done} requests without an end")
    if result.slope is not None and result.slope > MOST_SLOPE_BYTES:
        broken.append(f"memory grows by {result.slope * 1_000_000 / MIB:.2f} MiB per million requests")
    if result.after.exceeds(result.before):
        broken.append(f"something is left: {result.after}, before {result.before}")
    if "Traceback" in result.output or "please report this" in result.output:
        broken.append("the sidecar met a defect: see its output")


def on_terminal(done: int, count: int) -> None:
    """Show how far it is, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r{done:,} of {count:,}", end="" if done < count else "\n", file=sys.stderr, flush=True)
