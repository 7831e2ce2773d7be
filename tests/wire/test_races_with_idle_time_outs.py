"""Requests that meet the very end of an idle connection: none that may be repeated fails, none else is sent twice.

The upstream runs in threads of its own, so that its closing and our sending really race. It closes each connection
that has been idle for a moment, and requests come as near to that moment as can be had.
`SIDECAR_LONG=1` (`make long`) makes it 5,000 races of each kind.
"""

from __future__ import annotations

import asyncio
import os
import random
import select
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.fakes import Wire, response
from tests.wire.running import Running, route_to, sidecar

RACES = 5000 if os.environ.get("SIDECAR_LONG") else 250
IDLE_S = 0.002


class Leaving:
    """An upstream that leaves after a moment's silence, with a close or a reset, and now and then under a request.

    Args:
        how: "close" or "reset".
    """

    def __init__(self, how: str) -> None:
        self._how = how
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.seen: Counter[bytes] = Counter()
        self.left = 0
        self.dropped = 0
        self._threads = [threading.Thread(target=self._accept) for _ in range(2)]

    def start(self) -> None:
        """Serve."""
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Serve no more."""
        self._listening.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                with connection, suppress(ConnectionError):
                    self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        count = 0
        while data := connection.recv(65536):
            while not data.endswith(b"\r\n\r\n" if data.startswith(b"GET") else b"\r\n\r\nx"):
                data += (more := connection.recv(65536))
                if not more:
                    return
            self.seen[data.split(b" ")[1]] += 1
            if count and random.random() < 0.2:
                self.dropped += 1  # it has read the request, and perhaps done it, and says nothing
                return
            connection.sendall(response())
            count += 1
            if not select.select([connection], [], [], IDLE_S)[0]:
                self.left += 1
                if self._how == "reset":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return


@contextmanager
def leaving(how: str) -> Iterator[Leaving]:
    """Run such an upstream."""
    upstream = Leaving(how)
    upstream.start()
    try:
        yield upstream
    finally:
        upstream.end()


async def race(running: Running, wire: Wire, method: str) -> Counter[int]:
    """Ask again and again, each time as the connection is about to be closed; return how often which status came."""
    statuses: Counter[int] = Counter()
    for number in range(RACES):
        body = b"x" if method == "POST" else b""
        await wire.send(running.ask_bytes(method, f"/{method}/{number}", body=body))
        statuses[(await wire.response()).status] += 1
        await asyncio.sleep(IDLE_S * (0.4 + 0.8 * random.random()))
    return statuses


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_none_that_may_be_repeated_fails(how: str) -> None:
    """Every GET is answered 200."""
    with leaving(how) as upstream:
        async with sidecar(route_to(upstream.port)) as running:
            assert await race(running, await running.connect(), "GET") == {200: RACES}
            assert upstream.left > RACES / 25


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_no_other_is_sent_twice(how: str) -> None:
    """A POST that met the end of its connection is a 502, and few do: the socket is looked at before."""
    with leaving(how) as upstream:
        async with sidecar(route_to(upstream.port)) as running:
            statuses = await race(running, await running.connect(), "POST")
            assert set(statuses) <= {200, 502}
            assert statuses[502] <= upstream.dropped + RACES / 10
            assert upstream.dropped
            assert max(upstream.seen.values()) == 1
            assert upstream.left > RACES / 25
