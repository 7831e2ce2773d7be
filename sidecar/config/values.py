"""The configuration as frozen values: what `load` returns and only `app.py` reads.

Durations are seconds (names end in `_s`), sizes are bytes (`_bytes`). Secrets
are `Secret`. Defaults that users may rely on are those of `config.example.yaml`.
"""

from __future__ import annotations

import os.path
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from sidecar.credentials.rules import ExchangeRules, Injection, RefreshRules, RejectedRules
from sidecar.dataplane.limits import PoolLimits, Timeouts
from sidecar.gate import HeaderRule
from sidecar.routes import Allow
from sidecar.secret import Secret
from sidecar.tls import TLSRules


@dataclass(frozen=True, slots=True)
class Address:
    """A socket to listen on: `host` and `port`, or `path` for a unix socket.

    `mode` is what is spoken there, by apps that take it for the API, or for a proxy. The socket is the same in both.
    """

    host: str = ""
    port: int = 0
    path: str | None = None
    mode: Literal["reverse", "forward"] = field(default="reverse", compare=False)

    @property
    def is_forward(self) -> bool:
        """Whether it is a forward proxy: apps cannot take it for a base URL."""
        return self.mode == "forward"

    @property
    def described(self) -> str:
        """The address for people, with what it is where that is not the usual."""
        return f"{self} (forward proxy)" if self.is_forward else str(self)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it (127.0.0.0/8, ::1, localhost, a unix socket)."""
        return self.path is not None or self.host.lower() in {"localhost", "::1"} or self.host.startswith("127.")

    @property
    def name(self) -> str | None:
        """How a Host names it, without the port; None where it has no name: every address at once, or a unix socket."""
        if self.path is not None or self.host in {"0.0.0.0", "::"}:  # noqa: S104  # to tell it, not to listen there
            return None
        return f"[{self.host}]" if ":" in self.host else self.host

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class KeyConfig:
    """Where an API key (or the gate's token) comes from.

    `name` is the environment variable, the path of the file or of systemd's credential, the program's path, the
    keyring's `service/user`, or "" for a literal. `argv`, `ttl_s` (None: asked again only when refused) and
    `timeout_s` are a command's.
    """

    kind: Literal["env", "file", "systemd", "command", "keyring", "value"]
    name: str = ""
    value: Secret | None = field(default=None, repr=False)
    argv: tuple[str, ...] = field(default=(), repr=False)
    ttl_s: float | None = None
    timeout_s: float = 30.0

    @property
    def described(self) -> str:
        """What completes "the API key from ..."; of a command the name alone, since an argument may be a secret."""
        return {
            "env": f"environment variable {self.name}",
            "file": f"file {self.name}",
            "systemd": f"systemd credential {os.path.basename(self.name)}",
            "command": f"command {os.path.basename(self.name)}",
            "keyring": f"keyring entry {self.name}",
            "value": "the configuration",
        }[self.kind]


@dataclass(frozen=True, slots=True)
class ShieldConfig:
    """The path at which the vendor's own SDKs exchange keys; answered locally."""

    path: str


@dataclass(frozen=True, slots=True)
class CredentialConfig:
    """One API key and the rules for its token. `exchange` None: the key is the token (preset `static`)."""

    name: str
    api_key: KeyConfig
    preset: str | None = None
    exchange: ExchangeRules | None = None
    inject: Injection = Injection()
    shield: ShieldConfig | None = None
    rejected: RejectedRules = RejectedRules()
    refresh: RefreshRules = RefreshRules()
    reject_statuses: tuple[int, ...] = (401,)

    @property
    def signs(self) -> bool:
        """Whether the key is a private key, which signs what is exchanged and is never sent."""
        return self.exchange is not None and self.exchange.sign is not None


@dataclass(frozen=True, slots=True)
class UpstreamConfig:
    """An origin. `url` is scheme://host[:port][/prefix]; `host_header` None means the URL's authority."""

    url: str
    host_header: str | None = None
    tls: TLSRules = TLSRules()
    timeouts: Timeouts = Timeouts()
    pool: PoolLimits = PoolLimits()
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class RouteConfig:
    """What goes where, with whose token."""

    name: str
    upstream: UpstreamConfig
    path: str = "/"
    host: str | None = None
    strip_prefix: bool = False
    credential: str | None = None
    allow: tuple[Allow, ...] = ()
    replay_body_bytes: int = 1024 * 1024
    agent_safe: bool = False


@dataclass(frozen=True, slots=True)
class GateConfig:
    """Who may use the listeners."""

    expose: bool = False
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    peer_uids: tuple[int, ...] = ()
    socket_mode: int = 0o660
    require_header: HeaderRule | None = None
    require_token: KeyConfig | None = None


@dataclass(frozen=True, slots=True)
class AdminConfig:
    """The admin listener."""

    listen: Address = Address("127.0.0.1", 8081)
    quit: bool = False


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """Bounds on what apps can make the sidecar hold.

    `connections` None: half of the file-descriptor limit, at most 10,000.
    """

    connections: int | None = None
    replay_memory_bytes: int = 32 * 1024 * 1024
    head_bytes: int = 64 * 1024
    fields: int = 100
    head_timeout_s: float = 10.0
    idle_timeout_s: float = 75.0
    body_idle_timeout_s: float = 60.0
    waiting: int = 1000
    wait_for_token_s: float = 10.0


@dataclass(frozen=True, slots=True)
class DrainConfig:
    """How a stop goes: `lame_duck_s` still accepting but not ready, then at most `most_s` for what runs."""

    lame_duck_s: float = 0.0
    most_s: float = 25.0


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"
    access: bool = False


# No secrets, whatever a string makes of them, and a command would not run without.
_OF_THE_SYSTEM = frozenset("HOME HOSTNAME LANG LOGNAME PATH PWD SHELL TERM TMPDIR USER".split())


class Written(NamedTuple):
    """A key that was written somewhere: its value as people may see it, and where it was written.

    `variables` are those of the environment, as `${NAME}`, that make up a value which nobody may see.
    """

    key: str
    value: str
    origin: str
    variables: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Config:
    """Everything.

    `source` is the file's path, or "" where there was none. `written` is what was written, for people; None where
    the configuration was not read.
    """

    listen: tuple[Address, ...]
    credentials: tuple[CredentialConfig, ...]
    routes: tuple[RouteConfig, ...]
    gate: GateConfig = GateConfig()
    admin: AdminConfig = AdminConfig()
    limits: LimitsConfig = LimitsConfig()
    drain: DrainConfig = DrainConfig()
    log: LogConfig = LogConfig()
    fail_fast: bool = False
    warnings: tuple[str, ...] = ()
    source: str = ""
    written: tuple[Written, ...] | None = field(default=None, compare=False)

    @property
    def insecure_count(self) -> int:
        """How many upstreams and token endpoints may be reached by plain http, whatever lies on the way."""
        upstreams = {route.upstream for route in self.routes}
        exchanges = [credential.exchange for credential in self.credentials if credential.exchange is not None]
        return sum(upstream.insecure for upstream in upstreams) + sum(exchange.insecure for exchange in exchanges)

    @property
    def key_variables(self) -> frozenset[str]:
        """The environment variables that hold API keys, or the gate's token, by name or as `${NAME}` in a string."""
        sources = [*(credential.api_key for credential in self.credentials), self.gate.require_token]
        named = frozenset(source.name for source in sources if source is not None and source.kind == "env")
        return named | self._used_unseen("credential", "gate.")

    @property
    def exchange_variables(self) -> frozenset[str]:
        """Those that, as `${NAME}`, make up an API key, or what else an exchange shows: a password, a field."""
        return self._used_unseen("credential")

    def _used_unseen(self, *under: str) -> frozenset[str]:
        used = (one.variables for one in self.written or () if one.key.startswith(under))
        return frozenset().union(*used) - _OF_THE_SYSTEM
