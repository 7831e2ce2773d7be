"""TLS as a client: what is verified, and what we show.

There is no way to turn verification off: a peer whose certificate or name does
not hold gets not one byte of a request.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary


@dataclass(frozen=True, slots=True)
class TLSRules:
    """How a TLS peer is verified and what we show it. None everywhere: the system's roots, no client certificate."""

    ca_file: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None
    server_name: str | None = None


# Weak, so that a reload after which nobody is left reads the roots anew.
_shared: WeakValueDictionary[tuple[str, ...], ssl.SSLContext] = WeakValueDictionary()


def client_context(rules: TLSRules, *, alpn: Sequence[str] = ("http/1.1",)) -> ssl.SSLContext:
    """Build the context for connecting to a peer: TLS 1.2 or later, certificate and host name verified.

    Args:
        rules: `ca_file` replaces the system's roots; `client_key_file` None means that the key
            stands in the certificate's file. `server_name` is the caller's to pass when it connects.
        alpn: the protocols offered, in order of preference.

    Raises:
        OSError: a file is missing, unreadable or not what it should be (`ssl.SSLError` is an OSError).
    """
    if rules.ca_file is None and rules.client_cert_file is None:
        return _system_roots(tuple(alpn))
    return _made(rules, alpn)


def _system_roots(alpn: tuple[str, ...]) -> ssl.SSLContext:
    """Return the context that verifies by the system's roots, one for all who do: they are 1.2 MB in memory."""
    context = _shared.get(alpn)
    if context is None:
        context = _shared[alpn] = _made(TLSRules(), alpn)
    return context


def _made(rules: TLSRules, alpn: Sequence[str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=rules.ca_file)
    context.__class__ = _Context  # made as the standard library makes it, and one method more
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(list(alpn))
    if rules.client_cert_file is not None:
        # With a password given, OpenSSL fails on an encrypted key; without, it would stop and ask the terminal.
        context.load_cert_chain(rules.client_cert_file, rules.client_key_file, password="")
    return context


class _Context(ssl.SSLContext):
    """Notes, on the object that decrypts a connection, where the encrypted bytes go in."""

    def wrap_bio(self, incoming: ssl.MemoryBIO, *args: Any, **keys: Any) -> ssl.SSLObject:
        made = super().wrap_bio(incoming, *args, **keys)
        made.__dict__["incoming"] = incoming
        return made


def incoming_of(connection: ssl.SSLObject) -> ssl.MemoryBIO | None:
    """Return where a connection's encrypted bytes go in; None where its context is not one of ours."""
    return connection.__dict__.get("incoming")


def end_is_announced(transport: asyncio.BaseTransport) -> bool:
    """Whether the end of what a peer sends is one that it has announced; without TLS, any is.

    An end that TLS has not announced may be an attacker's (RFC 9112 9.8). uvloop tells a protocol of an announced one
    alone, asyncio's own loop (seen with 3.11) of both, so the TLS object is asked: it reads an end, or wants more.
    """
    tls = transport.get_extra_info("ssl_object")
    if tls is None:
        return True
    try:
        return not tls.read(1)
    except ssl.SSLZeroReturnError:
        return True
    except ssl.SSLError:
        return False
