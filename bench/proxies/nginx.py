"""nginx as the proxy: one worker, keep-alive upstream, bodies streamed, a fixed token."""

from __future__ import annotations

from pathlib import Path

from bench.site import UPLOAD, Site, nginx_command, nginx_head


def command(site: Site, port: int, directory: Path) -> list[str]:
    """Write the configuration; returns how to start it on `port`."""
    config = directory / "nginx.conf"
    config.write_text(_config(site, port, directory), encoding="utf-8")
    return nginx_command(config)


def _config(site: Site, port: int, directory: Path) -> str:
    pool = "keepalive 64; keepalive_requests 1000000000;"
    return f"""{nginx_head(directory, "nginx")}
  upstream plain {{ server 127.0.0.1:{site.plain_port}; {pool} }}
  upstream tls {{ server 127.0.0.1:{site.tls_port}; {pool} }}
  upstream helper {{ server 127.0.0.1:{site.helper_port}; {pool} }}
  server {{
    listen 127.0.0.1:{port};
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Authorization "Bearer {site.token}";
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    proxy_ssl_trusted_certificate {site.ca_file};
    proxy_ssl_verify on;
    proxy_ssl_name localhost;
    proxy_ssl_server_name on;
    proxy_ssl_protocols TLSv1.3;
    location / {{ proxy_pass http://plain; }}
    location /tls/ {{ proxy_pass https://tls; }}
    location {UPLOAD} {{ proxy_pass http://helper; }}
  }}
}}
"""
