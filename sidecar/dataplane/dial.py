"""A new connection to a host and port: the name is looked up each time, and nothing of it is remembered.

Addresses are tried as RFC 8305 has it: a dead IPv6 costs a quarter of a second, not a time-out.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from aiohappyeyeballs import start_connection

from sidecar.dataplane.name import Name
from sidecar.sockets import notice_dead_peer
from sidecar.tls import TLSRules, client_context

P = TypeVar("P", bound=asyncio.Protocol)

HAPPY_EYEBALLS_DELAY_S = 0.25  # RFC 8305 section 5


@dataclass(frozen=True, slots=True)
class Origin:
    """Where to connect to.

    `tls` says how the peer is verified, None for plain TCP; `server_name` is then the name that it must prove.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    server_name: str | None = None


def origin_of(url: str, tls: TLSRules) -> Origin:
    """Return where a URL's requests go.

    Args:
        url: http or https, without a user.
        tls: what counts for https.

    Raises:
        OSError: a file of `tls` is not what it should be.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https":
        return Origin(host, parts.port or 80)
    return Origin(host, parts.port or 443, client_context(tls), tls.server_name or host)


async def dial(origin: Origin, protocol: Callable[[], P], name: Name | None = None) -> P:
    """Connect, and return the protocol that the connection got.

    Args:
        name: the origin's, shared by those who connect to it at a time.

    Raises:
        OSError: the name does not resolve, nobody answers, or TLS does not hold.
    """
    addresses = await (name or Name(origin.host, origin.port)).addresses()
    try:
        sock = await start_connection(addresses, happy_eyeballs_delay=HAPPY_EYEBALLS_DELAY_S)
    except RuntimeError as error:
        raise OSError(str(error)) from None  # uvloop has some of those (aiohappyeyeballs says)
    notice_dead_peer(sock)
    _, made = await asyncio.get_running_loop().create_connection(
        protocol,
        sock=sock,
        ssl=origin.tls,
        server_hostname=origin.server_name,
    )
    return made
