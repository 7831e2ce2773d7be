"""The name of an upstream, and how its addresses are found. Nothing is remembered.

Those who ask while a look-up is under way share it: a resolver that hangs would
otherwise be asked once for every request, in threads of which there are few,
and would still be working those off long after it is well again.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

# What `getaddrinfo` returns.
AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]


class Name:
    """A host and its port.

    Args:
        host: a name, or an address.
        port: goes with every address.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._under_way: asyncio.Future[Sequence[AddressInfo] | None] | None = None
        self.is_address = _is_address(host)

    async def addresses(self) -> Sequence[AddressInfo]:
        """Look the name up, or wait for the look-up that is under way.

        Raises:
            OSError: it cannot be resolved.
        """
        while self._under_way is not None:
            # Its own request may leave, and take it along: then this one looks it up.
            if (found := await asyncio.shield(self._under_way)) is not None:
                return found
        under_way = self._under_way = asyncio.get_running_loop().create_future()
        try:
            found = await _ask_the_system(self._host, self._port)
            if not found:
                raise socket.gaierror(socket.EAI_NONAME, "no address")
        except OSError as error:
            under_way.set_exception(error)
            under_way.exception()  # perhaps nobody shares it
            raise
        else:
            under_way.set_result(found)
            return found
        finally:
            self._under_way = None
            if not under_way.done():
                under_way.set_result(None)


async def _ask_the_system(host: str, port: int) -> Sequence[AddressInfo]:
    try:
        return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise socket.gaierror(socket.EAI_NONAME, "not a name") from None  # it cannot be put into IDNA's letters


def _is_address(host: str) -> bool:
    """Whether a host is an address itself, which never changes."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):
            socket.inet_pton(family, host)
            return True
    return False
