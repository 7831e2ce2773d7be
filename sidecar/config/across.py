"""Rules across keys: what no section can see by itself. Mistakes and warnings go into the notes."""

from __future__ import annotations

import os.path
import socket
import sys

from sidecar.config.draft import Draft
from sidecar.config.expand import variable
from sidecar.config.notes import Notes
from sidecar.config.parsers import is_plain_beyond_loopback
from sidecar.config.presets import PLACEHOLDERS, UPSTREAMS
from sidecar.gate import LOCAL_NAMES

_SHORT = ("upstream", "credential")
_LONG = ("routes", "credentials")


def check_across(draft: Draft, notes: Notes) -> None:
    """Note every mistake and warning that only shows when keys are seen together."""
    _check_form(draft, notes)
    _check_listeners(draft, notes)
    _check_routes(draft, notes)
    _check_reaches(draft, notes)
    _check_key_sources(draft, notes)
    _warn_plain_http(draft, notes)


def _check_form(draft: Draft, notes: Notes) -> None:
    short = [key for key in _SHORT if notes.has(key)]
    long = [key for key in _LONG if notes.has(key)]
    if short and long:
        for key in short:
            notes.wrong(key, f"this is the short form, and {' and '.join(long)} the long one: use one of them alone")
    elif long:
        if not notes.has("routes"):
            notes.wrong("routes", "missing: at least one route, such as - upstream: https://api.example.com")
    else:
        _check_short_form(draft, notes)


def _check_short_form(draft: Draft, notes: Notes) -> None:
    if not notes.has("credential"):
        sources = "--api-key-file, --api-key-env, SIDECAR_API_KEY_FILE, SIDECAR_API_KEY or credential.api_key"
        notes.wrong("credential.api_key", f"missing: an API key, by {sources}")
    preset = draft.credential.preset if draft.credential else None
    mistaken = preset is None and notes.has("credential.preset")
    if not notes.has("upstream") and preset not in UPSTREAMS and not mistaken:
        notes.wrong("upstream", "missing: where requests go, by --upstream, SIDECAR_UPSTREAM or upstream")


def _check_listeners(draft: Draft, notes: Notes) -> None:
    taken = {str(draft.admin.listen): "admin.listen"}
    # With port 0, listeners of the same mode are alike, and of two modes one socket would be made for both.
    proxies = any(address.is_forward for address in draft.listen.values())
    for at, address in draft.listen.items():
        other = taken.setdefault(str(address), at)
        if address.path is not None and not hasattr(socket, "AF_UNIX"):
            notes.wrong(at, "this system has no unix sockets: give a host and a port, such as 127.0.0.1:8080")
        if other != at and (address.port or address.path or proxies):
            notes.wrong(at, f"the same address as {other}: each listener needs its own")
        if not address.is_loopback and not draft.gate.expose:
            notes.wrong(at, "beyond loopback, whoever reaches it uses your key: set gate.expose: true if you mean that")
        elif not address.is_loopback and draft.gate.require_token is None:
            notes.warn(at, "beyond loopback and open: whoever reaches it uses your key; set gate.require_token")
    if draft.gate.peer_uids:
        _check_peer_uids(draft, notes)


def _check_peer_uids(draft: Draft, notes: Notes) -> None:
    if sys.platform != "linux":  # others that tell do it in other words
        notes.wrong("gate.peer_uids", "this system does not tell who connects: use gate.socket_mode instead")
    elif not draft.listen or any(address.path is None for address in draft.listen.values()):
        notes.warn("gate.peer_uids", "counts on unix listeners alone: whoever reaches one on TCP is let in")


def _check_routes(draft: Draft, notes: Notes) -> None:
    names: dict[str, str] = {}
    matches: dict[tuple[str, str], str] = {}
    proxies = any(address.is_forward for address in draft.listen.values())
    for at, route in draft.routes.items():
        match = ((route.host or "").lower(), route.path.rstrip("/"))
        if (same := matches.setdefault(match, at)) != at:
            notes.wrong(f"{at}.match", f"matches the same requests as {same}: give another path or host")
        elif (same := names.setdefault(route.name or route.path, at)) != at:
            notes.wrong(f"{at}.name", f"the same name as {same}: give each a name of its own")
        if route.host is not None and not _is_admitted(route.host, draft) and not proxies:
            notes.warn(f"{at}.match.host", "no request with this Host gets in: add it to gate.hosts")
        if route.credential is not None and not notes.has(f"credentials.{route.credential}"):
            nearest = notes.suggestion(route.credential, draft.credentials)
            notes.wrong(f"{at}.credential", f"none of credentials has this name{nearest}")
    used = {route.credential for route in draft.routes.values()}
    for name in draft.credentials:
        if name not in used:
            notes.warn(f"credentials.{name}", "no route uses it")


def _check_reaches(draft: Draft, notes: Notes) -> None:
    """Warn of a route that a forward proxy's apps cannot name, because the same URLs are another's."""
    if not any(address.is_forward for address in draft.listen.values()):
        return
    from sidecar.forward import reaches

    each = [
        (reach, at)
        for at, route in draft.routes.items()
        for reach in reaches(route.path, route.host, route.upstream.url, strip_prefix=route.strip_prefix)
    ]
    taken: dict[tuple[bytes, str], str] = {}
    for reach, at in sorted(each, key=lambda one: not one[0].bound):
        first = {taken.setdefault((authority, reach.path), at) for authority in reach.authorities} - {at}
        if first:
            where = "match.host" if reach.bound else "upstream"
            notes.warn(
                f"{at}.{where}",
                f"a forward proxy takes these URLs for {min(first)}'s; reach this route by a match.host of its own",
            )


def _is_admitted(host: str, draft: Draft) -> bool:
    """Whether some listener lets in requests with this Host, on whatever port."""
    names = [*LOCAL_NAMES, *draft.gate.hosts, *(address.name or "" for address in draft.listen.values())]
    return _without_port(host) in {_without_port(name) for name in names}


def _without_port(host: str) -> str:
    name, _, port = host.lower().rpartition(":")
    return name if port.isdigit() else host.lower()


def _check_key_sources(draft: Draft, notes: Notes) -> None:
    for at, key in draft.all_keys():
        if key.kind == "env" and not notes.environ.get(key.name):
            state = "is empty" if key.name in notes.environ else "is not set"
            notes.wrong(f"{at}.env", f"{variable(key.name)} {state}")
        elif key.kind == "env" and notes.environ.get(key.name) in PLACEHOLDERS.values():
            given = "holds the placeholder that apps are given in place of a key; give the key itself"
            notes.wrong(f"{at}.env", f"{variable(key.name)} {given}")
        elif key.kind == "file" and not os.path.isfile(key.name):
            what = "is a directory: name the file in it" if os.path.isdir(key.name) else "there is no such file yet"
            notes.warn(f"{at}.file", what)
        elif key.kind == "systemd" and not os.path.isfile(key.name):
            notes.warn(f"{at}.systemd", "systemd has given no such credential: LoadCredential= in the unit does")
        elif key.kind == "keyring" and not _has_keyring():
            notes.wrong(f"{at}.keyring", "needs the package keyring: pip install 'credential-sidecar[keyring]'")
        elif key.kind == "command" and not hasattr(os, "killpg"):
            notes.wrong(f"{at}.command", "needs a Unix system: use {file: PATH} or {keyring: SERVICE/USER} here")
        elif key.ttl_s is not None and at == "gate.require_token":
            notes.wrong(f"{at}.ttl", "this token is read at the start and at each reload alone: take ttl away")
        elif key.kind == "value":
            notes.warn(f"{at}.value", "whoever reads the configuration has the key: use {env: NAME} or {file: PATH}")


def _has_keyring() -> bool:
    from importlib.util import find_spec

    return find_spec("keyring") is not None


def _warn_plain_http(draft: Draft, notes: Notes) -> None:
    urls = [(at, "token", upstream.url, upstream.insecure) for at, upstream in draft.all_upstreams()]
    for at, credential in draft.all_credentials():
        if exchange := credential.exchange:
            urls.append((f"{at}.exchange", "API key", exchange.url, exchange.insecure))
    for at, secret, url, insecure in urls:
        if insecure and is_plain_beyond_loopback(url):
            notes.warn(f"{at}.url", f"plain http: whoever is on the way can read the {secret}")
        elif insecure:
            notes.warn(f"{at}.insecure", "changes nothing here: it is about plain http to another machine alone")
