"""The status on a terminal or in a pipe: once, or again and again until somebody has seen enough.

On a terminal a watch has the screen for itself, and gives it back as it was, with the last it saw below; elsewhere each
look is written after the one before.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

from sidecar.ask import Unanswered, told
from sidecar.status.screen import draw
from sidecar.status.style import Style

TYPE_CHECKING = False  # typing itself takes 10 ms to import
if TYPE_CHECKING:
    from typing import TextIO

    from sidecar.ask import Admin

# A screen of its own, without a cursor; and back.
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _TO_LINE_END, _TO_SCREEN_END = "\x1b[H", "\x1b[K", "\x1b[J"


class Look:
    """What one look has brought: lines, and whether anybody answered."""

    __slots__ = ("answered", "lines")

    def __init__(self, lines: list[str], *, answered: bool) -> None:
        self.lines = lines
        self.answered = answered


def look(admin: Admin, style: Style, *, raw: bool, one_line: bool = False) -> Look:
    """Ask once.

    Args:
        admin: whom.
        style: how to draw it.
        raw: the JSON instead of a screen.
        one_line: the JSON in one line.
    """
    try:
        status, body = told(admin)
        if raw:
            return Look([_compact(status) if one_line else body], answered=True)
        page = "" if admin.path else f"http://{admin}/"
        return Look(draw(status, style, page), answered=True)
    except Unanswered as problem:
        return Look([str(problem)], answered=False)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
        return Look([f"{admin} is a sidecar of another version; see its status with --json."], answered=False)


def once(admin: Admin, style: Style, *, raw: bool) -> int:
    """Show it once; return the exit code: 0 if it answered, else 1."""
    found = look(admin, style, raw=raw)
    print("\n".join(found.lines), file=sys.stdout if found.answered else sys.stderr)
    return 0 if found.answered else 1


def watch(admin: Admin, styles: Callable[[], Style], every_s: float, *, raw: bool, screen: bool) -> int:
    """Show it again and again, until Ctrl-C or SIGTERM; a sidecar that does not answer is waited for.

    Args:
        admin: whom to ask.
        styles: returns how to draw now; a terminal may change its size.
        every_s: the pause between two looks.
        raw: the JSON, one line a look.
        screen: redraw a terminal, instead of writing one look after the other.

    Returns:
        Exit code: 0.
    """
    import signal

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    found = Look([], answered=False)
    try:
        if screen:
            _write(_ENTER)
        while True:
            found = look(admin, styles(), raw=raw, one_line=True)
            _write(_redrawn(found, every_s) if screen else _after(found, raw))
            time.sleep(every_s)
    except KeyboardInterrupt:
        return 0
    finally:
        if screen:
            _write(_LEAVE + "".join(f"{line}\n" for line in found.lines))


def columns(stream: TextIO) -> int:
    """Return how wide a terminal is; 80 where that is not told, as in a pipe."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def _redrawn(found: Look, every_s: float) -> str:
    """Return what draws over the look before, without a moment in which the screen is empty."""
    most = _lines() - 1
    lines = found.lines if len(found.lines) <= most else [*found.lines[: most - 1], "(more below: make it higher)"]
    footer = f"every {every_s:g} s; Ctrl-C ends"
    return _HOME + "".join(f"{line}{_TO_LINE_END}\r\n" for line in lines) + footer + _TO_LINE_END + _TO_SCREEN_END


def _after(found: Look, raw: bool) -> str:
    return "\n".join(found.lines) + ("\n" if raw else "\n\n")


def _lines() -> int:
    try:
        return max(3, os.get_terminal_size(sys.stdout.fileno()).lines)
    except (OSError, ValueError):
        return 24


def _compact(status: object) -> str:
    import json

    return json.dumps(status, separators=(",", ":"))


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
