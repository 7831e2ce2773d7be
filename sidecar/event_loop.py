"""Which event loop the process runs on: uvloop's where it exists, else asyncio's own, or the one that is asked for.

uvloop is an optional dependency: it is not to be had on Windows. Everything works on either; uvloop costs less CPU
per request.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from sidecar.errors import ConfigError, Mistake

# Set to `asyncio` or `uvloop` by whoever wants that one alone.
SWITCH = "SIDECAR_LOOP"


def event_loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes the event loop.

    Raises:
        ConfigError: SIDECAR_LOOP names none, or uvloop where it is not installed.
    """
    wanted = os.environ.get(SWITCH, "")
    if wanted not in ("", "asyncio", "uvloop"):
        raise ConfigError([Mistake(SWITCH, 0, 0, "", "expected asyncio or uvloop")])
    if wanted != "asyncio":
        try:
            import uvloop
        except ImportError:
            if wanted:
                missing = "uvloop is not installed: pip install uvloop, or leave the variable unset"
                raise ConfigError([Mistake(SWITCH, 0, 0, "", missing)]) from None
        else:
            return uvloop.new_event_loop
    return asyncio.new_event_loop
