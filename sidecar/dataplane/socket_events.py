"""What the kernel says of a socket right now, past the loop, which says it a turn or two later."""

from __future__ import annotations

import select

_READABLE: int = getattr(select, "POLLIN", 1)
_CAN_POLL = hasattr(select, "poll")


def has_news(descriptor: int) -> bool:
    """Whether something can be read: bytes, an end, or an error."""
    return bool(events(descriptor, _READABLE))


def events(descriptor: int, asked: int) -> int:
    """Return what has happened of what is asked for, as poll(2) says it, and errors in any case.

    Windows has no poll; whether there is something to read is all that is told there.
    """
    if not _CAN_POLL:
        return bool(asked and select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, asked)
    return next((happened for _, happened in poll.poll(0)), 0)
