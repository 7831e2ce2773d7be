"""Envoy as the proxy: one worker, its credential_injector exchanging at the token endpoint, all else by default."""

from __future__ import annotations

import json
from pathlib import Path

from bench.machine import envoy
from bench.site import UPLOAD, Site

_TYPE = "type.googleapis.com/envoy.extensions"


def command(site: Site, port: int, directory: Path) -> list[str]:
    """Write the configuration; returns how to start it on `port`."""
    config = directory / "envoy.json"
    config.write_text(json.dumps(_config(site, port), indent=1), encoding="utf-8")
    return [envoy(), "-c", str(config), "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]


def _config(site: Site, port: int) -> dict[str, object]:
    secret = {"name": "client-secret", "generic_secret": {"secret": {"inline_string": "bench"}}}
    clusters = [
        _cluster("plain", site.plain_port),
        {**_cluster("tls", site.tls_port), "transport_socket": _tls(site)},
        _cluster("helper", site.helper_port),
    ]
    return {"static_resources": {"secrets": [secret], "listeners": [_listener(site, port)], "clusters": clusters}}


def _listener(site: Site, port: int) -> dict[str, object]:
    routes = [
        {"match": {"prefix": UPLOAD}, "route": {"cluster": "helper"}},
        {"match": {"prefix": "/tls/"}, "route": {"cluster": "tls"}},
        {"match": {"prefix": "/"}, "route": {"cluster": "plain"}},
    ]
    manager = {
        "@type": f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "app",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            {"name": "credential_injector", "typed_config": _injector(site)},
            {"name": "router", "typed_config": {"@type": f"{_TYPE}.filters.http.router.v3.Router"}},
        ],
    }
    filters = [{"name": "http", "typed_config": manager}]
    return {"name": "app", "address": _address(port), "filter_chains": [{"filters": filters}]}


def _injector(site: Site) -> dict[str, object]:
    endpoint = {"uri": f"http://127.0.0.1:{site.helper_port}/token", "cluster": "helper", "timeout": "5s"}
    oauth2 = {
        "@type": f"{_TYPE}.http.injected_credentials.oauth2.v3.OAuth2",
        "token_endpoint": endpoint,
        "client_credentials": {"client_id": "bench", "client_secret": {"name": "client-secret"}},
    }
    return {
        "@type": f"{_TYPE}.filters.http.credential_injector.v3.CredentialInjector",
        "overwrite": True,
        "credential": {"name": "oauth2", "typed_config": oauth2},
    }


def _cluster(name: str, port: int) -> dict[str, object]:
    endpoint = {"endpoint": {"address": _address(port)}}
    assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}
    return {"name": name, "type": "STATIC", "connect_timeout": "5s", "load_assignment": assignment}


def _tls(site: Site) -> dict[str, object]:
    name = {"san_type": "DNS", "matcher": {"exact": "localhost"}}
    validation = {"trusted_ca": {"filename": str(site.ca_file)}, "match_typed_subject_alt_names": [name]}
    versions = {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"}
    context = {
        "@type": f"{_TYPE}.transport_sockets.tls.v3.UpstreamTlsContext",
        "sni": "localhost",
        "common_tls_context": {"validation_context": validation, "tls_params": versions},
    }
    return {"name": "tls", "typed_config": context}


def _address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
