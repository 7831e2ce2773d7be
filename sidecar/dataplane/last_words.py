"""What an upstream said before it cut the connection off. It is still in the socket when a write to it has failed.

An upstream may answer early (413, 401) and close with the rest of the request unread. Its system then resets the
connection right behind the answer (RFC 9112 9.6); our next write fails, and the loop ends the connection without
having read what had arrived before. An app that talked to the upstream itself would have got it.

Over TLS the loop has closed the socket by the time that it tells us. So, while a body is being sent, a second
descriptor keeps it, and what is left in it goes to the connection's own decoder.
"""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
from collections.abc import Iterator
from contextlib import suppress

from sidecar.dataplane.limits import descriptors_run_out
from sidecar.tls import incoming_of

# The most that is read: the beginning of a larger answer would be cut anyway.
LAST_WORDS_BYTES = 1024 * 1024
_READ_BYTES = 64 * 1024


class SpareSocket:
    """A second descriptor of a TLS connection's socket; to be closed where the connection is lost.

    Args:
        transport: the connection.

    Raises:
        OSError: there are no descriptors left.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._tls: ssl.SSLObject = transport.get_extra_info("ssl_object")
        self._number = os.dup(transport.get_extra_info("socket").fileno())
        if descriptors_run_out(self._number):
            self.close()
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def last_words(self) -> Iterator[bytes]:
        """Yield what is left in it, decrypted."""
        incoming = incoming_of(self._tls)
        if incoming is None:
            return
        for piece in _left_in(self._number):
            incoming.write(piece)
            with suppress(ssl.SSLError):  # no whole record yet, or nothing after the last
                while data := self._tls.read(_READ_BYTES):
                    yield data

    def close(self) -> None:
        """Let go of the socket."""
        os.close(self._number)


def last_words(transport: asyncio.Transport) -> Iterator[bytes]:
    """Yield what is left in the socket of a plain connection that has just been lost."""
    return _left_in(transport.get_extra_info("socket").fileno())


def _left_in(number: int) -> Iterator[bytes]:
    left_bytes = LAST_WORDS_BYTES
    with suppress(OSError):  # the end of it is the reset that came behind
        while left_bytes > 0 and (data := os.read(number, _READ_BYTES)):
            left_bytes -= len(data)
            yield data
