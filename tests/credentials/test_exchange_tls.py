"""An exchange over TLS: a peer that cannot be verified gets not one byte of the key."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest
import trustme

from sidecar.tls import TLSRules, client_context
from tests.credentials.endpoint import endpoint, says
from tests.credentials.exchanging import GOOD, exchange, failed_exchange, rules


class Authority:
    """A certificate authority with its root in a file."""

    def __init__(self, directory: Path) -> None:
        self._ca = trustme.CA()
        self._directory = directory
        self.ca_file = str(directory / "ca.pem")
        self._ca.cert_pem.write_to_path(self.ca_file)

    def server(self, *names: str, expired: bool = False) -> ssl.SSLContext:
        """Return a server's context with a certificate for these names."""
        past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
        certificate = self._ca.issue_cert(*names, not_before=past, not_after=past if expired else None)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context

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
    ("names", "expired", "trusted", "reason"),
    [
        (("127.0.0.1",), False, False, "certificate verify failed"),
        (("127.0.0.2", "api.test"), False, True, "certificate verify failed: IP address mismatch"),
        (("127.0.0.1",), True, True, "certificate verify failed: certificate has expired"),
    ],
    ids=["unknown authority", "wrong host", "expired"],
)
async def test_a_peer_that_cannot_be_verified(
    authority: Authority, names: tuple[str, ...], expired: bool, trusted: bool, reason: str
) -> None:
    """No request reaches it, and the failure says why."""
    own = TLSRules(ca_file=authority.ca_file if trusted else None)
    async with endpoint(says(GOOD), tls=authority.server(*names, expired=expired)) as server:
        failed = await failed_exchange(rules(server.port, tls=own, json={"k": "{api_key}"}))
        assert server.requests == []
    assert failed.outcome == "network"
    assert failed.detail.startswith(f"TLS with 127.0.0.1 failed: {reason}")


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
