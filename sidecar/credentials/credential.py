"""A credential: one API key, its current token, and everything that happens to them.

States

    empty ──exchange──> fresh ──time──> stale ──time──> expired
                          ^               │                │
                          └───exchange────┴────exchange────┘
    key_rejected: beside them, from the moment the token endpoint refuses the key until
    an exchange succeeds or there is another key. A valid token goes on being used.

    empty         no token yet              requests wait for the first exchange
    fresh         outside the window        requests take the token at once
    stale         inside the window         requests take the token at once; one exchange runs behind them
    expired       past its expiry           requests wait for the exchange
    key_rejected  the endpoint said no      no exchange but a slow probe, or when the key's source changes

    Where there is no valid token and the last exchange failed, no request waits:
    it is told at once why there is none, and when the next try is.

One task does it all. `run` sleeps until something is due, makes one exchange, takes in its outcome,
and goes on. That is the single flight: there is no other place that exchanges, so there are never two
at a time, and no request owns the one that runs: a client that leaves cancels its own waiting only.

What makes an exchange due: a new key; a request that found no valid token; a
rejection of the current token; somebody's `refresh()`; the token's refresh
time. What was due and failed stays due until it succeeds. `pace.py` says what
holds back an exchange that is due.

A rejection is tied to its token. If the rejected token is no longer the
current one, the current one is the replacement, without any exchange.
`verdicts.py` says which rejections are worth one.

Expiry is wall-clock time, and the two clocks are compared at least every
`CLOCK_CHECK_S`. Where the machine slept, or the clock was set forward, the
token has aged as the wall clock says, and back-off has been waited for. Where
the clock was set back, the token's expiry moves with it, and ends in any case
when its life is over (`token_in_use.py`). Back-off, budget and waiting use the
monotonic clock.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from sidecar.clock import Clock
from sidecar.credentials.clock_moves import ClockMoves
from sidecar.credentials.history import History, Watcher
from sidecar.credentials.key_in_use import KeyInUse
from sidecar.credentials.keys import KeySource
from sidecar.credentials.last_failure import LastFailure
from sidecar.credentials.pace import Pace
from sidecar.credentials.rules import RefreshRules
from sidecar.credentials.status import CredentialStatus, Trigger
from sidecar.credentials.token import Token
from sidecar.credentials.token_in_use import TokenInUse, check_age
from sidecar.credentials.verdicts import Verdicts, same
from sidecar.credentials.waiters import Waiters, anew
from sidecar.errors import CredentialError, ExchangeFailed, KeyUnavailable, NoToken, Overloaded
from sidecar.secret import Secret

# How long the task may sleep without looking at the wall clock.
CLOCK_CHECK_S = 15.0
# The task never sleeps for less: a wall clock that stands still just before the refresh time would keep it busy.
LEAST_PAUSE_S = 0.005
# How long a request that will last waits for a token that will last as well.
LASTING_WAIT_S = 2.0

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
        self._exchanger = exchanger
        self._rules = rules
        self._clock = clock
        self._clock_moves = ClockMoves(clock)
        self._wait_s = wait_s
        self._rng = rng
        # The key and the token
        self._changed = asyncio.Event()
        self._key = KeyInUse(name, source, clock, self._changed.set)
        self._in_use = TokenInUse(clock, rules.window_s)
        # Returns the token if it is still valid. A call in between would be paid for by every request.
        self.current = self._in_use.current
        self._verdicts = Verdicts(rules.hold_down_s, clock)
        # What is wanted of the task
        self._wanted: Trigger | None = "start"
        self._waiters = Waiters(most_waiting)
        self._pace = Pace(rules, rng)
        self._in_flight = False
        self._makes: Trigger | None = None
        self._stopped: NoToken | None = None
        self._heir: Credential | None = None  # has taken its place: knows the tokens that come from now on
        # What happened
        self._failure = LastFailure(name)
        self._history = History(clock, watcher)

    # For the request path

    async def wait(self) -> Token:
        """Wait for a token where there is none; the exchange goes on without whoever leaves.

        Raises:
            NoToken: the endpoint fails, or does not answer in time; says when to try again.
            KeyRejected: the key is bad.
            Overloaded: too many requests are waiting.
        """
        self._notice_clock()
        token = self.current()
        if token is not None:
            return token
        if self._failure.error is not None:
            raise self._failure_now()
        return await self._next_token("expiry")

    async def lasting(self, token: Token) -> Token:
        """Return a token outside the refresh window where one can be had soon, for a request that will last.

        Args:
            token: the current one, which it gets otherwise.

        Raises:
            CredentialError: `token` expired meanwhile, and there is no other.
        """
        if self._failure.error is not None or self._clock.wall() < self._in_use.refresh_at:
            return token
        if self._in_flight or self._held_back_s("expiry") < LASTING_WAIT_S:
            with suppress(CredentialError, Overloaded, TimeoutError):
                async with asyncio.timeout(LASTING_WAIT_S):
                    return await self._next_token("expiry")
        return await self.wait()

    async def replacement(self, rejected: Token, *, taken_there: bool = False) -> Token | None:
        """Return the token to try after a rejection, or None where exchanging again does not help.

        Args:
            rejected: the token that the upstream did not take.
            taken_there: the same route took it before, so it was revoked since, whatever other routes say of it.
        """
        if self._heir is not None:
            return await self._heir.replacement(rejected, taken_there=taken_there)
        token = self.current()
        if token is not None and not same(token, rejected):
            return token
        coming = self._in_flight or self._wanted is not None
        if not coming and not self._verdicts.worth_an_exchange(rejected, taken_there=taken_there):
            return None
        try:
            token = await self._next_token("rejection")
        except (CredentialError, Overloaded):
            return None
        if same(token, rejected):
            self._verdicts.irreplaceable(rejected)
            self._key.ask_again()  # it may be the token itself
            return None
        return token

    def may_be_replaced(self, rejected: Token, *, taken_there: bool) -> bool:
        """Whether a rejection of this token may be mended though exchanging has just not helped.

        It was taken there before, so it was revoked since; or it is an old one, and nothing speaks against the
        current one. `taken_there` is as for `replacement`.
        """
        token = self.current()
        if token is not None and not same(token, rejected):
            return not self._verdicts.is_hopeless(token)
        return taken_there and self._verdicts.is_proven(rejected)

    def renew_after(self, rejected: Token, *, taken_there: bool = False) -> None:
        """Have the next request find a new token; nobody waits for it. `taken_there` is as for `replacement`."""
        if self._heir is not None:
            self._heir.renew_after(rejected, taken_there=taken_there)
        elif same(self._in_use.token, rejected) and self._verdicts.worth_an_exchange(rejected, taken_there=taken_there):
            self._want("rejection")

    def accepted(self, token: Token) -> None:
        """The upstream took this token."""
        if token is self._in_use.token:
            self._verdicts.accepted(token)

    def note_rejected(self, token: Token) -> None:
        """The upstream did not take this token, and exchanging again does not help."""
        self._verdicts.hopeless(token)

    def is_expired(self, token: Token) -> bool:
        """Whether this token is past its expiry."""
        return self._clock.wall() >= token.expires_at

    # For operators

    async def refresh(self) -> None:
        """Make an exchange as soon as the budget allows, whatever else holds it back, or join the one that runs.

        Raises:
            CredentialError: it brought no token.
        """
        self._pace.release()
        self._key.wanted_now()
        try:
            await self._next_token("manual")
        except Overloaded as error:
            raise NoToken(error.detail, reason=error.reason, retry_after_s=error.retry_after_s) from None

    def status(self) -> CredentialStatus:
        """Return what there is to know, without a secret."""
        failure, token = self._failure.error, self._in_use.token
        return CredentialStatus(
            name=self.name,
            state="key_rejected" if self._failure.key_rejected else self._in_use.state(),
            usable=self.current() is not None,
            source=self._key.source,
            fingerprint=self._key.fingerprint,
            obtained_at=token.obtained_at if token is not None else None,
            expires_at=self._in_use.expires_at if math.isfinite(self._in_use.expires_at) else None,
            next_refresh_at=self._next_refresh_at(),
            consecutive_failures=self._history.failures,
            last_exchange=self._history.last,
            recent=self._history.recent,
            error=self._failure.what,
            remedy=failure.remedy if failure is not None else None,
            hopeless_for_s=self._verdicts.hopeless_for_s(self.current()),
        )

    def _next_refresh_at(self) -> float | None:
        """When the next exchange begins, in wall-clock seconds: what is due may still be held back."""
        now = self._clock.wall()
        due_at = now if self._wanted is not None else self._in_use.refresh_at
        if due_at == math.inf or self._key.secret is None:
            return None
        return max(due_at, now + self._held_back_s(self._wanted or "expiry"))

    # The one task

    async def run(self) -> None:
        """Keep the token fresh until cancelled. From then on nobody waits: there is nothing to wait for."""
        try:
            if self._key.secret is None:
                await self._key.first(self._has_no_key)
                self._failure.forget()
            while True:
                await self._exchange_once(await self._due())
        finally:
            self._stopped = NoToken(f"credential {self.name} is not kept any more", reason="stopping", retry_after_s=1)
            self._waiters.tell(self._stopped)
            self._in_use.close()
            await self._key.close()

    def _has_no_key(self, problem: str) -> None:
        self._waiters.tell(self._failure.no_key(problem, self._key.remedy))

    async def _due(self) -> Trigger:
        """Sleep until an exchange is due and nothing holds it back, and return what made it due."""
        while True:
            if await self._key.changed():
                self._want_new_key()
            self._notice_clock()
            trigger = None if self._wanted == "manual" and self._key.is_asked else self._wanted
            if trigger is None and self._clock.wall() >= self._in_use.refresh_at:
                trigger = "expiry"
            if trigger is None:
                pause_s = self._in_use.refresh_at - self._clock.wall()
            else:
                pause_s = self._held_back_s(trigger)
                if pause_s <= 0:
                    return trigger
            await self._sleep(pause_s)

    def _held_back_s(self, trigger: Trigger) -> float:
        """How long it is until an exchange may begin; not positive: it may."""
        return self._pace.free_at(renewal=trigger == "expiry") - self._clock.monotonic()

    async def _sleep(self, pause_s: float) -> None:
        """Sleep until something may have become due: so long, or until something is wanted, or the next look."""
        pause_s = max(LEAST_PAUSE_S, min(pause_s, self._key.next_look_s(), CLOCK_CHECK_S))
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._changed.wait()

    def _want_new_key(self) -> None:
        """Have the new key exchanged at once: what held the old one back was about the old one."""
        self._failure.forget()
        self._pace.start_over()
        self._wanted = "key_change"

    def _notice_clock(self) -> None:
        """Have the token age right where the wall clock has moved by itself."""
        moved_s = self._clock_moves.since_last_s()
        if moved_s < 0:
            _log.warning("credential %s: the clock was set back by %.0f s", self.name, -moved_s)
            self._in_use.set_back(-moved_s)
        elif moved_s > 0:
            self._pace.slept(moved_s)
            self._key.slept(moved_s)
            if self._key.secret is not None:
                # Let requests wait for the exchange that is due.
                self._failure.excuse()

    async def _exchange_once(self, trigger: Trigger) -> None:
        """Make one exchange and take in its outcome."""
        assert self._key.secret is not None  # noqa: S101  # run() has waited for it
        started_s = self._clock.monotonic()
        self._pace.began(started_s)
        self._in_flight, self._makes = True, trigger
        self._wanted = None
        moves = ClockMoves(self._clock)
        try:
            token = await self._exchanger.exchange(self._key.secret)
            moved_s = moves.since_last_s()
            check_age(token, self._clock.wall(), moved_s)
        except KeyUnavailable as error:
            await self._failed(ExchangeFailed("key_rejected", str(error)), trigger, started_s)
        except ExchangeFailed as error:
            await self._failed(error, trigger, started_s)
        except Exception as error:
            # A defect, which the task must outlive. The type alone: its text could hold anything.
            broke = f"the exchange broke ({type(error).__name__})"
            await self._failed(ExchangeFailed("bad_response", broke, cause="defect"), trigger, started_s)
        else:
            self._succeeded(token, trigger, started_s, moved_s)
        finally:
            self._in_flight = False

    def _succeeded(self, token: Token, trigger: Trigger, started_s: float, moved_s: float) -> None:
        if self._history.failures:
            _log.info("credential %s: exchanges succeed again", self.name)
        self._key.proved()
        self._history.add(trigger, "ok", "", started_s)
        self._notice_clock()
        self._in_use.take(token, self._rng(), moved_s)
        renewal_in_s = self._in_use.refresh_at - self._clock.wall()
        self._pace.succeeded(renewal_in_s)
        _log.debug("credential %s: to be renewed in %.1f s", self.name, renewal_in_s)
        if trigger == "rejection":
            self._verdicts.replaced(token)
        self._failure.forget()
        self._waiters.tell(token)

    async def _failed(self, error: ExchangeFailed, trigger: Trigger, started_s: float) -> None:
        """Take in a failure: the exchange stays due. A key once refused is probed slowly, whatever else fails."""
        self._history.add(trigger, error.outcome, error.detail, started_s)
        if error.outcome == "key_rejected" and await self._key.replaced(patient=not self._failure.key_rejected):
            self._want_new_key()
            return
        self._notice_clock()  # what was slept before is not waited for what is asked for now
        self._wanted = trigger
        now_s, left_s = self._clock.monotonic(), self._in_use.left_s
        if self._failure.key_rejected or error.outcome == "key_rejected":
            wait_s = self._pace.refused(now_s, error.retry_after_s)
        else:
            wait_s = self._pace.failed(now_s, error.retry_after_s, left_s)
        self._waiters.tell(self._failure.note(error, self._key.remedy, wait_s=wait_s, left_s=left_s))

    def _want(self, trigger: Trigger) -> None:
        """Have the task make an exchange as soon as it may; the one that runs will do."""
        if self._in_flight:
            return
        if self._wanted is None or trigger == "manual":
            self._wanted = trigger
        self._changed.set()

    async def _next_token(self, trigger: Trigger) -> Token:
        """Wait for the outcome of the exchange that runs, or else of the next one, if that may begin in time."""
        if self._stopped is not None:
            raise anew(self._stopped, retry_after_s=1)
        if not self._in_flight:
            self._raise_if_held_back(trigger)
        self._want(trigger)
        try:
            return await self._waiters.token(self._wait_s)
        except TimeoutError:
            detail = f"the token endpoint of credential {self.name} does not answer in time"
            raise NoToken(detail, reason="no_token", retry_after_s=1) from None

    def _raise_if_held_back(self, trigger: Trigger) -> None:
        """Raise where the exchange will not begin in time. Only who has no token at all waits for the budget."""
        hold_s = self._held_back_s(trigger)
        if self._failure.error is not None and (hold_s > 0 or self._key.secret is None):
            raise self._failure_now()
        if hold_s > (self._wait_s if trigger == "expiry" else 0.0):
            detail = f"the exchange budget of credential {self.name} is used up"
            raise NoToken(detail, reason="budget", retry_after_s=hold_s)

    def _failure_now(self) -> CredentialError:
        """Return the last failure, with the time that is left until the next try."""
        assert self._failure.error is not None  # noqa: S101  # callers have seen one
        return anew(self._failure.error, max(1.0, self._held_back_s("expiry")))
