"""Presets: what a credential need not say because its vendor is known. Data, and the rule by which it is laid under.

Any key of the credential replaces the preset's, key by key; null takes the preset's away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Generic, TypeVar

from sidecar.config.kinds import Kind, Schema
from sidecar.config.nodes import Node, Scalar, Table, is_null, node_of
from sidecar.config.notes import Notes

T = TypeVar("T")

_OAUTH_ANSWER: Mapping[str, object] = {"token": "/access_token", "expires_in": "/expires_in"}
PRESETS: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        # An API key of Giant Context for a JWT.
        "giantcontext": {
            "exchange": {
                "url": "https://api.giantcontext.com/auth/token",
                "json": {"apiKey": "{api_key}"},
                "response": {"token": "/token", "expires_at": "/expiresAt"},
            },
            # The API takes the key itself in this field; an app's placeholder would outrank the token.
            "inject": {"drop": ["X-Api-Key"]},
            "shield": {"path": "/auth/token"},
        },
        # RFC 6749 4.4, client credentials. The client is named by exchange.basic.username,
        # or, with basic: null, by client_id and client_secret in exchange.form.
        "oauth2": {
            "exchange": {
                "form": {"grant_type": "client_credentials"},
                "basic": {"password": "{api_key}", "form_encoded": True},
                "response": _OAUTH_ANSWER,
            },
        },
        # RFC 8693 2.1: the key is a token of another issuer. A JWT, since that is what a workload has (a Kubernetes
        # service account's, a CI job's); an opaque one takes another subject_token_type.
        "token-exchange": {
            "exchange": {
                "form": {
                    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
                    "subject_token": "{api_key}",
                    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
                },
                "response": _OAUTH_ANSWER,
            },
        },
        # RFC 7523 2.1: the key is a private key, and signs the grant.
        "jwt-bearer": {
            "exchange": {
                "sign": {"alg": "RS256"},
                "form": {
                    "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
                    "assertion": "{assertion}",
                },
                "response": _OAUTH_ANSWER,
            },
        },
        # An app's private key for the token of one of its installations. GitHub takes an assertion that ends at most
        # 10 minutes ahead and advises to date it 60 s back; its own says nothing but iat, exp and iss.
        "github-app": {
            "exchange": {
                "url": "https://api.github.com/app/installations/{installation}/access_tokens",
                "headers": {
                    "Authorization": "Bearer {assertion}",
                    "Accept": "application/vnd.github+json",
                    "X-GitHub-Api-Version": "2022-11-28",
                },
                "sign": {"alg": "RS256", "claims": {"aud": None, "jti": None}, "life": "9m", "backdate": "60s"},
                "response": {"token": "/token", "expires_at": "/expires_at"},
            },
            # Its 403 is a rate limit as well, and says nothing about the key.
            "rejected": {"statuses": [401]},
        },
        # The key is the token: no exchange, no expiry.
        "static": {},
    }
)
# What a preset says of a table only where that is written: here, how a client that authenticates does it.
_IF_GIVEN: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {name: {"exchange": {"basic": {"form_encoded": True}}} for name in ("token-exchange", "jwt-bearer")}
)
# The API behind a preset: the short form's upstream where none is given.
UPSTREAMS: Mapping[str, str] = MappingProxyType(
    {"giantcontext": "https://api.giantcontext.com", "github-app": "https://api.github.com"}
)
# What clients of the API behind a preset read from their environment, as templates: where the API is, and a key that is
# none. Scripts that read them run unchanged.
CLIENT_VARIABLES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"giantcontext": {"GIANTCONTEXT_BASE_URL": "{url}", "GIANTCONTEXT_API_KEY": "{placeholder}"}}
)
# What to give an app that insists on a key. The shield knows its vendor's, and warns of any other that looks real.
PLACEHOLDERS: Mapping[str, str] = MappingProxyType({"giantcontext": "gct_placeholder"})

# One value rather than keys of ours: replaced as a whole.
_WHOLE = frozenset({"json"})
# The body is one of these, so a credential that gives one puts the preset's other aside.
_RIVALS = MappingProxyType({"json": "form", "form": "json"})


@dataclass(frozen=True, slots=True)
class WithPreset(Generic[T]):
    """A section whose `preset` key names what is laid under the keys that were written."""

    section: Kind[T]
    suffix: str = ""

    def read(self, node: Node, at: str, notes: Notes) -> T:
        return self.section.read(laid_over_preset(node, notes) if isinstance(node, Table) else node, at, notes)

    def schema(self) -> Schema:
        return self.section.schema()


def laid_over_preset(table: Table, notes: Notes) -> Table:
    """Return a credential's keys with its preset's under them."""
    chosen = table.get("preset")
    if not isinstance(chosen, Scalar):
        return table
    try:
        name = notes.expanded(chosen)
        preset = PRESETS[name]
    except (ValueError, KeyError):
        return table  # reading the key itself notes the mistake
    base, if_given = (node_of(data, chosen.place) for data in (preset, _IF_GIVEN.get(name, {})))
    if isinstance(base, Table) and isinstance(if_given, Table):
        table = _merged(_merged(table, base), if_given, adds_tables=False)
    return table


def _merged(over: Table, base: Table, *, adds_tables: bool = True) -> Table:
    """Return `over` with what only `base` says, down through every table but the whole ones.

    Args:
        adds_tables: also tables of which `over` has none; else only what is in those that it has.
    """
    entries = tuple(
        (key, _merged_value(key.text, value, base.get(key.text), adds_tables)) for key, value in over.entries
    )
    rest = tuple(
        (key, value)
        for key, value in base.entries
        if not _is_replaced(key.text, over) and (adds_tables or not isinstance(value, Table))
    )
    return replace(over, entries=entries + rest)


def _merged_value(name: str, over: Node, base: Node | None, adds_tables: bool) -> Node:
    if isinstance(over, Table) and isinstance(base, Table) and name not in _WHOLE:
        return _merged(over, base, adds_tables=adds_tables)
    return over


def _is_replaced(name: str, over: Table) -> bool:
    rival = over.get(_RIVALS.get(name, ""))
    return over.get(name) is not None or (rival is not None and not is_null(rival))
