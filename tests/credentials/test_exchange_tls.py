"""An exchange over TLS: a peer that cannot be verified gets not one byte of the key."""

from __future__ import annotations

import asyncio
import datetime
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from sidecar.tls import TLSRules, client_context
from tests.credentials.endpoint import endpoint, says
from tests.credentials.exchanging import GOOD, exchange, failed_exchange, rules

PAST = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


class Authority:
    """A certificate authority with its root in a file."""

    def __init__(self, directory: Path) -> None:
        self._ca = trustme.CA()
        self._directory = directory
        self.ca_file = str(directory / "ca.pem")
        self._ca.cert_pem.write_to_path(self.ca_file)

    def server(self, *names: str, expired: bool = False) -> ssl.SSLContext:
        """Return a server's context with a certificate for these names."""
        certificate = self.issue(*names, not_before=PAST, not_after=PAST if expired else None)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context

    def issue(
        self, *names: str, not_before: datetime.datetime, not_after: datetime.datetime | None = None
    ) -> trustme.LeafCert:
        """Return a certificate."""
        return self._ca.issue_cert(*names, not_before=not_before, not_after=not_after)

    def client_files(self) -> tuple[str, str]:
        """Return the files of a client's certificate chain and key."""
        certificate = self._ca.issue_cert("app@client.test")
        cert_file, key_file = self._directory / "client.pem", self._directory / "client.key"
        certificate.cert_chain_pems[0].write_to_path(str(cert_file))
        certificate.private_key_pem.write_to_path(str(key_file))
        return str(cert_file), str(key_file)

    def demand_client(self, context: ssl.SSLContext) -> ssl.SSLContext:
        """Have a server's context take only clients of this authority."""
        context.verify_mode = ssl.CERT_REQUIRED
        self._ca.configure_trust(context)
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority of this test's own."""
    return Authority(tmp_path)


async def test_an_own_authority(authority: Authority) -> None:
    """A certificate under `ca_file`, for the right name, is enough."""
    async with endpoint(says(GOOD), tls=authority.server("127.0.0.1")) as server:
        token = await exchange(rules(server.port, tls=TLSRules(ca_file=authority.ca_file)))
        assert token.secret.reveal() == b"abc"


@pytest.mark.parametrize(
    ("names", "expired", "trusted", "reason", "cause"),
    [
        (("127.0.0.1",), False, False, "certificate verify failed", "tls_authority"),
        (("127.0.0.2", "api.test"), False, True, "certificate verify failed: IP address mismatch", "tls_name"),
        (("127.0.0.1",), True, True, "certificate verify failed: certificate has expired", "tls_dates"),
    ],
    ids=["unknown authority", "wrong host", "expired"],
)
async def test_a_peer_that_cannot_be_verified(
    authority: Authority, names: tuple[str, ...], expired: bool, trusted: bool, reason: str, cause: str
) -> None:
    """No request reaches it, and the failure says why."""
    own = TLSRules(ca_file=authority.ca_file if trusted else None)
    async with endpoint(says(GOOD), tls=authority.server(*names, expired=expired)) as server:
        failed = await failed_exchange(rules(server.port, tls=own, json={"k": "{api_key}"}))
        assert server.requests == []
    assert (failed.outcome, failed.cause) == ("network", cause)
    assert failed.detail.startswith(f"TLS with 127.0.0.1 failed: {reason}")


async def test_a_certificate_that_is_not_valid_yet(authority: Authority) -> None:
    """A clock that is behind looks like this: the remedy begins with it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=2)
    authority.issue("127.0.0.1", not_before=later).configure_cert(context)
    async with endpoint(says(GOOD), tls=context) as server:
        failed = await failed_exchange(rules(server.port, tls=TLSRules(ca_file=authority.ca_file)))
        assert server.requests == []
    assert failed.cause == "tls_dates"
    assert "not yet valid" in failed.detail


async def test_a_handshake_that_drips_ends_at_the_deadline() -> None:
    """A peer that sends a byte of its hello now and then gets no more time than any other."""
    async with _dripping() as port:
        started = time.monotonic()
        failed = await failed_exchange(rules(port, tls=TLSRules(), timeout_s=0.4))
    assert failed.outcome == "timeout"
    assert time.monotonic() - started < 2


async def test_an_alert_instead_of_a_hello() -> None:
    """A port that refuses to talk."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x15\x03\x03\x00\x02\x02\x28")  # handshake_failure
        await reader.read()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        failed = await failed_exchange(rules(server.sockets[0].getsockname()[1], tls=TLSRules()))
    assert (failed.outcome, failed.cause) == ("network", "tls")


async def test_plain_http_behind_an_https_url() -> None:
    """A wrong port or scheme: said as TLS that failed."""

    async def answer_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer_at_once, "127.0.0.1", 0)
    async with server:
        failed = await failed_exchange(rules(server.sockets[0].getsockname()[1], tls=TLSRules()))
    assert (failed.outcome, failed.cause) == ("network", "tls")


@asynccontextmanager
async def _dripping() -> AsyncIterator[int]:
    """A server whose TLS record never ends."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x16\x03\x03\x40\x00")
        try:
            while not writer.is_closing():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def test_an_own_authority_replaces_the_system_s_roots(authority: Authority) -> None:
    """With `ca_file` given, no other root counts."""
    assert len(client_context(TLSRules(ca_file=authority.ca_file)).get_ca_certs()) == 1


async def test_a_server_name_of_its_own(authority: Authority) -> None:
    """`server_name` is asked for and verified in place of the URL's host."""
    asked: list[str | None] = []
    context = authority.server("api.test")
    context.sni_callback = lambda _sock, name, _context: asked.append(name)
    own = TLSRules(ca_file=authority.ca_file, server_name="api.test")
    async with endpoint(says(GOOD), tls=context) as server:
        await exchange(rules(server.port, tls=own))
        other = TLSRules(ca_file=authority.ca_file, server_name="other.test")
        failed = await failed_exchange(rules(server.port, tls=other))
    assert asked == ["api.test", "other.test"]
    assert "Hostname mismatch" in failed.detail


async def test_a_client_certificate(authority: Authority) -> None:
    """It is shown where it is configured; without it a server that demands one gets no further than TLS."""
    cert_file, key_file = authority.client_files()
    own = TLSRules(ca_file=authority.ca_file, client_cert_file=cert_file, client_key_file=key_file)
    async with endpoint(says(GOOD), tls=authority.demand_client(authority.server("127.0.0.1"))) as server:
        assert (await exchange(rules(server.port, tls=own))).secret.reveal() == b"abc"
        failed = await failed_exchange(rules(server.port, tls=TLSRules(ca_file=authority.ca_file)))
    assert failed.outcome == "network"


async def test_a_peer_that_does_not_speak_tls() -> None:
    """Behind an https URL, one that waits for plain HTTP is never sent any."""
    async with endpoint(says(GOOD)) as server:
        failed = await failed_exchange(rules(server.port, tls=TLSRules(), timeout_s=0.3))
        assert server.requests == []
    assert failed.outcome == "timeout"


async def test_old_versions_of_tls_are_not_spoken(authority: Authority) -> None:
    """A server that knows TLS 1.1 at most is refused."""
    context = authority.server("127.0.0.1")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    async with endpoint(says(GOOD), tls=context) as server:
        failed = await failed_exchange(rules(server.port, tls=TLSRules(ca_file=authority.ca_file)))
    assert failed.outcome == "network"
