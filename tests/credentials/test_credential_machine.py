"""Whatever happens in whatever order, a credential keeps its promises.

Requests, rejections, refreshes, faults of the token endpoint, keys that come and go, a wall clock
that jumps and stops, a machine that sleeps: Hypothesis puts them in any order, over virtual hours.
`machine_model.py` says what must come of it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sidecar.credentials.credential import LASTING_WAIT_S
from sidecar.credentials.key_in_use import SETTLE_S
from sidecar.credentials.key_watch import PATIENCE_S
from sidecar.credentials.rules import RefreshRules
from sidecar.credentials.token import Token
from sidecar.errors import CredentialError, Overloaded
from sidecar.secret import Secret
from tests.credentials.kept import (
    DOWN,
    GOOD_KEY,
    HANGS,
    REFUSED,
    FakeExchanger,
    FakeKeySource,
    Kept,
    Says,
    keeping,
    settled,
)
from tests.credentials.machine_model import Model
from tests.credentials.virtual_time import VirtualLoop

BUDGET = RefreshRules(budget_count=12, budget_per_s=60)
WAIT_S = 8.0
MOST_WAITING = 20
LONGEST_EXCHANGE_S = 10.0
NEXT_KEY = Secret("next-key")
# Two looks that agree, of which each may take its time.
KEY_TAKEN_S = 2 * (SETTLE_S + PATIENCE_S) + 0.1
# After this long with everything in order there is a token: the longest Retry-After here, the probe, the budget.
ALL_WELL_S = 400.0

LIVES = [0.5, 3.0, 7.0, 20.0, 90.0, 600.0, 3600.0]
ANSWERS = st.one_of(
    st.builds(Says, life_s=st.sampled_from(LIVES), takes_s=st.sampled_from([0.0, 0.01, 2.0, 9.0])),
    st.builds(Says, life_s=st.sampled_from(LIVES), text=st.just("always-the-same")),
    st.sampled_from([DOWN, HANGS, REFUSED]),
    st.sampled_from([Says(fails=RuntimeError("a defect")), Says(fails="bad_response", takes_s=0)]),
    st.builds(Says, fails=st.just("rate_limited"), retry_after_s=st.sampled_from([0.0, 1.0, 17.3, 90.0])),
)


class Credentials(RuleBasedStateMachine):
    """One credential, and everybody who can do something to it."""

    kept: Kept

    @initialize(answer=ANSWERS, watched=st.booleans(), seed=st.integers(0, 9), key=st.sampled_from([GOOD_KEY, None]))
    def begin(self, answer: Says, watched: bool, seed: int, key: Secret | None) -> None:
        """The endpoint, and the key's source, may be in any state at the start."""
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.waiting: set[asyncio.Task[None]] = set()
        self.requests: dict[asyncio.Task[None], float] = {}
        self.old_tokens: list[Token] = []
        self.stands = False
        self.watched = watched
        self.keeper: AbstractAsyncContextManager[Kept] = keeping(
            then=answer,
            rules=BUDGET,
            source=FakeKeySource(key or GOOD_KEY, watched=watched),
            most_waiting=MOST_WAITING,
            wait_s=WAIT_S,
            rng=random.Random(seed).random,
            good_keys=[GOOD_KEY, NEXT_KEY],
        )
        self.kept, self.model = self.do(self.watched_from_the_start())
        if key is None:
            self.put_key(None)
        self.do(settled())

    def teardown(self) -> None:
        """The end comes at any moment, and nobody waits beyond it."""
        if not hasattr(self, "kept"):
            return
        try:
            self.end()
        finally:
            self.runner.close()

    def end(self) -> None:
        """End it, and look at what is left."""
        before_s = self.kept.clock.monotonic()
        self.do(self.keeper.__aexit__(None, None, None))
        self.do(settled())
        assert not self.waiting, "somebody waits beyond the end"
        assert self.kept.clock.monotonic() == before_s, "the end took its time"
        assert self.kept.exchanger.began_within(BUDGET.budget_per_s - 1e-6) <= BUDGET.budget_count

    # What can happen

    @rule(seconds=st.one_of(st.floats(0, 2), st.floats(0, 60), st.floats(0, 700)))
    def time_passes(self, seconds: float) -> None:
        """Look in between, too."""
        for _ in range(10):
            self.do(asyncio.sleep(seconds / 10))
            self.the_token_is_alive()

    @rule(answer=ANSWERS)
    def endpoint_answers(self, answer: Says) -> None:
        """From the next exchange on."""
        self.kept.exchanger.then = answer

    @rule(key=st.sampled_from([GOOD_KEY, Secret("bad-key"), Secret("half"), None]))
    def key_changes(self, key: Secret | None) -> None:
        """It is written, wrong, half-written, or gone."""
        self.put_key(key)

    @rule(key=st.sampled_from([GOOD_KEY, NEXT_KEY]))
    def key_is_rotated(self, key: Secret) -> None:
        """It is taken within two looks, an exchange between them or not; and exchanged when the budget allows."""
        if not self.watched or not self.kept.credential.status().fingerprint:
            return
        was = self.kept.credential.status().fingerprint
        self.put_key(key)
        count, running = self.kept.count, self.kept.exchanger.running
        self.do(asyncio.sleep(KEY_TAKEN_S))
        if self.kept.credential.status().fingerprint != key.fingerprint():
            assert running or self.kept.count > count, "nothing has kept it from looking"
            self.do(asyncio.sleep(2 * LONGEST_EXCHANGE_S))
        assert self.kept.credential.status().fingerprint == key.fingerprint()
        if was == key.fingerprint():
            return
        if self.kept.exchanger.keys[-1:] != [key]:
            assert self.kept.exchanger.running or self.model.budget_is_used_up()
        elif self.kept.exchanger.running and self.kept.exchanger.keys[-2:-1] != [key]:
            assert self.kept.credential.status().error is None, "it is told of the old key"

    @rule(by_s=st.sampled_from([-1e5, -3600.0, -30.0, -1.1, -0.5, 0.5, 30.0, 3600.0, 1e5]))
    def clock_moves(self, by_s: float) -> None:
        """Set back, set forward, or slept."""
        self.kept.clock.move(by_s)
        self.model.clock_was_set(by_s)

    @precondition(lambda self: not self.stands)
    @rule(for_s=st.sampled_from([0.5, 5.0, 300.0, 3600.0, 1e5]), in_an_exchange=st.booleans())
    def machine_sleeps(self, for_s: float, in_an_exchange: bool) -> None:
        """At any moment, and in the middle of an exchange."""
        if in_an_exchange and not self.kept.exchanger.running:
            self.kept.exchanger.then = Says(life_s=600.0, takes_s=2.0)
            self.model.released()
            self.spawn(self.refresh())
            self.do(asyncio.sleep(1))
        self.kept.clock.move(for_s)
        self.model.slept(for_s)

    @rule()
    def clock_stops(self) -> None:
        """It stands still."""
        self.kept.clock.stop()
        self.stands = True
        self.model.clock_was_set(-0.0)

    @rule()
    def clock_goes_on(self) -> None:
        """And goes on."""
        self.kept.clock.go_on()
        self.model.clock_was_set(-0.0)
        self.stands = False

    @rule(count=st.integers(1, 30))
    def requests_come(self, count: int) -> None:
        """They wait for nothing where there is a token."""
        had = self.kept.credential.current()
        before = set(self.waiting)
        self.spawn(*(self.request() for _ in range(count)))
        new = self.waiting - before
        if had is not None and self.kept.credential.current() is had:
            assert not new, "a request waits though there is a token"
        elif had is None and self.kept.credential.status().error is not None:
            assert not new, "a request waits though the last exchange failed"
        self.requests.update(dict.fromkeys(new, self.kept.clock.monotonic()))

    @rule(count=st.integers(1, 3))
    def requests_come_that_will_last(self, count: int) -> None:
        """They have a token, and may wait a moment for a better one."""
        token = self.kept.credential.current()
        if token is not None:
            self.spawn(*(self.lasting_request(token) for _ in range(count)))

    @rule(count=st.integers(1, 30), old=st.booleans())
    def upstream_rejects(self, count: int, old: bool) -> None:
        """The current token, or one of before."""
        tokens = self.old_tokens[:1] if old else self.old_tokens[-1:]
        self.spawn(*(self.rejection(token) for token in tokens for _ in range(count)))

    @rule()
    def upstream_rejects_what_cannot_be_repeated(self) -> None:
        """Nobody waits for the renewal."""
        if self.old_tokens:
            self.kept.credential.renew_after(self.old_tokens[-1])

    @rule(taken=st.booleans())
    def upstream_judges(self, taken: bool) -> None:
        """It takes a token, or gives up on it."""
        if self.old_tokens:
            judge = self.kept.credential.accepted if taken else self.kept.credential.note_rejected
            judge(self.old_tokens[-1])
            if taken:
                self.model.accepted(self.old_tokens[-1])

    @rule(times=st.sampled_from([1, 1, 5, 20]))
    def somebody_asks_for_a_refresh(self, times: int) -> None:
        """An operator, or a script that knows no end."""
        for _ in range(times):
            self.model.released()
            self.spawn(self.refresh())
            self.do(asyncio.sleep(0.1))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def one_leaves(self, data: st.DataObject) -> None:
        """A client disconnects."""
        task = data.draw(st.sampled_from(sorted(self.waiting, key=id)))
        task.cancel()
        self.do(settled())

    @rule(by_s=st.sampled_from([0, 0, -30.0, -3600.0, -1e5]))
    def all_is_well_again(self, by_s: float) -> None:
        """Then there is a token, whatever was before, nothing is wrong any more, and no renewal is missed."""
        self.clock_goes_on()
        self.kept.exchanger.then = Says(life_s=600.0)
        self.put_key(GOOD_KEY)
        if not self.watched and self.kept.credential.status().fingerprint not in ("", GOOD_KEY.fingerprint()):
            return
        self.do(asyncio.sleep(ALL_WELL_S))
        status = self.kept.credential.status()
        assert (status.state, status.usable, status.error, status.remedy) == ("fresh", True, None, None)
        wakes = self.loop.wake_ups
        count = self.kept.count
        self.do(asyncio.sleep(60))
        assert self.loop.wake_ups - wakes <= 65, "it is busy though nothing is due"
        assert self.kept.count <= count + 1, "it renews what is fresh"
        if by_s:
            self.clock_moves(by_s)
            for _ in range(7):
                self.do(asyncio.sleep(100))
                assert self.kept.credential.current() is not None, "a renewal was missed"

    @precondition(lambda self: not self.stands)
    @rule()
    def a_machine_wakes_up_and_all_is_well(self) -> None:
        """Then a request waits for the exchange that is due, whatever failed before it slept; unless the key did."""
        self.do(asyncio.sleep(LONGEST_EXCHANGE_S))
        self.kept.exchanger.then = Says()
        key, status = self.kept.source.key, self.kept.credential.status()
        if key is None or key.fingerprint() != status.fingerprint or status.state == "key_rejected":
            return
        if self.kept.exchanger.running or self.model.budget_is_used_up():
            return
        self.kept.clock.move(1e6)
        self.model.slept(1e6)
        asked = self.loop.create_task(self.kept.credential.wait())
        self.do(asyncio.sleep(0.02))
        assert asked.done() and asked.result() is self.kept.credential.current()

    # What always holds

    @invariant()
    def the_token_is_alive(self) -> None:
        """Awake, it is never used for longer than its life, whatever the wall clock does; nor over a sleep."""
        token = self.kept.credential.current()
        if token is None:
            return
        if not self.old_tokens or self.old_tokens[-1] is not token:
            self.old_tokens.append(token)
        self.model.check_alive(token)

    @invariant()
    def nobody_waits_beside_a_token(self) -> None:
        """But those who came before a clock was set back that has brought it back to life."""
        self.requests = {task: at_s for task, at_s in self.requests.items() if not task.done()}
        if self.kept.credential.current() is not None:
            assert all(at_s <= self.model.set_back_s for at_s in self.requests.values())

    @invariant()
    def nothing_is_exchanged_before_its_time(self) -> None:
        """Retry-After, the probe of a refused key, and the hold-down of a replacement."""
        self.model.check_pace()

    @invariant()
    def exchanges_are_single_and_within_the_budget(self) -> None:
        """Never two at a time, never more than the budget in any window."""
        exchanger: FakeExchanger = self.kept.exchanger
        assert exchanger.most_running <= 1
        recent = exchanger.began_s[-BUDGET.budget_count - 1 :]
        assert len(recent) <= BUDGET.budget_count or recent[-1] - recent[0] >= BUDGET.budget_per_s - 1e-6

    @invariant()
    def the_status_is_true(self) -> None:
        """The state, and whether there is a token, agree; an error comes with a remedy; the task lives."""
        status = self.kept.credential.status()
        assert status.usable == (self.kept.credential.current() is not None)
        if status.state != "key_rejected":
            assert status.usable == (status.state in ("fresh", "stale"))
        assert (status.error is None) == (status.remedy is None)
        assert status.consecutive_failures == 0 or status.last_exchange is not None
        assert not self.kept.task.done()

    @invariant()
    def the_crowd_is_bounded(self) -> None:
        """Of those who wait."""
        assert len(self.waiting) <= MOST_WAITING

    # Those who do it

    async def watched_from_the_start(self) -> tuple[Kept, Model]:
        """Begin; its task has not run yet when the model is there."""
        kept = await self.keeper.__aenter__()
        return kept, Model(kept, BUDGET)

    async def request(self) -> None:
        """Get a token that is alive, or an error with a time, within the limit."""
        began_s = self.kept.clock.monotonic()
        try:
            token = await self.kept.credential.wait()
        except (CredentialError, Overloaded) as error:
            assert error.retry_after_s is not None
            assert error.retry_after_s > 0
        else:
            assert self.kept.clock.wall() < token.expires_at
        assert self.kept.clock.monotonic() - began_s <= WAIT_S + 1e-6

    async def lasting_request(self, token: Token) -> None:
        """Get a token that is alive, soon; the old one at the latest then, while that is."""
        began_s = self.kept.clock.monotonic()
        fresh = self.kept.credential.status().state == "fresh"
        try:
            got = await self.kept.credential.lasting(token)
        except (CredentialError, Overloaded) as error:
            assert error.retry_after_s is not None
            assert self.kept.credential.current() is None
            return
        took_s = self.kept.clock.monotonic() - began_s
        assert self.kept.credential.current() is not None
        assert took_s <= LASTING_WAIT_S + (0 if got is token else WAIT_S) + 1e-6
        assert not fresh or (got is token and took_s == 0)

    async def rejection(self, rejected: Token) -> None:
        """Get another token, or none; never the same bytes; and never an error."""
        began_s = self.kept.clock.monotonic()
        token = await self.kept.credential.replacement(rejected)
        assert token is None or token.secret != rejected.secret
        assert self.kept.clock.monotonic() - began_s <= WAIT_S + 1e-6

    async def refresh(self) -> None:
        """Get an exchange, or an error of the credential."""
        try:
            await self.kept.credential.refresh()
        except CredentialError as error:
            assert error.detail

    def put_key(self, key: Secret | None) -> None:
        """Put it into its place."""
        self.kept.source.key = key
        self.model.key_was_put()

    @property
    def loop(self) -> VirtualLoop:
        """The loop of this run."""
        loop = self.runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        return loop

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run it to its end; look at those who were waiting and are done."""
        outcome = self.loop.run_until_complete(work)
        for task in [task for task in self.waiting if task.done()]:
            self.waiting.discard(task)
            if not task.cancelled():
                task.result()
        return outcome

    def spawn(self, *work: Coroutine[Any, Any, None]) -> None:
        """Begin it, without waiting for it."""
        self.waiting.update(self.loop.create_task(each) for each in work)
        self.do(settled())


Credentials.TestCase.settings = settings(
    max_examples=50,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
# Hypothesis needs its time to find the shortest way to a failure.
TestCredentials = pytest.mark.timeout(400)(Credentials.TestCase)
