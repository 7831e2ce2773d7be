"""Durations, sizes and rates are what they say, and nothing else is one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.units import (
    Unfit,
    parse_duration,
    parse_positive_duration,
    parse_positive_size,
    parse_rate,
    parse_size,
)

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_BYTES = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@given(st.integers(0, 8760), st.sampled_from(sorted(_SECONDS)))
def test_a_duration_is_its_number_times_its_unit(number: int, unit: str) -> None:
    """Every whole number with a unit comes back as that many seconds."""
    assert parse_duration(f"{number}{unit}") == pytest.approx(number * _SECONDS[unit])


@given(st.integers(0, 999_999))
def test_milliseconds_are_exact(number: int) -> None:
    """A duration in ms and the same in seconds are one number, not nearly one."""
    assert parse_duration(f"{number}ms") == parse_duration(f"{number / 1000:.3f}s") == number / 1000


@given(st.integers(0, 1024), st.sampled_from(sorted(_BYTES)))
def test_a_size_is_its_number_times_its_unit(number: int, unit: str) -> None:
    """Every whole number with a unit comes back as that many bytes."""
    assert parse_size(f"{number}{unit}") == number * _BYTES[unit]


@given(st.integers(1, 999_999), st.integers(1, 8760), st.sampled_from(sorted(_SECONDS)))
def test_a_rate_is_a_count_and_its_seconds(count: int, number: int, unit: str) -> None:
    """Both halves of a rate come back as they are by themselves."""
    assert parse_rate(f"{count}/{number}{unit}") == (count, parse_duration(f"{number}{unit}"))


def test_a_bare_zero_needs_no_unit() -> None:
    """Nothing is nothing in every unit."""
    assert parse_duration("0") == 0.0
    assert parse_size("0") == 0


@pytest.mark.parametrize(
    "text", ["", "10", "1d", "-1s", "1 s", "s", "1h30m", "1e3s", "٣s", "1S", ".5s", "8761h", "9999999999s"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """A bare number, another unit, a sign, a space, a foreign digit or more than a year is no duration."""
    with pytest.raises(Unfit):
        parse_duration(text)


@pytest.mark.parametrize("text", ["", "10", "1MB", "1.5MiB", "-1KiB", "1 KiB", "1kib", "1025GiB", "٣KiB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """A bare number, a decimal unit, a fraction or more than a terabyte is no size."""
    with pytest.raises(Unfit):
        parse_size(text)


@pytest.mark.parametrize("text", ["", "12", "0/1m", "12/0", "12/m", "12/1m/1m", "1.5/1m", "-1/1m", "12/10"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    """A rate has a count and a duration, neither of them 0."""
    with pytest.raises(Unfit):
        parse_rate(text)


def test_where_zero_makes_no_sense_it_is_refused() -> None:
    """A time-out of no time and a head of no bytes are slips."""
    for parse in (parse_positive_duration, parse_positive_size):
        with pytest.raises(Unfit):
            parse("0")


@given(st.text(max_size=12))
def test_no_text_breaks_a_unit_or_is_repeated_by_it(text: str) -> None:
    """Any text is a value or unfit; what unfit says does not depend on the text."""
    said = set()
    for parse in (parse_duration, parse_size, parse_rate):
        try:
            parse(text)
        except Unfit as unfit:
            said.add(str(unfit))
    assert all(line.startswith("expected a ") for line in said)
