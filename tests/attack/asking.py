"""Raw requests to a sidecar that is to refuse them, and a look at what went on behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.fakes import Message, Wire
from tests.wire.running import Running

# What Chromium 156 sends over http to what is not loopback, for a link, an image or a script of some page: no Origin,
# no Sec-Fetch-Site.
CHROMIUM = [
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
    "Accept-Encoding: gzip, deflate",
    "Accept-Language: en-US,en;q=0.9",
]


async def answer(sidecar: Running, raw: bytes, path: str | None = None) -> Message:
    """Send these bytes on a connection of their own, and return the answer."""
    wire = await sidecar.connect(path)
    await wire.send(raw)
    got = await wire.response(to=raw.partition(b" ")[0].decode("latin-1"))
    wire.close()
    return got


def head(target: str | bytes = b"/", *lines: str | bytes, method: str = "GET", host: bytes | None = b"@") -> bytes:
    """Return a head; no Host where that is None."""
    own = [b"Host: " + host] if host is not None else []
    start = b" ".join((method.encode(), as_bytes(target), b"HTTP/1.1"))
    return b"\r\n".join([start, *own, *(as_bytes(line) for line in lines), b"", b""])


def at(sidecar: Running, raw: bytes) -> bytes:
    """Put the listener's own Host for `Host: @`, and its port for `<port>`."""
    whole = raw.replace(b"Host: @\r\n", b"Host: " + sidecar.host + b"\r\n")
    return whole.replace(b"<port>", b"%d" % sidecar.port)


def as_bytes(text: str | bytes) -> bytes:
    """Return the bytes of a text in which each character is one."""
    return text if isinstance(text, bytes) else text.encode("latin-1")


class Pipelined:
    """Asks one request after the other, many at a time on one connection, and makes a new one where it was ended."""

    def __init__(self, sidecar: Running, batch: int = 64, address: tuple[str, int] | None = None) -> None:
        self._sidecar = sidecar
        self._batch = batch
        self._address = address
        self._wire: Wire | None = None
        self.statuses: dict[int, int] = {}

    async def ask(self, requests: list[bytes]) -> None:
        """Send them all; each is answered, or ends the connection and is followed by the rest on the next."""
        at = 0
        while at < len(requests):
            wire = self._wire or await self._sidecar.connect(address=self._address)
            self._wire = None
            part = requests[at : at + self._batch]
            await wire.send(b"".join(part))
            for request in part:
                got = await wire.response(to="HEAD" if request.startswith(b"HEAD ") else "GET")
                self.statuses[got.status] = self.statuses.get(got.status, 0) + 1
                at += 1
                if got.value("connection") == b"close":
                    wire.close()
                    break
            else:
                self._wire = wire


@contextmanager
def watched_network() -> Iterator[list[tuple[str, Any]]]:
    """Note each name that the running loop resolves and each address that it connects to."""
    loop: Any = asyncio.get_running_loop()
    seen: list[tuple[str, Any]] = []
    resolve, connect, create = loop.getaddrinfo, loop.sock_connect, loop.create_connection

    async def getaddrinfo(host: Any, port: Any, **keys: Any) -> Any:
        seen.append(("resolve", host.decode() if isinstance(host, bytes) else host))
        return await resolve(host, port, **keys)

    async def sock_connect(sock: Any, address: Any) -> Any:
        seen.append(("connect", address[:2]))
        return await connect(sock, address)

    async def create_connection(factory: Any, host: Any = None, port: Any = None, **keys: Any) -> Any:
        if host is not None:
            seen.append(("connect", (host, port)))
        return await create(factory, host, port, **keys)

    loop.getaddrinfo, loop.sock_connect, loop.create_connection = getaddrinfo, sock_connect, create_connection
    try:
        yield seen
    finally:
        del loop.getaddrinfo, loop.sock_connect, loop.create_connection
