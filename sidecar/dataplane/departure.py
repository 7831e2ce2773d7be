"""How an app's departure shows while nothing is read from it: the loop, which does not read either, says nothing.

A reset shows in the socket's state. An ordinary end stands behind the bytes that are still unread, and is no departure
where those bring the request's end: an app may end its side and wait for its answer. So they are looked at, in the
socket, from which nothing is taken.

What cannot be seen is an end that stands behind more than our side of the kernel holds: it is still in the app's.
"""

from __future__ import annotations

import asyncio
import select
import socket
from copy import copy

from sidecar.dataplane.framing import BadFraming, ChunkedDecoder, SizedDecoder, UntilClose
from sidecar.dataplane.socket_events import events

# More than Linux lets wait in a socket (`tcp_rmem`: 6 MiB).
MOST_UNREAD_BYTES = 8 * 1024 * 1024
_ENDED: int = getattr(select, "POLLRDHUP", 0)  # Linux alone tells
_DO_NOT_WAIT: int = getattr(socket, "MSG_DONTWAIT", 0)  # Windows has none; the loop's sockets never wait


def is_reset(transport: asyncio.Transport) -> bool:
    """Whether the peer has cut the connection."""
    return bool(events(transport.get_extra_info("socket").fileno(), 0))  # errors are always told


def ends_unread(transport: asyncio.Transport, decoder: SizedDecoder | ChunkedDecoder | UntilClose) -> bool | None:
    """Whether a body's end is among what a peer that sends no more has left unread; None: that cannot be said (yet).

    Args:
        decoder: has read the body as far as it was read; it stays as it is.
    """
    if isinstance(decoder, UntilClose) or not events(transport.get_extra_info("socket").fileno(), _ENDED):
        return None
    looking = socket.socket(fileno=transport.get_extra_info("socket").fileno())
    try:
        unread = looking.recv(MOST_UNREAD_BYTES, socket.MSG_PEEK | _DO_NOT_WAIT)
    except OSError:
        unread = b""
    finally:
        looking.detach()
    if len(unread) >= MOST_UNREAD_BYTES:
        return None
    ahead = copy(decoder)
    try:
        ahead.feed(unread)
    except BadFraming:
        return False
    return ahead.done
