"""Faults on demand: what the next requests meet instead of a proper answer.

Not the faults' effects: those are in `answers.py`, `token_endpoint.py` and `api.py`. The rule: a
request meets at most one delay and one other fault, the oldest of each, and
counts both down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Literal

Place = Literal["token", "api"]

KINDS: Mapping[Place, tuple[str, ...]] = {
    "token": (
        "revoked_key", "forbidden", "rate_limited", "server_error", "slow", "down",
        "html200", "truncated", "empty", "no_token", "already_expired", "redirect",
    ),
    "api": ("unauthorized", "forbidden", "rate_limited", "server_error", "slow", "down"),
}  # fmt: skip
_LONGEST_S = 600.0


class WrongFault(ValueError):
    """What was asked for is not a fault; the text says what would be."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Args:
        on: which requests meet it.
        kind: one of `KINDS[on]`.
        count: how many requests; None until cleared.
        delay_s: how long `slow` waits before the request goes on, 0 to 600 s.
        retry_after_s: the Retry-After of `rate_limited`, 0 to 600 s.
    """

    on: Place
    kind: str
    count: int | None = None
    delay_s: float = 1.0
    retry_after_s: int = 1


class Faults:
    """The faults that are set."""

    def __init__(self) -> None:
        self._active: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Set one more fault."""
        self._active.append(fault)

    def clear(self) -> None:
        """Unset all."""
        self._active.clear()

    def take(self, place: Place) -> tuple[Fault, ...]:
        """Return what a request at this place meets, the delay first, and count it down."""
        here = [fault for fault in self._active if fault.on == place]
        delay = next((fault for fault in here if fault.kind == "slow"), None)
        other = next((fault for fault in here if fault.kind != "slow"), None)
        met = tuple(fault for fault in (delay, other) if fault is not None)
        for fault in met:
            self._count_down(fault)
        return met

    def snapshot(self) -> list[dict[str, object]]:
        """Return the faults that are set, as JSON values."""
        return [asdict(fault) for fault in self._active]

    def _count_down(self, fault: Fault) -> None:
        if fault.count is None:
            return
        place = self._active.index(fault)
        left = fault.count - 1
        self._active[place : place + 1] = [replace(fault, count=left)] if left else []


def read_fault(wish: Mapping[str, object]) -> Fault:
    """Return the fault that a JSON object asks for.

    Args:
        wish: `on` and `fault`, and where wanted `count`, `delay_s`, `retry_after_s`.

    Raises:
        WrongFault: anything else, or a value out of its range.
    """
    known = {"on", "fault", "count", "delay_s", "retry_after_s"}
    if unknown := sorted(set(wish) - known):
        raise WrongFault(f"unknown: {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    place, kind = wish.get("on"), wish.get("fault")
    if place not in ("token", "api"):
        raise WrongFault('"on" must be "token" or "api"')
    on: Place = "token" if place == "token" else "api"
    if kind not in KINDS[on]:
        raise WrongFault(f'"fault" on "{on}" must be one of {", ".join(KINDS[on])}')
    count = wish.get("count")
    return Fault(
        on,
        str(kind),
        count=None if count is None else int(read_number(wish, "count", 1, 1, 1_000_000, whole=True)),
        delay_s=read_number(wish, "delay_s", 1.0, 0, _LONGEST_S),
        retry_after_s=int(read_number(wish, "retry_after_s", 1, 0, _LONGEST_S, whole=True)),
    )


def read_number(
    wish: Mapping[str, object], name: str, default: float, least: float, most: float, *, whole: bool = False
) -> float:
    """Return the number under that name, or the default where there is none.

    Raises:
        WrongFault: not a number, not whole where it must be, or not from least to most.
    """
    value = wish.get(name, default)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not least <= float(str(value)) <= most or (whole and not isinstance(value, int)):
        raise WrongFault(f'"{name}" must be a {"whole " if whole else ""}number from {least:g} to {most:g}')
    return float(str(value))
