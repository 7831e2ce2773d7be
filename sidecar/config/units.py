"""Durations, sizes and rates as people write them. Pure functions; no other form is understood."""

from __future__ import annotations

import re

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h)", re.ASCII)
_SIZE = re.compile(r"(\d{1,9})(KiB|MiB|GiB)", re.ASCII)
_RATE = re.compile(r"(\d{1,6})/(.+)", re.ASCII)
_BYTES = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
# Longer is a slip of the pen: a year fits every use here, and no timer overflows.
_LONGEST_S = 365 * 24 * 3600.0


class Unfit(ValueError):
    """A text that does not fit. The message says what was expected and never repeats the text."""


def parse_duration(text: str) -> float:
    """Return seconds, from a number with `ms`, `s`, `m` or `h`; a bare `0` is no time.

    Raises:
        Unfit: it is something else, or longer than a year.
    """
    if text == "0":
        return 0.0
    found = _DURATION.fullmatch(text)
    if found is None:
        raise Unfit("expected a duration such as 250ms, 10s, 5m or 1h")
    number, unit = float(found[1]), found[2]
    # A division keeps 250ms at exactly a quarter; 0.001 has no exact form.
    seconds = number / 1000 if unit == "ms" else number * {"s": 1, "m": 60, "h": 3600}[unit]
    if seconds > _LONGEST_S:
        raise Unfit("expected a duration of at most a year (8760h)")
    return seconds


def parse_positive_duration(text: str) -> float:
    """Return seconds, more than 0. Raises Unfit."""
    seconds = parse_duration(text)
    if seconds <= 0:
        raise Unfit("expected a duration longer than 0, such as 10s")
    return seconds


def parse_size(text: str) -> int:
    """Return bytes, from a whole number with `KiB`, `MiB` or `GiB`; a bare `0` is nothing.

    Raises:
        Unfit: it is something else, or more than 1024 GiB.
    """
    if text == "0":
        return 0
    found = _SIZE.fullmatch(text)
    if found is None:
        raise Unfit("expected a size such as 64KiB, 1MiB or 2GiB")
    size = int(found[1]) * _BYTES[found[2]]
    if size > 1024 * _BYTES["GiB"]:
        raise Unfit("expected a size of at most 1024GiB")
    return size


def parse_positive_size(text: str) -> int:
    """Return bytes, at least one. Raises Unfit."""
    size = parse_size(text)
    if size < 1:
        raise Unfit("expected a size of more than 0, such as 64KiB")
    return size


def parse_rate(text: str) -> tuple[int, float]:
    """Return a count and the seconds in which it may happen, from `12/1m`.

    Raises:
        Unfit: it is something else, or either is 0.
    """
    found = _RATE.fullmatch(text)
    if found is None or int(found[1]) < 1:
        raise Unfit("expected a rate such as 12/1m: how many, and in how long")
    try:
        return int(found[1]), parse_positive_duration(found[2])
    except Unfit:
        raise Unfit("expected a rate such as 12/1m: how many, and in how long") from None
