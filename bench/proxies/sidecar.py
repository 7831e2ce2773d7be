"""The sidecar as the proxy: its defaults, an API key from a file, an exchange at the token endpoint."""

from __future__ import annotations

import compileall
import json
import os
import sys
from pathlib import Path

import sidecar
from bench.process import free_port
from bench.site import UPLOAD, Site


def command(site: Site, port: int, directory: Path) -> list[str]:
    """Write the configuration; returns how to start it on `port`."""
    # As an installation has it; a checkout may be run where Python is told to keep no byte code.
    compileall.compile_dir(sidecar.__path__[0], quiet=1)
    key = directory / "api-key"
    key.write_text("bench", encoding="utf-8")
    key.chmod(0o600)
    # As keys are at a start: one written less than a second before is read twice, a quarter of a second apart.
    os.utime(key, (0, 0))
    config = directory / "sidecar.yaml"
    # JSON is YAML, and needs no library here.
    config.write_text(json.dumps(_config(site, port, key), indent=1), encoding="utf-8")
    return [sys.executable, "-m", "sidecar", "run", "-c", str(config)]


def _config(site: Site, port: int, key: Path) -> dict[str, object]:
    exchange = {
        "url": f"http://127.0.0.1:{site.helper_port}/token",
        "form": {"grant_type": "client_credentials", "client_id": "bench", "client_secret": "{api_key}"},
        "response": {"token": "/access_token", "expires_in": "/expires_in"},
    }
    tls = {
        "url": f"https://127.0.0.1:{site.tls_port}",
        "tls": {"ca_file": str(site.ca_file), "server_name": "localhost"},
    }
    upstreams: dict[str, object] = {
        "/": f"http://127.0.0.1:{site.plain_port}",
        "/tls/": tls,
        UPLOAD: f"http://127.0.0.1:{site.helper_port}",
    }
    return {
        "listen": [f"127.0.0.1:{port}"],
        "credentials": {"bench": {"api_key": {"file": str(key)}, "exchange": exchange}},
        "routes": [
            {"match": {"path": path}, "upstream": upstream, "credential": "bench"}
            for path, upstream in upstreams.items()
        ],
        "admin": {"listen": f"127.0.0.1:{free_port()}"},
    }
