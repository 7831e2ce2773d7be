"""The configurations of these tests: the long form, with the real servers and the pretend vendor in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sidecar.vendor.server import DEMO_KEY, Vendor
from tests.servers.certificates import Certificates
from tests.servers.oidc import OidcProvider
from tests.servers.pocketbase import PocketBase

Section = dict[str, Any]
# The environment that these credentials take their keys from.
ENVIRON: Mapping[str, str] = {
    "OIDC_SECRET": "oidc-client-secret-of-the-tests",
    "POCKETBASE_PASSWORD": "pocketbase-password-of-the-tests",
    "VENDOR_KEY": DEMO_KEY,
}
# Tokens that live 5 s are renewed about 18 times a minute, which the usual budget would not allow.
SHORT_LIVES: Section = {"refresh": {"budget": "60/1m"}}


def oidc_credential(server: OidcProvider, **keys: Any) -> Section:
    """Return a credential of the oidc-provider's client that authenticates by Basic."""
    exchange = {"url": server.token_url, "basic": {"username": server.basic_client_id}}
    return {"preset": "oauth2", "api_key": {"env": "OIDC_SECRET"}, "exchange": exchange, **SHORT_LIVES, **keys}


def pocketbase_credential(server: PocketBase, **keys: Any) -> Section:
    """Return a credential of PocketBase's superuser."""
    exchange = {
        "url": server.exchange_url,
        "json": {"identity": server.identity, "password": "{api_key}"},
        "response": {"token": "/token"},
    }
    return {"api_key": {"env": "POCKETBASE_PASSWORD"}, "exchange": exchange, **SHORT_LIVES, **keys}


def vendor_credential(vendor: Vendor | str, **keys: Any) -> Section:
    """Return a credential of the pretend vendor, or of whatever speaks like it at this URL."""
    url = vendor if isinstance(vendor, str) else vendor.url
    return {
        "preset": "giantcontext",
        "api_key": {"env": "VENDOR_KEY"},
        "exchange": {"url": f"{url}/auth/token"},
        **SHORT_LIVES,
        **keys,
    }


def tls_upstream(url: str, certificates: Certificates) -> Section:
    """Return an https upstream that our own authority vouches for."""
    return {"url": url, "tls": {"ca_file": str(certificates.ca_file)}}


def route(name: str, upstream: Section | str, credential: str | None, **keys: Any) -> Section:
    """Return a route for everything under `/NAME/`, which the upstream does not see."""
    match = {"path": f"/{name}/"}
    return {"name": name, "match": match, "upstream": upstream, "strip_prefix": True, "credential": credential, **keys}
