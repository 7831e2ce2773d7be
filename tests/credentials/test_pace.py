"""The arithmetic of what holds an exchange back."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.credentials.pace import LAST_TRY_S, MOST_RETRY_AFTER_S, PROBE_FIRST_S, PROBE_MOST_S, Pace
from sidecar.credentials.rules import RefreshRules

SHARES = st.floats(0, 1, exclude_max=True)
TIMES = st.floats(0, 1e6)
RETRY_AFTERS = st.none() | st.floats(0, 1e9)


@given(st.integers(1, 20), st.floats(0.1, 1e4), st.lists(st.floats(0, 1e4), max_size=60))
def test_the_budget_holds_in_every_window(count: int, per_s: float, pauses: list[float]) -> None:
    """Whoever begins whenever it is free, after any pause, never begins more often."""
    pace = Pace(RefreshRules(budget_count=count, budget_per_s=per_s), lambda: 0.5)
    now, began = 0.0, list[float]()
    for pause in pauses:
        now = max(now + pause, pace.free_at())
        pace.began(now)
        began.append(now)
    assert all(later - start >= per_s * (1 - 1e-9) for start, later in zip(began, began[count:], strict=False))


@given(st.integers(1, 20), st.floats(0, 1e6))
def test_a_budget_that_is_not_used_up_holds_nothing_back(count: int, now: float) -> None:
    """Nor does anything else at the start."""
    pace = Pace(RefreshRules(budget_count=count), lambda: 0.5)
    for _ in range(count):
        assert pace.free_at() == pace.free_at(renewal=True) == -math.inf
        pace.began(now)


@given(st.lists(st.tuples(SHARES, RETRY_AFTERS), min_size=1, max_size=80), TIMES)
def test_no_wait_is_longer_than_it_may_be(failures: list[tuple[float, float | None]], now: float) -> None:
    """The back-off ends at `most`, Retry-After at an hour and within a second; never earlier than it asks."""
    shares = iter([share for share, _ in failures])
    pace = Pace(RefreshRules(budget_count=1000), shares.__next__)
    for _, retry_after_s in failures:
        wait_s = pace.failed(now, retry_after_s, left_s=0)
        assert 0 <= wait_s < max(30.0, min(retry_after_s or 0.0, MOST_RETRY_AFTER_S)) + 1
        assert retry_after_s is not None or wait_s <= 30
        assert wait_s >= min(retry_after_s or 0.0, MOST_RETRY_AFTER_S)
        assert pace.free_at() == now + wait_s


@given(st.integers(1, 40), SHARES)
def test_the_ceiling_doubles_with_each_failure(failures: int, share: float) -> None:
    """From `first`; the share is of the ceiling, and is cut at `most`."""
    pace = Pace(RefreshRules(), lambda: share)
    for number in range(failures):
        assert pace.failed(0, None, left_s=0) == min(2.0 ** min(number, 30) * share, 30)


@given(st.integers(1, 20), SHARES, st.floats(-100, 100))
def test_there_is_a_try_before_the_expiry(failures: int, share: float, left_s: float) -> None:
    """Where the wait would go past it and there is time for one; Retry-After goes before it."""
    pace, without = Pace(RefreshRules(), lambda: share), Pace(RefreshRules(), lambda: share)
    for _ in range(failures):
        wait_s, usual_s = pace.failed(0, None, left_s), without.failed(0, None, left_s=0)
        if left_s > LAST_TRY_S:
            assert wait_s == min(usual_s, left_s - LAST_TRY_S)
        else:
            assert wait_s == usual_s
    assert 1000 <= pace.failed(0, 1000, left_s) < 1001


@given(st.integers(1, 50), RETRY_AFTERS)
def test_a_probe_is_never_soon(refusals: int, retry_after_s: float | None) -> None:
    """At least a minute, growing, at most five, or as long as the endpoint asks."""
    pace = Pace(RefreshRules(), lambda: 0.0)
    waits = [pace.refused(0, retry_after_s) for _ in range(refusals)]
    least_s = min(retry_after_s or 0.0, MOST_RETRY_AFTER_S)
    assert waits[0] == max(PROBE_FIRST_S, least_s)
    assert waits == sorted(waits)
    assert waits[-1] <= max(PROBE_MOST_S, least_s)


@given(st.floats(0.1, 1000))
def test_only_short_lived_tokens_are_spread(renewal_in_s: float) -> None:
    """Only their renewals; somebody who asks need not wait for it."""
    pace = Pace(RefreshRules(budget_count=12, budget_per_s=60), lambda: 0.5)
    pace.began(100)
    pace.succeeded(renewal_in_s)
    assert pace.free_at() == -math.inf
    assert pace.free_at(renewal=True) == (105 if renewal_in_s < 5 else -math.inf)
    pace.release()
    assert pace.free_at(renewal=True) == -math.inf


@pytest.mark.parametrize("forget", [Pace.start_over, lambda pace: pace.succeeded(1000)])
def test_a_success_or_another_key_forgets_failures_but_not_the_budget(forget: object) -> None:
    """The next failure is the first again."""
    pace = Pace(RefreshRules(budget_count=1), lambda: 1.0 - 1e-9)
    pace.began(0)
    for _ in range(5):
        pace.failed(0, None, left_s=0)
        pace.refused(0, None)
    forget(pace)  # type: ignore[operator]
    assert pace.free_at() == 60
    assert pace.failed(0, None, left_s=0) <= 1
    assert pace.refused(0, None) == PROBE_FIRST_S


def test_time_slept_counts_as_waited() -> None:
    """For the back-off; the budget does not know."""
    pace = Pace(RefreshRules(budget_count=2), lambda: 0.0)
    pace.began(0)
    pace.failed(0, 1000, left_s=0)
    pace.slept(990)
    assert pace.free_at() == 10
    pace.succeeded(renewal_in_s=1)
    assert pace.free_at(renewal=True) == 30
    pace.slept(20)
    assert pace.free_at(renewal=True) == 10
    pace.began(10)
    pace.slept(1e6)
    assert pace.free_at() == 60
