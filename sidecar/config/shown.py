"""The configuration as people see it: each key with its value and where that comes from, the defaults included.

Read off the same table as everything else (`keys.py`), so a new key shows by itself. The rule: a value is shown
where its kind cannot hold a secret, and those kinds are listed here; of all others it says only that they are set.
What was written is noted when the configuration is read; the defaults are put to it when somebody looks.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sidecar.config import parsers
from sidecar.config.expand import names
from sidecar.config.key_source_keys import KEY_SOURCE
from sidecar.config.keys import ROOT
from sidecar.config.kinds import Choice, Either, FilePath, Key, Kind, ListOf, Named, Rows, Section, Short, Word
from sidecar.config.nodes import Listing, Node, Place, Scalar, Table, is_null
from sidecar.config.notes import Notes, join, masked
from sidecar.config.presets import UPSTREAMS, WithPreset, laid_over_preset
from sidecar.config.values import Config, CredentialConfig, Written

NOT_SHOWN = "set, not shown"
# What a value that was read by one of these can be is known, and no secret is among it.
_OPEN: frozenset[Callable[[str], Any]] = frozenset(
    {
        parsers.parse_address,
        parsers.parse_browser_origin,
        parsers.parse_field_name,
        parsers.parse_host,
        parsers.parse_method,
        parsers.parse_name,
        parsers.parse_origin,
        parsers.parse_path,
        parsers.parse_pointer,
        parsers.parse_prefix,
        parsers.parse_url,  # user names and queries are refused in URLs
    }
)
_PLAIN_INJECTION = re.compile(r"[A-Za-z]{0,16} ?\{token\}", re.ASCII)

# Where a dotted key can be cut. (Names may hold dots: they only make keys that nobody asks for.)
_ABOVE = re.compile(r"[.\[]")

_AnyKind = Kind[Any]


# What was written


def written(table: Table, notes: Notes) -> tuple[Written, ...]:
    """Return what the file, flags, environment and presets say, once all of it was found right."""
    return tuple(_written(ROOT, table, "", _Reading(notes)))


class _Reading:
    """What a walk over the nodes knows: the notes, and the preset that lies under the part that it is in."""

    def __init__(self, notes: Notes, preset: str = "", preset_place: Place | None = None) -> None:
        self.notes = notes
        self._preset = preset
        self._preset_place = preset_place

    def under(self, preset: Scalar) -> _Reading:
        return _Reading(self.notes, self.notes.expanded(preset), preset.place)

    def origin(self, node: Node, at: str) -> str:
        place = node.place
        if place == self._preset_place and not at.endswith(".preset"):
            return f"preset {self._preset}"
        if place.line:
            origin = f"{os.path.basename(place.where)}:{place.line}"
        else:
            origin = f"flag {place.where}" if place.where.startswith("-") else f"environment {place.where}"
        used = sorted(_variables(node)) if isinstance(node, Scalar) else []
        return f"{origin}, environment {', '.join(used)}" if used else origin


def _written(kind: _AnyKind, node: Node, at: str, reading: _Reading) -> Iterator[Written]:
    if is_null(node):
        return
    if isinstance(kind, WithPreset) and isinstance(node, Table):
        chosen = node.get("preset")
        inner = reading.under(chosen) if isinstance(chosen, Scalar) and not is_null(chosen) else reading
        yield from _written(kind.section, laid_over_preset(node, reading.notes), at, inner)
    elif kind is KEY_SOURCE:
        # What a command is given is its own: it inherits the same variables.
        key = node.get("value") if isinstance(node, Table) else None
        described = KEY_SOURCE.read(node, at, reading.notes).described
        yield Written(at, described, reading.origin(node, at), _variables(key) if key is not None else frozenset())
    elif isinstance(kind, Short):
        wrapped = Table(((Scalar(kind.key, node.place, literal=True), node),), node.place)
        yield from _written(kind.section, wrapped if isinstance(node, Scalar) else node, at, reading)
    elif isinstance(kind, Section) and isinstance(node, Table):
        kinds = {key.name: key.kind for key in kind.keys}
        for name, value in node.entries:
            yield from _written(kinds[name.text], value, join(at, name.text), reading)
    elif isinstance(kind, Named) and isinstance(node, Table):
        for name, value in node.entries:
            yield from _written(kind.kind, value, join(at, name.text), reading)
    elif isinstance(kind, ListOf | Rows) and isinstance(node, Listing) and isinstance(kind.kind, Section):
        for number, item in enumerate(node.items):
            yield from _written(kind.kind, item, f"{at}[{number}]", reading)
    else:
        text = _text(kind, node, reading.notes)
        hidden = _variables(node) if NOT_SHOWN in text else frozenset()
        yield Written(at, masked(text), reading.origin(node, at), hidden)


def _variables(node: Node) -> frozenset[str]:
    """Return the names of the environment variables that are used in the strings of a node."""
    match node:
        case Scalar():
            return frozenset(() if node.literal else names(node.text))
        case Listing():
            return frozenset().union(*map(_variables, node.items))
        case Table():
            return frozenset().union(*(_variables(value) for _, value in node.entries))


def _text(kind: _AnyKind, node: Node, notes: Notes) -> str:
    """Return a value as text, or that it is not shown."""
    if isinstance(kind, ListOf | Rows):
        items = node.items if isinstance(node, Listing) else (node,)
        return ", ".join(_text(kind.kind, item, notes) for item in items) or "none"
    if isinstance(kind, Either):
        if isinstance(node, Table):
            kinds = {key.name: key.kind for key in kind.section.keys}
            entries = (f"{name.text}: {_text(kinds[name.text], value, notes)}" for name, value in node.entries)
            return f"{{{', '.join(entries)}}}"
        kind = kind.short
    if not isinstance(node, Scalar):
        return NOT_SHOWN
    if isinstance(kind, FilePath):
        return notes.file_path(node)
    text = notes.expanded(node)
    if isinstance(kind, Choice):
        return text
    if not isinstance(kind, Word):
        return NOT_SHOWN
    if kind.parse is parsers.parse_injected_value:
        return text if _PLAIN_INJECTION.fullmatch(text) else NOT_SHOWN
    return text if kind.shown or kind.parse in _OPEN else NOT_SHOWN


# All of it, for whoever looks


def settings(config: Config) -> list[tuple[str, str, str, str]]:
    """Return every key that counts: its value, its origin, and the credential whose API key it is (else "").

    Nothing where the configuration was not read but made by a program, as the demo's.
    """
    if config.written is None:
        return []
    given = {one.key: one for one in config.written}
    short = any(key.startswith("credential.") for key in given)
    rows = list(
        _shown(ROOT, "", _Given(given, () if short else config.credentials, 0 if short else len(config.routes)))
    )
    if short and not any(row.key.startswith("upstream.") for row in rows):
        preset = config.credentials[0].preset or ""
        rows.insert(1, Written("upstream.url", UPSTREAMS.get(preset, ""), f"preset {preset}"))
    keys = {("credential" if short else f"credentials.{one.name}") + ".api_key": one.name for one in config.credentials}
    return [(row.key, row.value, row.origin, keys.get(row.key, "")) for row in rows]


class _Given:
    """What was written, by key and by each key above it, and which credentials and how many routes there are by that.

    By index rather than by search: there may be a thousand routes.
    """

    def __init__(self, rows: Mapping[str, Written], credentials: Sequence[CredentialConfig], routes: int) -> None:
        self.rows = rows
        self.names = [credential.name for credential in credentials]
        self.routes = routes
        self.within: dict[str, list[Written]] = {}
        for key, row in rows.items():
            for end in _ABOVE.finditer(key):
                self.within.setdefault(key[: end.start()], []).append(row)


def _shown(section: Section[Any], at: str, given: _Given) -> Iterator[Written]:
    for key in section.keys:
        here, kind = join(at, key.name), _plain(key.kind)
        if here in given.rows:
            yield given.rows[here]
        elif kind is KEY_SOURCE:
            continue
        elif isinstance(kind, Section):
            if here in given.within or not any(inner.required for inner in kind.keys):
                yield from _shown(kind, here, given)
        elif isinstance(kind, Named):
            for name in given.names:
                yield from _shown(_section(kind.kind), join(here, name), given)
        elif isinstance(kind, Rows) and isinstance(kind.kind, Section):
            for number in range(given.routes):
                yield from _shown(kind.kind, f"{here}[{number}]", given)
        elif rows := given.within.get(here):
            yield from rows
        elif key.default is not None:
            yield Written(here, _default(key), "default")


def _plain(kind: _AnyKind) -> _AnyKind:
    """Return a kind without what only says how it may be written."""
    return kind.section if isinstance(kind, Short | WithPreset) else kind


def _section(kind: _AnyKind) -> Section[Any]:
    plain = _plain(kind)
    assert isinstance(plain, Section)  # noqa: S101  # the table has no other under names
    return plain


def _default(key: Key) -> str:
    match key.default:
        case bool() as value:
            return "true" if value else "false"
        case list() as values:
            return ", ".join(map(str, values)) or "none"
        case {}:
            return "none"
        case value:
            return str(value)
