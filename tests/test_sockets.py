"""Listening sockets on TCP: where they really are."""

from __future__ import annotations

import socket

import pytest

from sidecar.config.values import Address
from sidecar.errors import StartError
from sidecar.sockets import listen_tcp


@pytest.mark.parametrize("address", ["0.0.0.0", "192.0.2.1", "::", "2001:db8::1"])
def test_a_name_for_loopback_that_leads_elsewhere_is_not_listened_on(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hosts file may say anything of `localhost`; without expose, the address itself decides."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    found = [(family, socket.SOCK_STREAM, 6, "", (address, 0))]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: found)
    with pytest.raises(StartError, match="listen: localhost leads to another address"):
        listen_tcp("localhost", 0, "listen", loopback=Address("localhost").is_loopback)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost"])
def test_loopback_stays_on_loopback(host: str) -> None:
    """What is bound is what was asked for."""
    with listen_tcp(host, 0, "listen", loopback=True) as sock:
        assert sock.getsockname()[0] in (host, "127.0.0.1", "::1")
