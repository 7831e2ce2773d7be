"""nginx as the upstream: HTTPS, HTTPS with client certificates, and plain HTTP, with a log of what it saw.

| path | answers |
|---|---|
| `/files/NAME` | a file of `files_directory`, with its length; ranges too |
| `/chunked/NAME` | the same file, chunked |
| `/gzip/NAME` | the same file, compressed where the client takes gzip |
| `PUT /upload/NAME` | 201 or 204, the body stored in `uploads_directory` |
| `POST /sink` | 200 once the whole body was read |
| `/status/401`, `403`, `404`, `429`, `500`, `503` | that status |
| anything else | 200, `METHOD TARGET` and a line feed, the target as received |

It does not verify tokens. Nothing that it answers holds what was in Authorization; the log does.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from tests.ports import free_port
from tests.servers import programs
from tests.servers.certificates import Certificates
from tests.servers.process import POLL_S, ServerProcess, accepts

BLOCK_BYTES = 1024 * 1024

CONFIGURATION = """
daemon off;
master_process off;
pid nginx.pid;
%(user)s
error_log stderr warn;
events { worker_connections 4096; }
http {
    log_format seen escape=json '{"ended_at":$msec,"duration_s":$request_time,"method":"$request_method",'
        '"target":"$request_uri","host":"$http_host","status":$status,"authorization":"$http_authorization",'
        '"connection":$connection,"request_bytes":$request_length,"response_bytes":$bytes_sent,'
        '"server_name":"$ssl_server_name","client_certificate":"$ssl_client_s_dn"}';
    access_log access.log seen;
    client_body_temp_path tmp; proxy_temp_path tmp; fastcgi_temp_path tmp; uwsgi_temp_path tmp; scgi_temp_path tmp;
    default_type text/plain;
    sendfile on;
    keepalive_requests 1000000;
    client_max_body_size 0;
    large_client_header_buffers 8 64k;
    ssl_certificate %(cert)s;
    ssl_certificate_key %(key)s;
    ssl_client_certificate %(ca)s;
    server {
        listen 127.0.0.1:%(http)d;
        listen 127.0.0.1:%(https)d ssl;
        include locations.conf;
    }
    server {
        listen 127.0.0.1:%(mtls)d ssl;
        ssl_verify_client on;
        include locations.conf;
    }
    server {
        listen unix:sink.sock;
        access_log off;
        location / { return 200 "read\\n"; }
    }
}
"""

LOCATIONS = """
location /files/ { alias files/; }
location /chunked/ { alias files/; ssi on; ssi_types *; }
location /gzip/ { alias files/; gzip on; gzip_types *; }
location /upload/ { alias uploads/; dav_methods PUT; }
location = /sink { proxy_pass http://unix:sink.sock; }
location = /status/401 { add_header WWW-Authenticate 'Bearer error="invalid_token"' always; return 401 "no\\n"; }
location = /status/403 { return 403 "no\\n"; }
location = /status/404 { return 404 "no\\n"; }
location = /status/429 { add_header Retry-After 1 always; return 429 "later\\n"; }
location = /status/500 { return 500 "broken\\n"; }
location = /status/503 { return 503 "later\\n"; }
location / { return 200 "$request_method $request_uri\\n"; }
"""


# Within a millisecond, on a machine that is not busy.
_LOGGED_WITHIN_S = 0.05


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as nginx saw it. Times are wall-clock seconds; texts are "" where there was none."""

    ended_at: float
    duration_s: float
    method: str
    target: str
    host: str
    status: int
    authorization: str
    connection: int
    request_bytes: int
    response_bytes: int
    server_name: str
    client_certificate: str

    @property
    def started_at(self) -> float:
        """When its first byte came."""
        return self.ended_at - self.duration_s


class Nginx(ServerProcess):
    """An nginx of our own, on three free ports.

    Args:
        directory: an empty one; everything that it reads and writes is there.
        certificates: its own, and the authority of the clients it admits to `mtls_url`.
    """

    def __init__(self, directory: Path, certificates: Certificates) -> None:
        self.certificates = certificates
        self.files_directory = directory / "files"
        self.uploads_directory = directory / "uploads"
        self.access_log = directory / "access.log"
        self.http_port, self.https_port, self.mtls_port = free_port(), free_port(), free_port()
        self.http_url = f"http://127.0.0.1:{self.http_port}"
        self.https_url = f"https://localhost:{self.https_port}"
        self.mtls_url = f"https://localhost:{self.mtls_port}"
        for folder in (self.files_directory, self.uploads_directory, directory / "tmp"):
            folder.mkdir()
        configuration = CONFIGURATION % {
            "user": "user root;" if os.geteuid() == 0 else "",
            "cert": certificates.server_cert_file,
            "key": certificates.server_key_file,
            "ca": certificates.ca_file,
            "http": self.http_port,
            "https": self.https_port,
            "mtls": self.mtls_port,
        }
        (directory / "nginx.conf").write_text(configuration)
        (directory / "locations.conf").write_text(LOCATIONS)
        command: list[str | Path] = [programs.require("nginx"), "-p", directory, "-c", "nginx.conf"]
        super().__init__(command, directory, ready=lambda: accepts(self.https_port))

    def make_file(self, name: str, size_bytes: int) -> str:
        """Write a file whose blocks all differ, a whole number of MiB; return its SHA-256 in hex."""
        digest = hashlib.sha256()
        with (self.files_directory / name).open("wb") as file:
            for index in range(size_bytes // BLOCK_BYTES):
                block = index.to_bytes(16, "big") * (BLOCK_BYTES // 16)
                digest.update(block)
                file.write(block)
        return digest.hexdigest()

    def upload_sha256(self, name: str) -> str:
        """Return the SHA-256 in hex of what was put to `/upload/NAME`."""
        with (self.uploads_directory / name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def seen(self, at_least: int = 0, within_s: float = 5.0) -> list[Seen]:
        """Return the requests logged since the last `forget()`, in the order in which they ended.

        nginx logs a request after its last byte has left, so a test that just got its answer says how many it expects.
        """
        deadline = time.monotonic() + within_s
        while len(lines := self._log_lines()) < at_least and time.monotonic() < deadline:
            time.sleep(POLL_S)
        return [Seen(**json.loads(line)) for line in lines]

    def forget(self) -> None:
        """Empty the log, once what is over has been logged: nginx does that after the last byte."""
        size = -1
        while size != (now := self.access_log.stat().st_size):
            size = now
            time.sleep(_LOGGED_WITHIN_S)
        os.truncate(self.access_log, 0)

    def _log_lines(self) -> list[str]:
        text = self.access_log.read_text()
        return text[: text.rfind("\n") + 1].splitlines()
