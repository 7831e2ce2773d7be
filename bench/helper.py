"""The token endpoint and the sink for uploads: `python -m bench.helper PORT`.

`POST /token` answers an OAuth 2.0 client_credentials request (RFC 6749 4.4); any other POST
is read to its end, counted, and answered with the count. Not a general server: it knows
`Content-Length` only, and one request after another.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import sys
import time

BUFFER_BYTES = 256 * 1024
LIFE_S = 3600


def jwt(life_s: int = LIFE_S) -> str:
    """A JWT that expires in `life_s` seconds, signed with a key that nobody has."""
    now = int(time.time())
    parts = [{"alg": "HS256", "typ": "JWT"}, {"sub": "bench", "iat": now, "exp": now + life_s}]
    text = b".".join(_base64url(json.dumps(part).encode()) for part in parts)
    return (text + b"." + _base64url(hmac.digest(b"bench", text, hashlib.sha256))).decode()


class Helper(asyncio.BufferedProtocol):
    """One connection: reads into one buffer, over and over, and counts."""

    def __init__(self) -> None:
        self._buffer = bytearray(BUFFER_BYTES)
        self._head = b""
        self._target = b""
        self._received = 0
        self._expected = -1  # unknown until the head is whole

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._expected < 0:
            nbytes = self._read_head(self._buffer[:nbytes])
        self._received += nbytes
        if self._received >= self._expected >= 0:
            self._answer()

    def _read_head(self, data: bytearray) -> int:
        """Returns how many bytes of the body came with the head."""
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if not end:
            return 0
        self._target = head.split(b" ", 2)[1]
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        self._expected = int(length[1]) if length else 0
        return len(rest)

    def _answer(self) -> None:
        if self._target == b"/token":
            body = json.dumps({"access_token": jwt(), "token_type": "Bearer", "expires_in": LIFE_S})
        else:
            body = json.dumps({"received": self._received})
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write((head + body).encode())
        self._head, self._received, self._expected = b"", 0, -1


async def serve(port: int) -> None:
    """Serve on 127.0.0.1 until ended."""
    server = await asyncio.get_running_loop().create_server(Helper, "127.0.0.1", port)
    await server.serve_forever()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
