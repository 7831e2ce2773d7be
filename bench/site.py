"""What stands behind every proxy: an nginx (plain and TLS), the helper, a certificate, the files.

The nginx answers only requests that carry a bearer token, so that a proxy that injects none fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.helper import jwt
from bench.process import Process, free_port, wait_listening

MB = 1_000_000
BODY_BYTES = 10 * MB
LARGE_BYTES = 256 * MB
SMALL = "/small"  # a JSON answer of about 130 bytes
SMALL_UNLIKE = "/unlike/small"  # the same, with an id that no two answers share
SMALL_TLS = "/tls/small"  # the same, over TLS from the proxy on
BODY = "/body"
LARGE = "/large"
UPLOAD = "/upload"


@dataclass(frozen=True, slots=True)
class Site:
    """Where the proxies' upstreams are."""

    directory: Path
    plain_port: int
    tls_port: int
    helper_port: int
    ca_file: Path
    token: str  # for the proxies that exchange nothing


@contextmanager
def started(directory: Path, core: int) -> Iterator[Site]:
    """Start everything that is behind a proxy on `core`; end it on exit."""
    for path, size in ((BODY, BODY_BYTES), (LARGE, LARGE_BYTES)):
        with (directory / path.strip("/")).open("wb") as file:
            file.truncate(size)
    _make_certificate(directory)
    site = Site(directory, free_port(), free_port(), free_port(), directory / "cert.pem", jwt())
    config = directory / "origin.conf"
    config.write_text(_nginx(site), encoding="utf-8")
    helper_command = [sys.executable, "-m", "bench.helper", str(site.helper_port)]
    with ExitStack() as stack:
        origin = stack.enter_context(Process(nginx_command(config), core=core, log=directory / "origin.log"))
        helper = stack.enter_context(Process(helper_command, core=core, log=directory / "helper.log"))
        wait_listening(origin, site.plain_port)
        wait_listening(helper, site.helper_port)
        yield site


def nginx_command(config: Path) -> list[str]:
    """An nginx in the foreground that keeps to its own directory."""
    return ["nginx", "-p", str(config.parent), "-e", "stderr", "-c", str(config)]


def nginx_head(directory: Path, name: str) -> str:
    """What both nginx configurations begin with; the `http` block is left open."""
    temporary = "\n".join(f"  {kind}_temp_path {directory}/{name}-{kind};" for kind in _TEMPORARY)
    # Workers of a root-started nginx would lose the rights to the benchmark's private directory.
    user = "user root;" if os.geteuid() == 0 else ""
    return f"""{user}
daemon off;
worker_processes 1;
error_log stderr warn;
pid {directory}/{name}.pid;
events {{ worker_connections 8192; }}
http {{
{temporary}
  access_log off;
  keepalive_requests 1000000000;
  client_max_body_size 0;
"""


_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
_JSON = '{"id": 7, "name": "Ada Lovelace", "email": "ada@example.com", "tags": ["first", "second"], "active": true}'


def _nginx(site: Site) -> str:
    return f"""{nginx_head(site.directory, "origin")}
  map $http_authorization $authenticated {{ default 0; "~^Bearer [-_A-Za-z0-9]+[.]" 1; }}
  sendfile on;
  server {{
    listen 127.0.0.1:{site.plain_port};
    listen 127.0.0.1:{site.tls_port} ssl;
    ssl_certificate {site.ca_file};
    ssl_certificate_key {site.directory}/key.pem;
    ssl_protocols TLSv1.3;
    if ($authenticated = 0) {{ return 401; }}
    location {SMALL} {{ default_type application/json; return 200 '{_JSON}'; }}
    location {SMALL_UNLIKE} {{
      default_type application/json; add_header X-Request-Id $request_id; return 200 '{_JSON}';
    }}
    location {SMALL_TLS} {{ default_type application/json; return 200 '{_JSON}'; }}
    location / {{ root {site.directory}; }}
  }}
}}
"""


def _make_certificate(directory: Path) -> None:
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command = ["openssl", "req", "-x509", *key, "-days", "2", "-subj", "/CN=localhost", "-addext", names]
    files = ["-keyout", str(directory / "key.pem"), "-out", str(directory / "cert.pem")]
    subprocess.run([*command, *files], check=True, capture_output=True)
