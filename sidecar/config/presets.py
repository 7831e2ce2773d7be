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
                "basic": {"password": "{api_key}"},
                "response": {"token": "/access_token", "expires_in": "/expires_in"},
            },
        },
        # The key is the token: no exchange, no expiry.
        "static": {},
    }
)
# The API behind a preset: the short form's upstream where none is given.
UPSTREAMS: Mapping[str, str] = MappingProxyType({"giantcontext": "https://api.giantcontext.com"})

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
        return self.section.read(_laid_over_preset(node, notes) if isinstance(node, Table) else node, at, notes)

    def schema(self) -> Schema:
        return self.section.schema()


def _laid_over_preset(table: Table, notes: Notes) -> Table:
    chosen = table.get("preset")
    if not isinstance(chosen, Scalar):
        return table
    try:
        preset = PRESETS[notes.expanded(chosen)]
    except (ValueError, KeyError):
        return table  # reading the key itself notes the mistake
    base = node_of(preset, chosen.place)
    return _merged(table, base) if isinstance(base, Table) else table


def _merged(over: Table, base: Table) -> Table:
    """Return `over` with what only `base` says, down through every table but the whole ones."""
    entries = tuple((key, _merged_value(key.text, value, base.get(key.text))) for key, value in over.entries)
    rest = tuple((key, value) for key, value in base.entries if not _is_replaced(key.text, over))
    return replace(over, entries=entries + rest)


def _merged_value(name: str, over: Node, base: Node | None) -> Node:
    if isinstance(over, Table) and isinstance(base, Table) and name not in _WHOLE:
        return _merged(over, base)
    return over


def _is_replaced(name: str, over: Table) -> bool:
    rival = over.get(_RIVALS.get(name, ""))
    return over.get(name) is not None or (rival is not None and not is_null(rival))
