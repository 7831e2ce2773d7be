"""The clients: one blocking HTTP/1.1 connection, and `wrk` for many.

Not general: answers must have a Content-Length, and be 2xx where a measurement counts them.
"""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

BUFFER_BYTES = 256 * 1024
HEAD_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: its status, the length of its body, and the body itself where it came with the head."""

    status: int
    length: int
    body: bytes


class Connection:
    """One keep-alive connection to 127.0.0.1."""

    def __init__(self, port: int, *, token: str | None = None) -> None:
        """Connect. `token` is sent as a bearer token, for asking the upstream without a proxy."""
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60.0)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._fields = f"Host: localhost:{port}\r\n"
        if token:
            self._fields += f"Authorization: Bearer {token}\r\n"

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def get(self, path: str, *, pace: Callable[[int], bool] | None = None) -> Answer:
        """GET `path` and read the body.

        `pace` is called with the bytes read so far before each read; it may sleep, and
        returns False to stop reading (the connection is then of no further use).
        """
        self._socket.sendall(f"GET {path} HTTP/1.1\r\n{self._fields}\r\n".encode())
        return self._read(pace)

    def post(self, path: str, size: int) -> Answer:
        """POST `size` zero bytes."""
        self._socket.sendall(f"POST {path} HTTP/1.1\r\n{self._fields}Content-Length: {size}\r\n\r\n".encode())
        chunk = memoryview(bytes(BUFFER_BYTES))
        for begin in range(0, size, BUFFER_BYTES):
            self._socket.sendall(chunk[: min(BUFFER_BYTES, size - begin)])
        return self._read(None)

    def _read(self, pace: Callable[[int], bool] | None) -> Answer:
        head, end, body = b"", b"", b""
        data = b""
        while not end:
            more = self._socket.recv(HEAD_BYTES)
            if not more:
                raise ConnectionError("closed before the head of the answer")
            data += more
            head, end, body = data.partition(b"\r\n\r\n")
        status, length = int(head[9:12]), _content_length(head)
        read = len(body)
        while read < length and (pace is None or pace(read)):
            count = self._socket.recv_into(self._buffer, min(BUFFER_BYTES, length - read))
            if not count:
                raise ConnectionError(f"closed after {read} of {length} bytes")
            if read + count <= HEAD_BYTES:
                body += self._buffer[:count]
            read += count
        return Answer(status, read, body)


def _content_length(head: bytes) -> int:
    found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    if not found:
        raise ValueError("an answer without Content-Length")
    return int(found[1])


_UNLIKE = Path(__file__).with_name("unlike.lua")


class Load:
    """A run of `wrk` under way; a context manager that ends it. Each connection sends one request after another."""

    def __init__(self, port: int, path: str, *, seconds: int, connections: int = 32, unlike: bool = False) -> None:
        """Start it with `connections` keep-alive connections; `unlike` gives each request an id of its own."""
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"http://127.0.0.1:{port}{path}"]
        if unlike:
            command[1:1] = ["-s", str(_UNLIKE)]
        self._popen = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._limit_s = seconds + 15

    def __enter__(self) -> Load:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._popen.kill()
        self._popen.communicate()

    def requests(self) -> int:
        """Wait for its end.

        Returns:
            The number of answered requests.

        Raises:
            RuntimeError: some were answered with an error, or not at all.
        """
        text, _ = self._popen.communicate(timeout=self._limit_s)
        found = re.search(r"(\d+) requests in", text)
        if self._popen.returncode or not found or "Non-2xx" in text or "Socket errors" in text:
            raise RuntimeError(f"wrk:\n{text}")
        return int(found[1])


def answered(port: int, path: str, *, seconds: int, unlike: bool = False) -> int:
    """How many requests 32 connections got answered in `seconds`."""
    with Load(port, path, seconds=seconds, unlike=unlike) as load:
        return load.requests()
