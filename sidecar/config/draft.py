"""The configuration as it was written: short form or long form, each value under the key that it stands at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sidecar.config.values import (
    Address,
    AdminConfig,
    CredentialConfig,
    DrainConfig,
    GateConfig,
    KeyConfig,
    LimitsConfig,
    LogConfig,
    RouteConfig,
    UpstreamConfig,
)


@dataclass(frozen=True, slots=True)
class Draft:
    """What was read. `listen` and `routes` are by the key they stand at, `credentials` by name."""

    listen: dict[str, Address] = field(default_factory=dict)
    gate: GateConfig = GateConfig()
    upstream: UpstreamConfig | None = None
    credential: CredentialConfig | None = None
    credentials: dict[str, CredentialConfig] = field(default_factory=dict)
    routes: dict[str, RouteConfig] = field(default_factory=dict)
    admin: AdminConfig = AdminConfig()
    limits: LimitsConfig = LimitsConfig()
    drain: DrainConfig = DrainConfig()
    log: LogConfig = LogConfig()
    fail_fast: bool = False

    def all_credentials(self) -> Iterator[tuple[str, CredentialConfig]]:
        """Yield the credentials of either form with the keys they stand at."""
        if self.credential is not None:
            yield "credential", self.credential
        for name, credential in self.credentials.items():
            yield f"credentials.{name}", credential

    def all_upstreams(self) -> Iterator[tuple[str, UpstreamConfig]]:
        """Yield the upstreams of either form with the keys they stand at."""
        if self.upstream is not None:
            yield "upstream", self.upstream
        for at, route in self.routes.items():
            yield f"{at}.upstream", route.upstream

    def all_keys(self) -> Iterator[tuple[str, KeyConfig]]:
        """Yield the sources of API keys, and of the gate's token, with the keys they stand at."""
        for at, credential in self.all_credentials():
            yield f"{at}.api_key", credential.api_key
        if self.gate.require_token is not None:
            yield "gate.require_token", self.gate.require_token
