"""The steps of the tour: each shows one promise, and checks it.

Not a test suite. The rule: a step says that something held only after it was seen
from outside, in an answer, a metric or the vendor's own log.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sidecar.vendor.tour_client import Answer, TourClient

_APPS = 4
_PAUSE_S = 0.02
_SLOW_EXCHANGE_S = 1.0
_AFTERWARDS_S = 0.3
_AGREE_TRIES, _AGREE_PAUSE_S = 20, 0.1
_SHOWN_METRICS = (
    "sidecar_requests_total",
    "sidecar_exchanges_total",
    "sidecar_replays_total",
    "sidecar_rejections_total",
)

Say = Callable[[str], object]


class DidNotHold(Exception):
    """A promise was not kept; the text says which."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where everything is.

    Args:
        app, admin, vendor: origins of the app listener, the admin listener and the vendor, without a slash at the end.
        token_life_s: how long the vendor's tokens live.
        client: what asks them.
        say: takes one line for the reader.
    """

    app: str
    admin: str
    vendor: str
    token_life_s: float
    client: TourClient
    say: Say

    async def counters(self) -> dict[str, int]:
        """Return the vendor's counters."""
        log = await self.client.get(f"{self.vendor}/-/log")
        counters: dict[str, int] = json.loads(log.body)["counters"]
        return counters

    async def tell_vendor(self, wish: str, *, shown: bool = True) -> None:
        """Send a wish to the vendor's remote control, and show the curl line that does the same."""
        if shown:
            self.say(f"   $ curl -s {self.vendor}/-/faults -d '{wish}'")
        answer = await self.client.post(f"{self.vendor}/-/faults", wish)
        hold(answer.status == 200, "the vendor does as it is told")

    async def ask_app(self, path: str) -> Answer:
        """Send a plain request to the app listener; show the curl line and what came back."""
        self.say(f"   $ curl -i {self.app}{path}")
        answer = await self.client.get(f"{self.app}{path}")
        self.say(f"   {answer.status}  {answer.body.decode(errors='replace')}")
        return answer


Step = Callable[[Stage], Awaitable[None]]


def hold(held: bool, promise: str) -> None:
    """Go on if it held. Raises DidNotHold."""
    if not held:
        raise DidNotHold(promise)


async def authenticated(stage: Stage) -> None:
    """An app's plain request comes back authenticated."""
    answer = await stage.ask_app("/me")
    hold(answer.status == 200, "a plain request is answered 200")
    stage.say(f"   The app sent no key and no token. The vendor saw token {_token_id(answer)}, put on by the sidecar.")


@dataclass(slots=True)
class _Traffic:
    """What several apps saw while they asked again and again."""

    answers: list[Answer]
    tokens: list[str]

    def add(self, answer: Answer) -> None:
        self.answers.append(answer)
        if answer.status == 200 and (token := _token_id(answer)) not in self.tokens:
            self.tokens.append(token)


async def refreshed(stage: Stage) -> None:
    """The token is renewed while requests run, and none of them waits."""
    before = await stage.counters()
    stage.say(
        f"   Tokens live {stage.token_life_s:g} s here, and the next exchange is made to take {_SLOW_EXCHANGE_S:g} s:"
    )
    await stage.tell_vendor(json.dumps({"on": "token", "fault": "slow", "delay_s": _SLOW_EXCHANGE_S, "count": 1}))
    stage.say(f"   {_APPS} apps now ask without a pause, until the token has changed ...")
    traffic = await _run_apps(stage)
    after = await stage.counters()
    ok = sum(answer.status == 200 for answer in traffic.answers)
    slowest_s = max(answer.duration_s for answer in traffic.answers)
    expired = after["expired_tokens_seen"] - before["expired_tokens_seen"]
    stage.say(f"   {len(traffic.answers)} requests: {ok} x 200, the slowest took {slowest_s * 1000:.0f} ms,")
    stage.say(f"   token {' -> '.join(traffic.tokens)}; the vendor saw {expired} expired tokens.")
    hold(len(traffic.tokens) == 2, "the token is renewed, once, before it expires")
    hold(ok == len(traffic.answers), "every request is answered 200")
    # The apps ask every 20 ms: had one waited for the exchange, it would have waited for nearly all of it.
    hold(slowest_s < 0.8 * _SLOW_EXCHANGE_S, "no request waits for the exchange")
    hold(expired == 0, "no expired token is sent")


async def _run_apps(stage: Stage) -> _Traffic:
    clock = asyncio.get_running_loop().time
    end = clock() + 1.5 * stage.token_life_s
    traffic = _Traffic([], [])

    async def app() -> None:
        nonlocal end
        while clock() < end:
            changed = len(traffic.tokens)
            traffic.add(await stage.client.get(f"{stage.app}/me"))
            if changed == 1 and len(traffic.tokens) == 2:
                end = min(end, clock() + _AFTERWARDS_S)
            await asyncio.sleep(_PAUSE_S)

    try:
        async with asyncio.TaskGroup() as apps:
            for _ in range(_APPS):
                apps.create_task(app())
    except ExceptionGroup as problems:
        raise problems.exceptions[0] from problems
    return traffic


async def recovered(stage: Stage) -> None:
    """Every token is revoked, and the next request is still answered 200."""
    before = await stage.counters()
    await stage.tell_vendor(json.dumps({"do": "revoke_tokens"}))
    answer = await stage.ask_app("/me")
    after = await stage.counters()
    rejected, exchanged = after["rejected"] - before["rejected"], after["exchanges"] - before["exchanges"]
    stage.say(f"   The vendor saw {rejected} request with a dead token (401), {exchanged} exchange, and the replay.")
    hold(answer.status == 200, "the app sees one 200")
    hold(rejected == 1, "the dead token is tried once")
    hold(exchanged == 1, "one exchange brings the replacement")


async def forbidden(stage: Stage) -> None:
    """A 403 is passed through as it is: exchanging again would not help."""
    before = await stage.counters()
    answer = await stage.ask_app("/forbidden")
    after = await stage.counters()
    sent, exchanged = after["requests"] - before["requests"], after["exchanges"] - before["exchanges"]
    stage.say(f"   That is the vendor's own answer. The vendor saw {sent} request and {exchanged} exchanges.")
    hold(answer.status == 403, "the 403 reaches the app")
    hold(
        json.loads(answer.body) == {"message": "Insufficient permissions", "code": "FORBIDDEN"}, "its body is unchanged"
    )
    hold(answer.header("Proxy-Status") is None, "nothing is added to it")
    hold((sent, exchanged) == (1, 0), "a 403 causes no replay and no exchange")


async def observed(stage: Stage) -> None:
    """Health, status and metrics say what happened."""
    ready = await stage.client.get(f"{stage.admin}/readyz")
    stage.say(f"   $ curl -s {stage.admin}/readyz\n   {ready.status}")
    hold(ready.status == 200, "the sidecar is ready")
    status = json.loads((await stage.client.get(f"{stage.admin}/status")).body)
    stage.say(f"   $ curl -s {stage.admin}/status")
    for credential in status["credentials"]:
        stage.say(f"   {_described(credential)}")
        hold(credential["usable"] is True, "the status says that the token is usable")
    stage.say(f"   $ curl -s {stage.admin}/metrics | grep -E 'requests|exchanges|replays|rejections'")
    for line in _shown(await _agreed_metrics(stage)):
        stage.say(f"   {line}")
    stage.say("   The vendor counted as many tokens handed out as the sidecar counted exchanges that went well.")


def _described(credential: dict[str, object]) -> str:
    told = {name: credential[name] for name in ("name", "state", "expires_in_s", "last_exchange")}
    return json.dumps(told)


async def _agreed_metrics(stage: Stage) -> str:
    """Return the metrics once the sidecar's count of good exchanges is the vendor's; one may be under way."""
    for _ in range(_AGREE_TRIES):
        issued = (await stage.counters())["tokens_issued"]
        text = (await stage.client.get(f"{stage.admin}/metrics")).body.decode()
        if _good_exchanges(text) == issued:
            return text
        await asyncio.sleep(_AGREE_PAUSE_S)
    raise DidNotHold("the metrics count the exchanges that were made")


def _good_exchanges(metrics: str) -> float:
    lines = (line for line in metrics.splitlines() if line.startswith("sidecar_exchanges_total{"))
    return sum(float(line.split()[-1]) for line in lines if 'outcome="ok"' in line)


def _shown(metrics: str) -> list[str]:
    lines = (line for line in metrics.splitlines() if line.startswith(_SHOWN_METRICS))
    return [line for line in lines if float(line.split("}")[-1].split()[0]) > 0]


def _token_id(answer: Answer) -> str:
    token_id: str = json.loads(answer.body)["token"]["id"]
    return token_id


STEPS: tuple[Step, ...] = (authenticated, refreshed, recovered, forbidden, observed)
