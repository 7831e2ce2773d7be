"""The context with which we are a TLS client."""

from __future__ import annotations

import os
import pty
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization as pem

from sidecar.clock import SystemClock
from sidecar.tls import TLSRules, client_context


@pytest.mark.parametrize("own_roots", [False, True])
def test_verification_is_always_on(tmp_path: Path, own_roots: bool) -> None:
    """Certificate and host name are verified, from TLS 1.2 on, whatever the rules say."""
    ca_file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(ca_file))
    context = client_context(TLSRules(ca_file=str(ca_file) if own_roots else None))
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def negotiate(server: ssl.SSLContext, client: ssl.SSLContext) -> str | None:
    """Shake hands in memory, and return the protocol that both agreed on."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname="api.test")
    other = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (one, other, one, other):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return other.selected_alpn_protocol()


def test_http_1_1_is_what_is_offered(tmp_path: Path) -> None:
    """A server that prefers HTTP/2 is not given the choice."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("api.test").configure_cert(server)
    server.set_alpn_protocols(["h2", "http/1.1"])
    assert negotiate(server, client_context(TLSRules(ca_file=str(tmp_path / "ca.pem")))) == "http/1.1"


def test_files_that_are_not_what_they_should_be(tmp_path: Path) -> None:
    """Each is an OSError when the context is built, not when it is used."""
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    missing = str(tmp_path / "missing.pem")
    for rules in (
        TLSRules(ca_file=missing),
        TLSRules(ca_file=str(nonsense)),
        TLSRules(client_cert_file=missing),
        TLSRules(client_cert_file=str(nonsense)),
    ):
        with pytest.raises(OSError):
            client_context(rules)


def test_an_encrypted_client_key_fails_instead_of_asking(tmp_path: Path) -> None:
    """Even on a terminal: nobody sits at a sidecar's to type a pass phrase."""
    certificate = trustme.CA().issue_cert("app@client.test")
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "client.pem"))
    key = pem.load_pem_private_key(certificate.private_key_pem.bytes(), None)
    sealed = key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.BestAvailableEncryption(b"secret"))
    (tmp_path / "client.key").write_bytes(sealed)
    program = (
        "import fcntl, ssl, termios\n"
        "from sidecar.tls import TLSRules, client_context\n"
        "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
        "try:\n"
        "    client_context(TLSRules(client_cert_file='client.pem', client_key_file='client.key'))\n"
        "except ssl.SSLError:\n"
        "    print('failed')\n"
    )
    controller, terminal = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
            stdin=terminal,
            stdout=subprocess.PIPE,
            timeout=20,
            start_new_session=True,
        )
    finally:
        os.close(controller)
        os.close(terminal)
    assert done.stdout == b"failed\n"


def test_the_system_s_clocks() -> None:
    """They are the machine's."""
    clock = SystemClock()
    assert abs(clock.wall() - time.time()) < 5
    assert abs(clock.monotonic() - time.monotonic()) < 5
