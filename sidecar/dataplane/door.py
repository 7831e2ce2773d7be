"""The door: one listening socket, as the connections that come in by it find it.

A reload changes it in place: connections that are there keep what they found, those that come later find the new.
"""

from __future__ import annotations

import asyncio
import socket
import struct

from sidecar.errors import Refused

# Who is at the other end of a unix socket, as the kernel knows it; None where it does not tell. Source: unix(7).
PEER_CREDENTIALS: int | None = getattr(socket, "SO_PEERCRED", None)
_UCRED = struct.Struct("=iII")  # process, user, group


class Door:
    """Whom a listening socket is for."""

    def __init__(self) -> None:
        self.authorities: frozenset[bytes] = frozenset()
        self.peer_uids: frozenset[int] = frozenset()
        self.forward = False

    def switch(self, authorities: frozenset[bytes], peer_uids: frozenset[int], *, forward: bool = False) -> None:
        """Take these for new connections.

        Args:
            authorities: the Host values that name the socket.
            peer_uids: on a unix socket, the users who may come in; none: whoever can open it.
            forward: it is a forward proxy, and has no name of its own.
        """
        self.authorities = authorities
        self.peer_uids = peer_uids
        self.forward = forward

    def stranger(self, transport: asyncio.BaseTransport) -> Refused | None:
        """Return why the user at the other end of a unix socket may not come in, or None."""
        assert PEER_CREDENTIALS is not None  # noqa: S101  # a start with peer_uids has seen to it
        credentials = transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, PEER_CREDENTIALS, _UCRED.size)
        _, uid, _ = _UCRED.unpack(credentials)
        if uid in self.peer_uids:
            return None
        return Refused(f"user id {uid} is not one of gate.peer_uids", reason="peer")
