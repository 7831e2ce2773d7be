"""The sockets that apps connect to: bound, served, switched to another gate, closed.

A start binds them before what serves them is loaded, so that an app that connects at
once waits in the kernel's queue. A reload binds the new ones before it takes anything:
where one cannot be had, nothing has changed.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from sidecar.config.values import Address, GateConfig
from sidecar.errors import StartError
from sidecar.gate import authorities
from sidecar.passed_sockets import PassedSockets
from sidecar.sockets import BACKLOG, UnixSocket, listen_tcp, listen_unix

if TYPE_CHECKING:
    from sidecar.dataplane.door import Door
    from sidecar.dataplane.listener import Listener

_log = logging.getLogger("sidecar")


class Doors:
    """All sockets of apps. None is there until `bind` and `open`.

    Args:
        passed: sockets that are there already; None: there are none.
    """

    def __init__(self, passed: PassedSockets | None = None) -> None:
        self._passed = passed
        self._sockets: dict[Address, socket.socket] = {}
        self._servers: dict[Address, asyncio.Server] = {}
        self._doors: dict[Address, Door] = {}
        self._shared: set[Address] = set()  # whoever passed the socket holds it too, and what waits in it
        self._protocols: dict[Address, Callable[[], asyncio.Protocol]] = {}

    def bind(self, addresses: Collection[Address], gate: GateConfig) -> dict[Address, socket.socket]:
        """Return a listening socket for each of the addresses that has none yet.

        Raises:
            StartError: one cannot be had; then none was kept.
        """
        bound: dict[Address, socket.socket] = {}
        try:
            for address in addresses:
                if address not in self._sockets:
                    bound[address] = self._bind(address, gate, "listen")
        except StartError:
            close_all(bound)
            raise
        return bound

    def bind_admin(self, address: Address, gate: GateConfig) -> socket.socket:
        """Return the admin listener's socket; by then, all that were passed are taken.

        Raises:
            StartError: it cannot be had, or one was passed that nobody takes.
        """
        sock = self._bind(address, gate, "admin.listen")
        try:
            if self._passed is not None:
                self._passed.check_all_taken()
        except StartError:
            sock.close()
            raise
        return sock

    def _bind(self, address: Address, gate: GateConfig, key: str) -> socket.socket:
        """Return the listening socket that was passed for an address, or else a new one."""
        if self._passed is not None:
            sock = self._passed.take(key, address.host, address.port, address.path)
            if sock is not None:
                if key == "listen":
                    self._shared.add(address)
                return sock
        if address.path is not None:
            return listen_unix(address.path, gate.socket_mode, key)
        return listen_tcp(address.host, address.port, key, loopback=address.is_loopback)

    async def open(self, bound: Mapping[Address, socket.socket], listener: Listener, gate: GateConfig) -> None:
        """Let apps in by these sockets."""
        for address, sock in bound.items():
            self._sockets[address] = sock
            await self._open(address, sock, listener, gate)

    async def _open(self, address: Address, sock: socket.socket, listener: Listener, gate: GateConfig) -> None:
        from sidecar.dataplane.door import Door

        door = self._doors[address] = Door()
        self._switch(address, gate)
        protocol = self._protocols[address] = listener.protocol(door)
        # Said again, because asyncio makes it 100: of a crowd that comes at once, the rest would wait a second or more.
        loop = asyncio.get_running_loop()
        if address.path is not None:
            self._servers[address] = await loop.create_unix_server(protocol, sock=sock, backlog=BACKLOG)
        else:
            self._servers[address] = await loop.create_server(protocol, sock=sock, backlog=BACKLOG)
        _log.info("listening on %s", self._name(address))

    def switch(self, wanted: Collection[Address], gate: GateConfig) -> None:
        """Have new connections find whom this gate lets in, and what these addresses say is spoken."""
        anew = {address: address for address in wanted}
        for address in self._doors:
            self._switch(anew.get(address, address), gate)

    def _switch(self, address: Address, gate: GateConfig) -> None:
        if address.is_forward:
            self._doors[address].switch(frozenset(), frozenset(), forward=True)
            return
        if address.path is not None:
            self._doors[address].switch(authorities(None, gate.hosts), frozenset(gate.peer_uids))
            return
        port = self._sockets[address].getsockname()[1]
        self._doors[address].switch(authorities(port, gate.hosts, address.name), frozenset())

    async def close(self, wanted: Collection[Address] = ()) -> None:
        """Let nobody in any more but by these addresses; who is in stays, and who is waiting to be let in comes in."""
        loop = asyncio.get_running_loop()
        for address in [address for address in self._servers if address not in wanted]:
            protocol = self._protocols[address]
            waiting = [] if address in self._shared else self._who_waits(address)
            self._close(address)
            for connection in waiting:
                with suppress(OSError):
                    await loop.connect_accepted_socket(protocol, connection)

    def close_at_once(self) -> None:
        """Let nobody in any more; who waits is refused."""
        for address in tuple(self._servers):
            self._close(address)

    def _close(self, address: Address) -> None:
        sock = self._sockets.pop(address)
        if isinstance(sock, UnixSocket):
            sock.remove()
        self._servers.pop(address).close()
        self._doors.pop(address)
        self._protocols.pop(address)
        self._shared.discard(address)

    def _who_waits(self, address: Address) -> list[socket.socket]:
        """Take what the kernel has accepted: closing the socket would reset it, with the request that was sent.

        In one go, without the loop: while it turned, as many would come again.
        """
        waiting: list[socket.socket] = []
        with suppress(OSError):  # nobody waits any more, or it cannot be accepted
            while len(waiting) < BACKLOG:
                connection, _ = self._sockets[address].accept()
                connection.setblocking(False)
                waiting.append(connection)
        return waiting

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of each TCP socket that apps can take for a base URL, as bound."""
        return self._bound(forward=False)

    @property
    def forward_addresses(self) -> list[tuple[str, int]]:
        """Host and port of each forward proxy, as bound."""
        return self._bound(forward=True)

    def _bound(self, *, forward: bool) -> list[tuple[str, int]]:
        tcp = [(sock, self._doors[address]) for address, sock in self._sockets.items() if address.path is None]
        return [sock.getsockname()[:2] for sock, door in tcp if door.forward == forward]

    @property
    def names(self) -> list[str]:
        """Each address, for people."""
        return [self._name(address) for address in self._sockets]

    def _name(self, address: Address) -> str:
        name = as_bound(address, self._sockets[address])
        return f"{name} (forward proxy)" if self._doors[address].forward else name


def close_all(bound: Mapping[Address, socket.socket]) -> None:
    """Close sockets that nobody serves yet."""
    for sock in bound.values():
        sock.close()


def as_bound(address: Address, sock: socket.socket) -> str:
    """Return an address for people, with the port that it has got."""
    return str(address if address.path is not None else Address(address.host, sock.getsockname()[1]))
