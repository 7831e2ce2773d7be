"""A credential: one API key, its current token, and everything that happens to them.

States

    empty ──exchange──> fresh ──time──> stale ──time──> expired
                          ^               │                │
                          └───exchange────┴────exchange────┘
    key_rejected: beside them, from the moment the token endpoint refuses the key
    until an exchange succeeds. A token that is still valid goes on being used.

    empty         no token yet              requests wait for the first exchange
    fresh         outside the window        requests take the token at once
    stale         inside the window         requests take the token at once; one exchange runs behind them
    expired       past its expiry           requests wait for the exchange, or are told why there is none
    key_rejected  the endpoint said no      no exchange but a slow probe, or when the key's source changes

One task does it all. `run` sleeps until something is due, makes one exchange,
takes in its outcome, and goes on. That is the single flight: there is no other
place that exchanges, so there are never two at a time, and no request owns the
one that runs: a client that leaves cancels its own waiting only.

What may make an exchange due, in this order: a new key; a request that found
no usable token; a rejection of the current token; somebody's `refresh()`; the
token's refresh time. What holds it back: the back-off after a failure (or the
endpoint's Retry-After), and the budget, which no storm of rejections exceeds.

A rejection is tied to its token. If the rejected token is no longer the
current one, the current one is the replacement, without any exchange.

Expiry is wall-clock time, read anew at least every `CLOCK_CHECK_S`: a laptop
that slept, or a clock that was set, is noticed before its first request is.
Back-off, budget and waiting use the monotonic clock.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections import deque
from collections.abc import Callable
from typing import Protocol

from sidecar.clock import Clock
from sidecar.credentials.keys import KeySource, KeyWatch
from sidecar.credentials.rules import RefreshRules
from sidecar.credentials.status import CredentialStatus, ExchangeRecord, State, Trigger
from sidecar.credentials.token import Token, refresh_at
from sidecar.errors import (
    CredentialError,
    ExchangeFailed,
    ExchangeOutcome,
    KeyRejected,
    KeyUnavailable,
    NoToken,
    Overloaded,
)
from sidecar.secret import Secret

# How long the task may sleep without looking at the wall clock (DESIGN: at least every 15 s), and at the key's source.
CLOCK_CHECK_S = 15.0
KEY_CHECK_S = 1.0
# After a refused key the endpoint is asked again, rarely: a key can be re-enabled without its text changing.
PROBE_FIRST_S = 60.0
PROBE_MOST_S = 300.0
# A failing refresh is tried once more this long before the token's expiry, whatever the back-off says.
LAST_TRY_S = 2.0
RECENT_EXCHANGES = 32

_log = logging.getLogger("sidecar.credential")


class Exchanger(Protocol):
    """Turns an API key into a token."""

    async def exchange(self, key: Secret) -> Token:
        """Make one exchange.

        Raises:
            ExchangeFailed: it brought no token.
        """

    async def close(self) -> None:
        """Let go of what it holds."""


class Watcher(Protocol):
    """Told of each exchange, to count it."""

    def exchanged(self, record: ExchangeRecord) -> None:
        """One exchange was made."""


class Credential:
    """One API key and its current token.

    Args:
        name: as configured.
        source: where the key comes from.
        exchanger: how it becomes a token.
        rules: when tokens are renewed.
        clock: wall and monotonic.
        watcher: told of each exchange.
        most_waiting: how many requests may wait for a token at a time.
        wait_s: how long each of them waits at most.
        rng: for jitter and back-off; numbers in [0, 1).
    """

    def __init__(
        self,
        name: str,
        source: KeySource,
        exchanger: Exchanger,
        rules: RefreshRules,
        clock: Clock,
        watcher: Watcher,
        *,
        most_waiting: int,
        wait_s: float,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self._source = source
        self._watch = KeyWatch(source)
        self._exchanger = exchanger
        self._rules = rules
        self._clock = clock
        self._watcher = watcher
        self._most_waiting = most_waiting
        self._wait_s = wait_s
        self._rng = rng
        # The key and the token
        self._key: Secret | None = None
        self._token: Token | None = None
        self._refresh_at = math.inf
        self._accepted: Token | None = None
        self._rejected: Token | None = None
        # What is wanted of the task
        self._wanted: Trigger | None = "start"
        self._changed = asyncio.Event()
        self._waiting: set[asyncio.Future[Token]] = set()
        self._in_flight = False
        # What happened
        self._failure: CredentialError | None = None
        self._key_rejected = False
        self._failures = 0
        self._not_before = -math.inf
        self._started: deque[float] = deque(maxlen=rules.budget_count)
        self._recent: deque[ExchangeRecord] = deque(maxlen=RECENT_EXCHANGES)
        self.has_had_token = False

    # For the request path

    def current(self) -> Token | None:
        """Return the token if it is still valid. Costs a clock reading: this is on the request path."""
        token = self._token
        if token is not None and self._clock.wall() < token.expires_at:
            return token
        return None

    async def wait(self) -> Token:
        """Wait for a token where there is none; the exchange goes on without whoever leaves.

        Raises:
            NoToken: the endpoint fails, or does not answer in time; says when to try again.
            KeyRejected: the key is bad.
            Overloaded: too many requests are waiting.
        """
        token = self.current()
        if token is not None:
            return token
        if self._failure is not None:
            self._want("expiry")
            raise self._failure_now()
        return await self._next_token("expiry")

    async def replacement(self, rejected: Token) -> Token | None:
        """Return the token to try after a rejection, or None where exchanging again does not help.

        Args:
            rejected: the token that the upstream did not take.
        """
        token = self.current()
        if token is not None and token is not rejected:
            return token
        self._rejected = rejected
        try:
            token = await self._next_token("rejection")
        except CredentialError:
            return None
        return None if token.secret == rejected.secret else token

    def renew_after(self, rejected: Token) -> None:
        """Have the next request find a new token; nobody waits for it."""
        if self._token is rejected:
            self._rejected = rejected
            self._want("rejection")

    def accepted(self, token: Token) -> None:
        """The upstream took this token."""
        self._accepted = token

    def note_rejected(self, token: Token) -> None:
        """The upstream did not take this token, and exchanging again does not help."""
        self._rejected = token

    def is_proven(self, token: Token) -> bool:
        """Whether this token was taken before and never rejected: if it is rejected now, it was revoked."""
        return token is self._accepted and token is not self._rejected

    def is_expired(self, token: Token) -> bool:
        """Whether this token is past its expiry."""
        return self._clock.wall() >= token.expires_at

    # For operators

    async def refresh(self) -> None:
        """Make an exchange now, for somebody who asked.

        Raises:
            CredentialError: it brought no token.
        """
        self._not_before = -math.inf
        await self._next_token("manual")

    def status(self) -> CredentialStatus:
        """Return what there is to know, without a secret."""
        token = self._token
        return CredentialStatus(
            name=self.name,
            state=self._state(),
            usable=self.current() is not None,
            source=self._source.description,
            fingerprint=self._key.fingerprint() if self._key is not None else "",
            obtained_at=token.obtained_at if token is not None else None,
            expires_at=token.expires_at if token is not None and token.expires_at < math.inf else None,
            next_refresh_at=self._refresh_at if self._refresh_at < math.inf else None,
            consecutive_failures=self._failures,
            last_exchange=self._recent[-1] if self._recent else None,
            recent=tuple(self._recent),
            error=self._failure.detail if self._failure is not None else None,
            remedy=self._remedy(),
        )

    def _state(self) -> State:
        if self._key_rejected:
            return "key_rejected"
        if self._token is None:
            return "empty"
        now = self._clock.wall()
        if now >= self._token.expires_at:
            return "expired"
        return "stale" if now >= self._refresh_at else "fresh"

    def _remedy(self) -> str | None:
        if self._failure is None:
            return None
        if self._key_rejected:
            return self._remedy_for_key()
        if self._key is None:
            return f"put the API key into {self._source.description}"
        return "check that the token endpoint can be reached and works; it is tried again by itself"

    # The one task

    async def run(self) -> None:
        """Keep the token fresh until cancelled."""
        while True:
            trigger = await self._due()
            if await self._has_key():
                await self._exchange_once(trigger)

    async def _due(self) -> Trigger:
        """Sleep until an exchange is due, and return what made it so."""
        while True:
            if await self._key_changed():
                return "key_change"
            now_s = self._clock.monotonic()
            trigger = self._wanted
            if trigger is None and self._clock.wall() >= self._refresh_at:
                trigger = "expiry"
            hold_s = max(self._not_before, self._budget_free_at()) - now_s
            if trigger is not None and hold_s <= 0:
                return trigger
            await self._sleep(self._pause_s(trigger, hold_s))

    def _pause_s(self, trigger: Trigger | None, hold_s: float) -> float:
        """How long nothing can become due that does not also set `_changed`."""
        pause_s = KEY_CHECK_S if self._source.watched else CLOCK_CHECK_S
        if trigger is not None:
            return min(pause_s, hold_s)
        return min(pause_s, max(0.0, self._refresh_at - self._clock.wall()))

    async def _sleep(self, pause_s: float) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(pause_s):
                await self._changed.wait()
        except TimeoutError:
            pass

    def _budget_free_at(self) -> float:
        """The monotonic time from which the budget allows an exchange."""
        if len(self._started) < self._rules.budget_count:
            return -math.inf
        return self._started[0] + self._rules.budget_per_s

    async def _key_changed(self) -> bool:
        """Look at the key's source; take a new key at once, whatever held the old one back."""
        if self._key is None or not self._source.watched:
            return False
        key = await self._watch.poll(self._key)
        if key is None:
            return False
        _log.info("credential %s: %s holds a new key", self.name, self._source.description)
        self._key = key
        self._not_before = -math.inf
        return self._budget_free_at() <= self._clock.monotonic()

    async def _has_key(self) -> bool:
        """Read the key where there is none yet; a source that cannot be read is looked at again soon."""
        if self._key is not None:
            return True
        try:
            self._key = await self._source.read()
        except KeyUnavailable as error:
            self._failures += 1
            self._not_before = self._clock.monotonic() + KEY_CHECK_S
            self._settle(NoToken(str(error), reason="no_key", retry_after_s=KEY_CHECK_S))
            return False
        return True

    async def _exchange_once(self, trigger: Trigger) -> None:
        """Make one exchange and take in its outcome."""
        assert self._key is not None  # noqa: S101  # _has_key() came before
        started_s = self._clock.monotonic()
        self._started.append(started_s)
        self._in_flight = True
        self._wanted = None
        try:
            token = await self._exchanger.exchange(self._key)
        except KeyUnavailable as error:
            self._failed(ExchangeFailed("key_rejected", str(error)), trigger, started_s)
        except ExchangeFailed as error:
            self._failed(error, trigger, started_s)
        else:
            self._succeeded(token, trigger, started_s)
        finally:
            self._in_flight = False

    def _succeeded(self, token: Token, trigger: Trigger, started_s: float) -> None:
        if self._failure is not None:
            _log.info("credential %s: exchanges succeed again", self.name)
        self._record(trigger, "ok", "", started_s)
        self._token = token
        self._refresh_at = refresh_at(token, self._rules.window_s, self._rng())
        self.has_had_token = True
        self._failure = None
        self._key_rejected = False
        self._failures = 0
        self._not_before = -math.inf
        self._settle(token)

    def _failed(self, error: ExchangeFailed, trigger: Trigger, started_s: float) -> None:
        self._failures += 1
        self._record(trigger, error.outcome, error.detail, started_s)
        rejected = error.outcome == "key_rejected"
        wait_s = self._probe_s() if rejected else self._back_off_s(error)
        self._key_rejected = rejected
        self._not_before = self._clock.monotonic() + wait_s
        if self._token is None or rejected:
            self._wanted = "start" if self._token is None else "expiry"
        log = _log.error if rejected or self.current() is None else _log.warning
        log("credential %s: no token from the exchange: %s; next try in %.1f s", self.name, error.detail, wait_s)
        if rejected:
            detail = f"the token endpoint refuses the API key of credential {self.name}; {self._remedy_for_key()}"
            self._settle(KeyRejected(detail, reason="key_rejected", retry_after_s=wait_s))
        else:
            detail = f"no token for credential {self.name}: {error.detail}; it is tried again by itself"
            self._settle(NoToken(detail, reason="no_token", retry_after_s=wait_s))

    def _remedy_for_key(self) -> str:
        if self._source.watched:
            return f"put a valid API key into {self._source.description}: it is used as soon as it is there"
        return f"put a valid API key into {self._source.description} and start again"

    def _probe_s(self) -> float:
        return float(min(PROBE_FIRST_S * 1.5 ** max(0, self._failures - 1), PROBE_MOST_S))

    def _back_off_s(self, error: ExchangeFailed) -> float:
        """Exponential with full jitter, Retry-After where it was given, and one more try before the token expires."""
        rules = self._rules
        ceiling_s = min(rules.backoff_first_s * 2.0 ** min(self._failures - 1, 30), rules.backoff_most_s)
        wait_s = ceiling_s * self._rng()
        if error.retry_after_s is not None:
            return max(error.retry_after_s, wait_s)
        if self._token is not None:
            left_s = self._token.expires_at - self._clock.wall() - LAST_TRY_S
            if 0 < left_s < wait_s:
                return left_s
        return wait_s

    def _record(self, trigger: Trigger, outcome: ExchangeOutcome, detail: str, started_s: float) -> None:
        duration_s = self._clock.monotonic() - started_s
        record = ExchangeRecord(self._clock.wall(), trigger, outcome, duration_s, detail)
        self._recent.append(record)
        self._watcher.exchanged(record)

    # Those who wait

    def _want(self, trigger: Trigger) -> None:
        """Have the task make an exchange as soon as it may."""
        if self._wanted is None:
            self._wanted = trigger
            self._changed.set()

    async def _next_token(self, trigger: Trigger) -> Token:
        """Wait for the outcome of the exchange that runs, or else of the next one."""
        if len(self._waiting) >= self._most_waiting:
            raise Overloaded("too many requests wait for a token", reason="waiting", retry_after_s=1)
        if self._not_before > self._clock.monotonic() and self._failure is not None:
            raise self._failure_now()
        if self._budget_free_at() > self._clock.monotonic() and not self._in_flight:
            raise NoToken(f"the exchange budget of credential {self.name} is used up", reason="budget", retry_after_s=1)
        if not self._in_flight:
            self._want(trigger)
        outcome: asyncio.Future[Token] = asyncio.get_running_loop().create_future()
        self._waiting.add(outcome)
        try:
            async with asyncio.timeout(self._wait_s):
                return await outcome
        except TimeoutError:
            detail = f"the token endpoint of credential {self.name} does not answer in time"
            raise NoToken(detail, reason="no_token", retry_after_s=1) from None
        finally:
            self._waiting.discard(outcome)

    def _settle(self, outcome: Token | CredentialError) -> None:
        """Tell everybody who waits."""
        waiting, self._waiting = self._waiting, set()
        if isinstance(outcome, CredentialError):
            self._failure = outcome
        for waiter in waiting:
            if waiter.done():
                continue
            if isinstance(outcome, Token):
                waiter.set_result(outcome)
            else:
                waiter.set_exception(self._failure_now())

    def _failure_now(self) -> CredentialError:
        """Return the last failure, with the time that is left until the next try."""
        failure = self._failure
        assert failure is not None  # noqa: S101  # callers have seen one
        left_s = max(1.0, self._not_before - self._clock.monotonic())
        return type(failure)(failure.detail, reason=failure.reason, retry_after_s=left_s)
