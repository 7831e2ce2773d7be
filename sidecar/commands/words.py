"""What commands say, and the codes they end with: 0 fine, 1 failed at run time, 2 wrongly asked, 130 interrupted.

What goes wrong is said on standard error, in a sentence that tells what to do next.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing itself takes 10 ms to import
if TYPE_CHECKING:
    from typing import TextIO

    from sidecar.errors import ConfigError

FINE, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130
WIDTH = 80


def complain(sentence: str) -> None:
    """Say what is wrong, and what to do."""
    print(f"sidecar: {sentence}", file=sys.stderr)


def refuse(error: ConfigError) -> int:
    """Say every mistake of a configuration.

    Returns:
        The exit code.
    """
    for mistake in error.mistakes:
        print(mistake, file=sys.stderr)
    return WRONG


def reason(error: OSError) -> str:
    """Return what the system says of it; an event loop's own text repeats the address."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror or error)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person reads this stream; it may be closed."""
    return stream is not None and stream.isatty()


def in_colour(stream: TextIO | None) -> bool:
    """Whether to paint: on a terminal, unless NO_COLOR says not to."""
    return is_terminal(stream) and takes_steering() and not os.environ.get("NO_COLOR")


def takes_steering() -> bool:
    """Whether this terminal is more than a typewriter."""
    return os.environ.get("TERM") != "dumb"


def rewrite_line(text: str) -> None:
    """Show progress in the terminal's last line; "" takes it away."""
    print(f"\r\x1b[K{text[: WIDTH - 1]}", end="", file=sys.stderr, flush=True)
