"""Bodies flow through: 256 MB either way, and an app that hardly reads, leave the process as small as it was."""

from __future__ import annotations

import hashlib
import http.client
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.main_job.configuration import route, tls_upstream
from tests.main_job.process import SidecarProcess
from tests.servers.certificates import Certificates
from tests.servers.nginx import Nginx

MIB = 1024 * 1024
SIZE_BYTES = 256 * MIB
MOST_GROWTH_BYTES = 4 * MIB
PIECE_BYTES = 256 * 1024
PATIENCE_S = 20.0
SLOW_BYTES_PER_S = 1_000_000
SLOW_FOR_S = 4.0


@pytest.fixture(scope="module")
def sidecar(
    tmp_path_factory: pytest.TempPathFactory, shared_nginx: Nginx, certificates: Certificates
) -> Iterator[SidecarProcess]:
    """A sidecar that has carried bodies both ways before."""
    configuration = {
        "credentials": {"crm": {"preset": "static", "api_key": {"env": "CRM_KEY"}}},
        "routes": [route("crm", tls_upstream(shared_nginx.https_url, certificates), "crm")],
    }
    process = SidecarProcess(tmp_path_factory.mktemp("sidecar"), configuration, {"CRM_KEY": "crm-key-of-the-tests"})
    shared_nginx.make_file("warm", 8 * MIB)
    with process:
        for _ in range(3):
            upload(process, shared_nginx.files_directory / "warm", "warm")
            download(process, "warm")
        yield process


@pytest.fixture(scope="module")
def content(shared_nginx: Nginx) -> str:
    """The SHA-256 of nginx's file `large`."""
    return shared_nginx.make_file("large", SIZE_BYTES)


def connect(process: SidecarProcess) -> http.client.HTTPConnection:
    """Return a connection to the sidecar."""
    return http.client.HTTPConnection("127.0.0.1", process.port, timeout=PATIENCE_S)


def upload(process: SidecarProcess, file: Path, name: str) -> int:
    """Put a file to nginx; return the status."""
    connection = connect(process)
    try:
        with file.open("rb") as body:
            connection.blocksize = PIECE_BYTES
            connection.request("PUT", f"/crm/upload/{name}", body, {"Content-Length": str(file.stat().st_size)})
            with connection.getresponse() as response:
                response.read()
                return response.status
    finally:
        connection.close()


def download(process: SidecarProcess, name: str, folder: str = "files") -> str:
    """Get a file from nginx; return the SHA-256 of what came."""
    connection = connect(process)
    try:
        connection.request("GET", f"/crm/{folder}/{name}")
        digest, piece = hashlib.sha256(), bytearray(PIECE_BYTES)
        with connection.getresponse() as response:
            assert response.status == 200
            while size := response.readinto(piece):
                digest.update(memoryview(piece)[:size])
        return digest.hexdigest()
    finally:
        connection.close()


def growth_since(process: SidecarProcess, before_bytes: int) -> int:
    """Return by how much the peak since `forget_peak` exceeds what was held before."""
    return process.peak_bytes() - before_bytes


def test_a_large_upload(sidecar: SidecarProcess, shared_nginx: Nginx, content: str) -> None:
    """256 MB arrive whole; the process grows by 4 MB at most."""
    before_bytes = sidecar.resident_bytes()
    sidecar.forget_peak()
    assert upload(sidecar, shared_nginx.files_directory / "large", "large") in (201, 204)
    assert growth_since(sidecar, before_bytes) <= MOST_GROWTH_BYTES
    assert shared_nginx.upload_sha256("large") == content
    (shared_nginx.uploads_directory / "large").unlink()


@pytest.mark.parametrize("folder", ["files", "chunked"])
def test_a_large_download(sidecar: SidecarProcess, content: str, folder: str) -> None:
    """256 MB arrive whole, sized and chunked; the process grows by 4 MB at most."""
    before_bytes = sidecar.resident_bytes()
    sidecar.forget_peak()
    assert download(sidecar, "large", folder) == content
    assert growth_since(sidecar, before_bytes) <= MOST_GROWTH_BYTES


def test_an_app_that_reads_slowly(sidecar: SidecarProcess, content: str) -> None:
    """At 1 MB/s what the upstream has ready stays there, and is not held here."""
    before_bytes = sidecar.resident_bytes()
    sidecar.forget_peak()
    connection = connect(sidecar)
    try:
        connection.request("GET", "/crm/files/large")
        response = connection.getresponse()
        assert response.status == 200
        began_s, read_bytes = time.monotonic(), 0
        while (passed_s := time.monotonic() - began_s) < SLOW_FOR_S:
            read_bytes += len(response.read1(PIECE_BYTES // 8))
            time.sleep(max(0.0, read_bytes / SLOW_BYTES_PER_S - passed_s))
        response.close()
    finally:
        connection.close()
    assert 0.8 * SLOW_FOR_S * SLOW_BYTES_PER_S < read_bytes < 1.2 * SLOW_FOR_S * SLOW_BYTES_PER_S
    assert growth_since(sidecar, before_bytes) <= MOST_GROWTH_BYTES
