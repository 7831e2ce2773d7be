"""The certificates of a test run: one authority, a server and a client under it, and a stranger's authority."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme

# Loopback addresses, and one name that resolves nowhere: for tests of the server name.
SERVER_NAMES = ("localhost", "127.0.0.1", "::1", "api.test")


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files. `other_ca_file` is an authority that signed nothing here."""

    ca_file: Path
    server_cert_file: Path
    server_key_file: Path
    client_cert_file: Path
    client_key_file: Path
    other_ca_file: Path

    def client_context(self, *, with_certificate: bool = False) -> ssl.SSLContext:
        """Return a client context that trusts the authority, showing the client certificate where asked."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        if with_certificate:
            context.load_cert_chain(self.client_cert_file, self.client_key_file)
        return context


def write_certificates(directory: Path) -> Certificates:
    """Make all of them, as files in the directory."""
    files = Certificates(
        ca_file=directory / "ca.pem",
        server_cert_file=directory / "server.pem",
        server_key_file=directory / "server.key",
        client_cert_file=directory / "client.pem",
        client_key_file=directory / "client.key",
        other_ca_file=directory / "other-ca.pem",
    )
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(files.ca_file))
    trustme.CA().cert_pem.write_to_path(str(files.other_ca_file))
    server = authority.issue_cert(*SERVER_NAMES)
    _write(server, files.server_cert_file, files.server_key_file)
    _write(authority.issue_cert("app@client.test"), files.client_cert_file, files.client_key_file)
    return files


def _write(certificate: trustme.LeafCert, cert_file: Path, key_file: Path) -> None:
    key_file.touch(mode=0o600)
    certificate.private_key_pem.write_to_path(str(key_file))
    for index, blob in enumerate(certificate.cert_chain_pems):
        blob.write_to_path(str(cert_file), append=index > 0)
