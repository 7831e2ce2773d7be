"""`sidecar demo`: the pretend vendor, a sidecar in front of it, and a short tour of what it promises.

Not a benchmark, and no way to run a sidecar for real. The rule: it needs no key
and no network, and every line it prints can be tried with `curl` while it is up.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from sidecar.config.values import (
    Address,
    AdminConfig,
    Config,
    CredentialConfig,
    KeyConfig,
    LogConfig,
    RouteConfig,
    ShieldConfig,
    UpstreamConfig,
)
from sidecar.credentials.rules import AnswerPointers, ExchangeRules, Injection, RefreshRules
from sidecar.secret import Secret
from sidecar.vendor.server import DEMO_KEY, Vendor, VendorOptions
from sidecar.vendor.signals import ended_by_signals
from sidecar.vendor.tour_client import NoAnswer, tour_client
from sidecar.vendor.tour_steps import STEPS, DidNotHold, Say, Stage, Step

_LATER_LIFE_S = 60
# Tokens of a few seconds are renewed more often than the usual budget of 12 exchanges a minute allows.
_BUDGET_PER_MINUTE = 60
# Flushed, so that a reader at the other end of a pipe sees each line when it is said.
_SAY: Say = partial(print, flush=True)


class Sidecar(Protocol):
    """What the tour needs of a sidecar."""

    async def start(self) -> None:
        """Listen; return once it does."""

    async def stop(self) -> None:
        """Drain and stop."""

    @property
    def addresses(self) -> Sequence[tuple[str, int]]:
        """Host and port of each app listener."""

    @property
    def admin_address(self) -> tuple[str, int]:
        """Host and port of the admin listener."""


@dataclass(frozen=True, slots=True)
class TourOptions:
    """Where everything listens and how long tokens live.

    Args:
        listen, admin, vendor: wanted addresses; a free port is taken where one is in use.
        token_life_s: life of a token during the tour, in seconds.
        once: end after the tour instead of staying up.
    """

    listen: Address = Address("127.0.0.1", 8080)
    admin: Address = Address("127.0.0.1", 8081)
    vendor: Address = Address("127.0.0.1", 9400)
    token_life_s: float = 6.0
    once: bool = False


async def tour(
    make_sidecar: Callable[[Config], Sidecar],
    options: TourOptions | None = None,
    say: Say = _SAY,
    steps: Sequence[Step] = STEPS,
) -> int:
    """Give the tour; stay up afterwards until SIGINT or SIGTERM, unless `once`.

    Args:
        make_sidecar: builds the sidecar that is shown.
        options: where and how.
        say: takes one or several lines for the reader.
        steps: what is shown.

    Returns:
        Exit code: 0 if every step held, else 1. Ended by a signal during the tour: 0.

    Raises:
        OSError: something cannot listen.
    """
    options = options or TourOptions()
    failed = 0
    with ended_by_signals():
        async with _stage(make_sidecar, options, say) as stage:
            failed = await _walk(stage, steps)
            if not options.once:
                await stage.tell_vendor(json.dumps({"do": "token_life", "token_life_s": _LATER_LIFE_S}), shown=False)
                say(_TO_TRY.format(app=stage.app, admin=stage.admin, vendor=stage.vendor, life=_LATER_LIFE_S))
                await asyncio.Event().wait()
    return 1 if failed else 0


def demo_config(vendor_url: str, listen: Address, admin: Address) -> Config:
    """Return the configuration of a sidecar in front of the pretend vendor."""
    exchange = ExchangeRules(
        url=f"{vendor_url}/auth/token",
        json={"apiKey": "{api_key}"},
        response=AnswerPointers(token="/token", expires_at="/expiresAt"),  # noqa: S106  # a JSON pointer
    )
    credential = CredentialConfig(
        name="demo",
        api_key=KeyConfig("value", value=Secret(DEMO_KEY)),
        preset="giantcontext",
        exchange=exchange,
        inject=Injection(drop=("X-Api-Key",)),
        shield=ShieldConfig("/auth/token"),
        refresh=RefreshRules(budget_count=_BUDGET_PER_MINUTE),
    )
    return Config(
        listen=(listen,),
        credentials=(credential,),
        routes=(RouteConfig("demo", UpstreamConfig(vendor_url), credential="demo"),),
        admin=AdminConfig(listen=admin),
        log=LogConfig(level="warning"),
    )


def usable(wanted: Address) -> Address:
    """Return the wanted address if nothing listens there, else the same host with port 0 (any free one)."""
    family = socket.AF_INET6 if ":" in wanted.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((wanted.host, wanted.port))
        except OSError:
            return Address(wanted.host, 0)
    return wanted


@asynccontextmanager
async def _stage(make_sidecar: Callable[[Config], Sidecar], options: TourOptions, say: Say) -> AsyncIterator[Stage]:
    """Start the vendor and the sidecar; stop both at the end, the sidecar first."""
    vendor = Vendor(VendorOptions(token_life_s=options.token_life_s))
    at = usable(options.vendor)
    await vendor.start(at.host, at.port)
    try:
        sidecar = make_sidecar(demo_config(vendor.url, usable(options.listen), usable(options.admin)))
        await sidecar.start()
        try:
            app, admin = _origin(sidecar.addresses[0]), _origin(sidecar.admin_address)
            say(_WELCOME.format(app=app, admin=admin, vendor=vendor.url))
            async with tour_client() as client:
                yield Stage(app, admin, vendor.url, options.token_life_s, client, say)
        finally:
            await sidecar.stop()
    finally:
        await vendor.stop()


async def _walk(stage: Stage, steps: Sequence[Step]) -> int:
    """Take every step; return how many did not hold."""
    failed = 0
    for number, step in enumerate(steps, 1):
        stage.say(f"\n{number}. {step.__doc__}")
        try:
            await step(stage)
        except (DidNotHold, NoAnswer, ValueError, LookupError, TypeError) as problem:
            # What a step reads is another program's answer: whatever is wrong with it, the promise was not kept.
            failed += 1
            stage.say(
                f"   DID NOT HOLD: {problem}" if isinstance(problem, DidNotHold) else f"   DID NOT HOLD: {problem!r}"
            )
    held = len(steps) - failed
    stage.say(f"\n{held} of {len(steps)} steps held.")
    return failed


def _origin(address: tuple[str, int]) -> str:
    host, port = address[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


_WELCOME = """\
Everything runs on this machine, in one process: no key of yours, no network.

  your app  ->  sidecar {app}  ->  pretend vendor {vendor}
                admin   {admin}"""

_TO_TRY = """
All of it stays up (tokens live {life} s now). Ctrl-C ends it. To try:
  curl -i {app}/me
  curl -i {app}/echo/anything -d 'some body'
  curl -N '{app}/stream?count=5&interval_ms=500'
  curl -s {admin}/status
  curl -s {admin}/metrics
  curl -s {vendor}/-/log
Make the vendor misbehave, then ask the app listener again:
  curl -s {vendor}/-/faults -d '{{"do":"revoke_tokens"}}'
  curl -s {vendor}/-/faults -d '{{"on":"api","fault":"unauthorized","count":1}}'
  curl -s {vendor}/-/faults -d '{{"on":"token","fault":"down","count":3}}'
  curl -s -X DELETE {vendor}/-/faults"""
