"""haproxy as the proxy: one thread, connections reused, a fixed token."""

from __future__ import annotations

from pathlib import Path

from bench.site import UPLOAD, Site


def command(site: Site, port: int, directory: Path) -> list[str]:
    """Write the configuration; returns how to start it on `port`."""
    config = directory / "haproxy.cfg"
    config.write_text(_config(site, port), encoding="utf-8")
    return ["haproxy", "-db", "-f", str(config)]


def _config(site: Site, port: int) -> str:
    tls = f"ssl verify required ca-file {site.ca_file} sni str(localhost) ssl-min-ver TLSv1.3"
    return f"""global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 5s
  timeout client 75s
  timeout server 60s
  http-reuse always
frontend app
  bind 127.0.0.1:{port}
  http-request set-header Authorization "Bearer {site.token}"
  use_backend tls if {{ path_beg /tls/ }}
  use_backend helper if {{ path_beg {UPLOAD} }}
  default_backend plain
backend plain
  server origin 127.0.0.1:{site.plain_port}
backend tls
  server origin 127.0.0.1:{site.tls_port} {tls}
backend helper
  server origin 127.0.0.1:{site.helper_port}
"""
