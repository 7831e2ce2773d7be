"""From configuration to the objects that do the work. Nothing runs yet when it is done."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from sidecar.clock import Clock
from sidecar.config.values import Config, CredentialConfig, KeyConfig, RouteConfig, UpstreamConfig
from sidecar.credentials.credential import Credential, Exchanger
from sidecar.credentials.exchange import HTTPExchanger, StaticExchanger
from sidecar.credentials.key_file import FileKey
from sidecar.credentials.keys import Clean, EnvironmentKey, KeySource, LiteralKey, clean_key
from sidecar.credentials.masked import MaskedExchanger, MaskedSource
from sidecar.credentials.pem import clean_pem
from sidecar.credentials.succession import Successor
from sidecar.dataplane.dial import origin_of
from sidecar.dataplane.http1 import RequestReader, fold
from sidecar.dataplane.listener import Limits
from sidecar.dataplane.pool import Pool
from sidecar.gate import TOKEN_FIELD, Gate
from sidecar.route import Route
from sidecar.routes import METADATA_NAMES, Match, Routes
from sidecar.secret import Secret
from sidecar.shield import Shield
from sidecar.stats import Stats

if TYPE_CHECKING:
    from sidecar.forward import ForwardGate, ForwardRoutes

G = TypeVar("G", bound=Gate)

# Holds a key whatever the configuration says.
OWN_VARIABLES = frozenset({"SIDECAR_API_KEY"})

_log = logging.getLogger("sidecar")


@dataclass(frozen=True, slots=True)
class Made:
    """A credential, with the configuration that it was made from and the exchanger that it owns."""

    config: CredentialConfig
    credential: Credential
    exchanger: Exchanger


@dataclass(frozen=True, slots=True)
class Parts:
    """What one configuration is made into; a reload takes over those whose part of it has not changed.

    `forward` is gate and routes of forward proxies, None where there is none.
    """

    gate: Gate
    routes: Routes[Route]
    forward: tuple[ForwardGate, ForwardRoutes[Route]] | None
    by_name: Mapping[str, Route]
    reader: RequestReader
    limits: Limits
    credentials: Mapping[str, Made]
    pools: Mapping[UpstreamConfig, Pool]
    config: Config


def assemble(
    config: Config,
    stats: Stats,
    clock: Clock,
    gate_token: Secret | None,
    before: Parts | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
) -> Parts:
    """Make everything that a configuration asks for.

    Args:
        stats: what is counted, which outlives a reload.
        gate_token: what callers must send in Sidecar-Token, already read.
        before: the parts in use; those whose configuration is the same are taken over.
        environ: where keys are that stand in the environment.

    Raises:
        OSError: a certificate file cannot be read.
    """
    old_pools = before.pools if before is not None else {}
    old_made = before.credentials if before is not None else {}
    kept = {name: made for name, made in old_made.items() if made.config in config.credentials}
    # First what can fail: a credential may take over a token, with a timer for its end.
    exchangers = {wanted.name: exchanger(wanted, clock) for wanted in config.credentials if wanted.name not in kept}
    upstreams = {route.upstream for route in config.routes}
    pools = {upstream: old_pools.get(upstream) or _pool(upstream, config) for upstream in upstreams}
    credentials = {
        wanted.name: kept.get(wanted.name)
        or _credential(wanted, exchangers[wanted.name], config, stats, clock, environ, before)
        for wanted in config.credentials
    }
    routes = [
        (_match(route), _route(route, credentials.get(route.credential or ""), pools[route.upstream], stats))
        for route in config.routes
    ]
    gate = _gate(Gate, config, gate_token)
    found = Routes([*routes, *_hidden_metadata(config, routes)])
    forward = None
    # Connections that came in by one that a reload has closed go on, by the routes that there are.
    if any(address.is_forward for address in config.listen) or (before is not None and before.forward is not None):
        forward = _forward(config, gate_token, routes, found)
    watched = gate.watched.union(found.watched, *(route.dropped for _, route in routes))
    reader = RequestReader(config.limits.fields, watched)
    by_name = {route.name: route for _, route in routes}
    return Parts(gate, found, forward, by_name, reader, connection_limits(config), credentials, pools, config)


def _hidden_metadata(config: Config, routes: Sequence[tuple[Match, Route]]) -> Iterator[tuple[Match, Route]]:
    """Yield what gives the OAuth metadata of agent-safe routes to these: it stands outside of their own paths."""
    for wanted, (_, route) in zip(config.routes, routes, strict=True):
        if wanted.agent_safe and wanted.path != "/":
            for name in METADATA_NAMES:
                its = replace(wanted, path=f"/.well-known/{name}{wanted.path}", strip_prefix=False)
                yield _match(its), route


def _gate(kind: type[G], config: Config, token: Secret | None) -> G:
    return kind(origins=config.gate.origins, require_header=config.gate.require_header, require_token=token)


def _forward(
    config: Config, token: Secret | None, routes: Sequence[tuple[Match, Route]], found: Routes[Route]
) -> tuple[ForwardGate, ForwardRoutes[Route]]:
    from sidecar.forward import ForwardGate, ForwardRoutes, reaches

    each = [
        (match, route, reaches(its.path, its.host, its.upstream.url, strip_prefix=its.strip_prefix))
        for (match, route), its in zip(routes, config.routes, strict=True)
    ]
    return _gate(ForwardGate, config, token), ForwardRoutes(each, found)


def key_source(
    key: KeyConfig, config: Config, environ: Mapping[str, str] = os.environ, *, signs: bool = False
) -> KeySource:
    """Return where an API key is read from.

    Args:
        config: what else it names as holding a key, which no command gets to know.
        environ: where it is, if it stands in the environment.
        signs: the key is a private key, which signs and is never sent.
    """
    return MaskedSource(_key_source(key, config, environ, clean_pem if signs else clean_key))


def _key_source(key: KeyConfig, config: Config, environ: Mapping[str, str], clean: Clean) -> KeySource:
    match key.kind:
        case "env":
            return EnvironmentKey(key.name, environ, clean)
        case "file":
            return FileKey(key.name, clean)
        case "systemd":
            return FileKey(key.name, clean, kind="systemd", description=key.described)
        case "command":
            from sidecar.credentials.key_command import CommandKey

            withheld = config.key_variables | OWN_VARIABLES
            return CommandKey(
                key.argv, clean, ttl_s=key.ttl_s, timeout_s=key.timeout_s, environ=os.environ, withheld=withheld
            )
        case "keyring":
            from sidecar.credentials.key_keyring import KeyringKey

            service, _, user = key.name.rpartition("/")
            return KeyringKey(service, user, clean)
        case "value":
            assert key.value is not None  # noqa: S101  # a literal has its value
            return LiteralKey(key.value, clean)


async def gate_token(config: Config, environ: Mapping[str, str]) -> Secret | None:
    """Read what callers must send in Sidecar-Token; None where they need not.

    Raises:
        KeyUnavailable: it cannot be read.
    """
    if config.gate.require_token is None:
        return None
    source = key_source(config.gate.require_token, config, environ)
    token = await source.read()
    if source.advice is not None and source.kind != "env":
        _log.warning("gate.require_token: %s", source.advice)
    return token


def exchanger(config: CredentialConfig, clock: Clock) -> Exchanger:
    """Return what turns this credential's key into a token."""
    if config.exchange is None:
        return MaskedExchanger(StaticExchanger(config.inject, clock), config.name)
    return MaskedExchanger(
        HTTPExchanger(config.exchange, config.rejected, config.inject, config.refresh.default_ttl_s, clock),
        config.name,
    )


def _credential(
    wanted: CredentialConfig,
    exchanges: Exchanger,
    config: Config,
    stats: Stats,
    clock: Clock,
    environ: Mapping[str, str],
    before: Parts | None,
) -> Made:
    make: Callable[..., Credential] = Credential
    if before is not None and (old := before.credentials.get(wanted.name)) is not None:
        same = _same_issue(old.config, wanted)
        if wanted.inject == old.config.inject and (
            same or _upstreams(wanted, config) <= _upstreams(wanted, before.config)
        ):
            make = partial(Successor, before=old.credential, same_issue=same)
    credential = make(
        wanted.name,
        key_source(wanted.api_key, config, environ, signs=wanted.signs),
        exchanges,
        wanted.refresh,
        clock,
        stats.credential(wanted.name),
        most_waiting=config.limits.waiting,
        wait_s=config.limits.wait_for_token_s,
    )
    return Made(wanted, credential, exchanges)


def _same_issue(one: CredentialConfig, other: CredentialConfig) -> bool:
    """Whether both exchange the same key in the same way: each other's tokens are as good as their own."""
    return (one.api_key, one.exchange) == (other.api_key, other.exchange)


def _upstreams(credential: CredentialConfig, config: Config) -> set[str]:
    """Where the token of the credential of that name goes."""
    return {route.upstream.url for route in config.routes if route.credential == credential.name}


def _pool(upstream: UpstreamConfig, config: Config) -> Pool:
    return Pool(
        origin_of(upstream.url, upstream.tls),
        limits=upstream.pool,
        timeouts=upstream.timeouts,
        most_waiting=config.limits.waiting,
    )


def _match(route: RouteConfig) -> Match:
    return Match(
        route.path,
        host=route.host,
        strip_prefix=route.strip_prefix,
        upstream_prefix=urlsplit(route.upstream.url).path,
        allow=route.allow,
        agent_safe=route.agent_safe,
    )


def _route(route: RouteConfig, made: Made | None, pool: Pool, stats: Stats) -> Route:
    rules = made.config if made is not None else None
    dropped = {TOKEN_FIELD}
    if rules is not None:
        dropped |= {fold(name) for name in (rules.inject.header, *rules.inject.drop)}
    return Route(
        route.name,
        pool=pool,
        host=(route.upstream.host_header or urlsplit(route.upstream.url).netloc).encode(),
        credential=made.credential if made is not None else None,
        injected=fold(rules.inject.header) if rules is not None else b"",
        dropped=frozenset(dropped),
        reject_statuses=frozenset(rules.reject_statuses if rules is not None else ()),
        hold_down_s=rules.refresh.hold_down_s if rules is not None else 0.0,
        replay_body_bytes=route.replay_body_bytes,
        shield=Shield(rules.shield.path) if rules is not None and rules.shield is not None else None,
        agent_safe=route.agent_safe,
        stats=stats.route(route.name),
    )


def connection_limits(config: Config) -> Limits:
    """Return what one app connection may cost."""
    limits = config.limits
    return Limits(
        head_bytes=limits.head_bytes,
        fields=limits.fields,
        head_timeout_s=limits.head_timeout_s,
        idle_timeout_s=limits.idle_timeout_s,
        body_idle_timeout_s=limits.body_idle_timeout_s,
    )
