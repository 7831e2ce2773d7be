"""From file, flags and environment to the frozen `Config`, or to every mistake at once.

`read_file → laid_over → ROOT.read → check_across → Config`: a tree of nodes that know
their places, read by the table in `keys.py` into a draft under the user's own keys,
from which the short form becomes one route and one credential like any other.
"""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from dataclasses import replace

from sidecar.config.across import check_across
from sidecar.config.draft import Draft
from sidecar.config.keys import ROOT
from sidecar.config.notes import Notes
from sidecar.config.presets import UPSTREAMS
from sidecar.config.shown import written
from sidecar.config.sources import default_files, laid_over, read_file
from sidecar.config.values import Address, Config, CredentialConfig, RouteConfig, UpstreamConfig, Written

_LISTEN = Address("127.0.0.1", 8080)


def load(*, path: str | None, flags: Mapping[str, str], environ: Mapping[str, str]) -> Config:
    """Read the configuration: a flag goes before the environment, that before the file, that before the default.

    Args:
        path: the file; None: SIDECAR_CONFIG, else the user's, else the system's, else none at all.
        flags: values by option: listen, upstream, preset, api_key_file, api_key_env, admin_listen.
        environ: the environment, also for `${NAME}` in the file.

    Raises:
        ConfigError: with every mistake that was found, and no secret in any of them.
    """
    table, source = read_file(path, environ)
    where = source or f"no configuration file (looked for {' and '.join(default_files(environ))})"
    notes = Notes(environ, where, os.path.dirname(os.path.abspath(source)) if source else None)
    table = laid_over(table, flags, notes)
    draft = ROOT.read(table, "", notes)
    check_across(draft, notes)
    notes.raise_mistakes()
    return _assembled(draft, tuple(notes.warnings), source, written(table, notes))


def _assembled(draft: Draft, warnings: tuple[str, ...], source: str, rows: tuple[Written, ...]) -> Config:
    short = draft.credential
    return Config(
        listen=tuple(draft.listen.values()) or (_LISTEN,),
        credentials=(_short_credential(short),) if short else _long_credentials(draft),
        routes=(_short_route(draft, short),) if short else _long_routes(draft),
        gate=draft.gate,
        admin=draft.admin,
        limits=draft.limits,
        drain=draft.drain,
        log=draft.log,
        fail_fast=draft.fail_fast,
        warnings=warnings,
        source=source,
        written=rows,
    )


def _short_credential(credential: CredentialConfig) -> CredentialConfig:
    return replace(credential, name=credential.preset or "default")


def _short_route(draft: Draft, credential: CredentialConfig) -> RouteConfig:
    upstream = draft.upstream or UpstreamConfig(UPSTREAMS[credential.preset or ""])
    return RouteConfig(name="default", upstream=upstream, credential=credential.preset or "default")


def _long_credentials(draft: Draft) -> tuple[CredentialConfig, ...]:
    return tuple(replace(credential, name=name) for name, credential in draft.credentials.items())


def _long_routes(draft: Draft) -> tuple[RouteConfig, ...]:
    return tuple(replace(route, name=route.name or route.path) for route in draft.routes.values())
