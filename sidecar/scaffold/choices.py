"""What a person has chosen for the configuration that `sidecar init` writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from sidecar.config.presets import PRESETS, UPSTREAMS

# A vendor without a preset: the exchange is written out, to be changed.
NO_PRESET = "none"
# In the order of the question, each with what tells a person that it is theirs.
PURPOSES: Mapping[str, str] = MappingProxyType(
    {
        "giantcontext": "an API key of Giant Context",
        "oauth2": "a client id and its secret (OAuth client credentials)",
        "token-exchange": "another issuer's token, such as a CI job's",
        "jwt-bearer": "a private key that signs, such as a service account's",
        "github-app": "a GitHub app's private key",
        "static": "the key is the token: no exchange",
        NO_PRESET: "another vendor: you write its exchange into the file",
    }
)
KEY_FILE_NAME = "api-key"
LISTEN = "127.0.0.1:8080"
ADMIN_LISTEN = "127.0.0.1:8081"
_EXAMPLE_UPSTREAM = "https://api.example.com"


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Where the API key is: the kind of key source, and its path, variable, or SERVICE/USER."""

    kind: Literal["file", "env", "keyring"]
    name: str


@dataclass(frozen=True, slots=True)
class Choices:
    """What the configuration says.

    `preset` is one of PURPOSES; `upstream` "" is the preset's own API.
    """

    preset: str
    key: KeyPlace
    upstream: str
    listen: str = LISTEN
    admin_listen: str = ADMIN_LISTEN

    @property
    def origin(self) -> str:
        """The upstream's URL, as it is in force."""
        return self.upstream or UPSTREAMS.get(self.preset, _EXAMPLE_UPSTREAM)


def has_api(preset: str) -> bool:
    """Whether the preset knows the API, so that no upstream need be given."""
    return preset in UPSTREAMS


def keyring_entry(preset: str) -> str:
    """Return the keyring's entry for a key, where nobody named one."""
    return f"sidecar/{preset if preset in PRESETS else 'default'}"
