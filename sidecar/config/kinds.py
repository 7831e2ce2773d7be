"""What a value of the configuration can be: each kind reads it from a node, and describes it for the JSON Schema.

A kind knows no key of ours; `keys.py` puts kinds and keys together. Reading notes every
mistake and goes on wherever it can: a key whose value is wrong counts as not written, so
that the rest is still read. (Kinds are made once and compared by nobody: without the
methods that nobody calls, each class costs start-up 0.4 ms instead of 1 ms.)
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from sidecar.config.nodes import Listing, Node, Scalar, Table, is_null
from sidecar.config.notes import Invalid, Notes, is_word, join
from sidecar.config.units import Unfit

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Schema = dict[str, object]

_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,17})(\.\d{1,17})?([eE][+-]?\d{1,2})?", re.ASCII)
# What may stand for any value: a variable, expanded when it is read.
_VARIABLE: Schema = {"type": "string", "pattern": r"\$"}
# Names under `credentials`: labels of metrics and parts of admin paths.
_ENTRY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)


class Kind(Protocol[T_co]):
    """A kind of value. `suffix` is the unit that ends the name of the field it fills."""

    @property
    def suffix(self) -> str: ...

    def read(self, node: Node, at: str, notes: Notes) -> T_co:
        """Return the value of a node that stands at the key `at`. Raises Invalid, with the mistake noted."""

    def schema(self) -> Schema:
        """Return the JSON Schema of what it reads."""


@dataclass(slots=True, eq=False, repr=False)
class Word(Generic[T]):
    """One scalar.

    Args:
        parse: from the text to the value; raises Unfit.
        form: its JSON Schema, where that is more than a string.
        shown: whether a mistake may repeat what was written, since it cannot be a secret.
    """

    parse: Callable[[str], T]
    form: Mapping[str, object] | None = None
    suffix: str = ""
    shown: bool = False

    def read(self, node: Node, at: str, notes: Notes) -> T:
        try:
            return self.parse(_text(node, notes))
        except Unfit as unfit:
            raise notes.wrong(at, f"{unfit}{notes.shown(node) if self.shown else ''}", node.place) from None

    def schema(self) -> Schema:
        return _any_of(dict(self.form), _VARIABLE) if self.form else {"type": "string"}


def whole(least: int, most: int) -> Word[int]:
    """Return the kind of a whole number within bounds."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,18}", text, re.ASCII) or not least <= int(text) <= most:
            raise Unfit(f"expected a number from {least:,} to {most:,}")
        return int(text)

    return Word(parse, {"type": "integer", "minimum": least, "maximum": most}, shown=True)


@dataclass(slots=True, eq=False, repr=False)
class Choice:
    """One of a few words. `later` are words that are known and not available, with the reason."""

    words: tuple[str, ...]
    later: Mapping[str, str] = field(default_factory=dict)
    suffix: str = ""

    def read(self, node: Node, at: str, notes: Notes) -> str:
        try:
            text = _text(node, notes)
        except Unfit as unfit:
            raise notes.wrong(at, str(unfit), node.place) from None
        if text in self.words:
            return text
        if text in self.later:
            raise notes.wrong(at, self.later[text], node.place)
        expected = f"expected {', '.join(self.words[:-1])} or {self.words[-1]}"
        raise notes.wrong(at, expected + notes.shown(node) + notes.suggestion(text, self.words), node.place)

    def schema(self) -> Schema:
        return _any_of({"enum": list(self.words)}, _VARIABLE)


@dataclass(slots=True, eq=False, repr=False)
class FilePath:
    """A file, as an absolute path. `readable` ones must be there when the configuration is read."""

    readable: bool
    suffix: str = ""

    def read(self, node: Node, at: str, notes: Notes) -> str:
        if not isinstance(node, Scalar) or is_null(node):
            raise notes.wrong(at, "expected the path of a file", node.place)
        try:
            path = notes.file_path(node)
        except Unfit as unfit:
            raise notes.wrong(at, str(unfit), node.place) from None
        if self.readable and not (os.path.isfile(path) and os.access(path, os.R_OK)):
            raise notes.wrong(at, "expected a file that is there and can be read", node.place)
        return path

    def schema(self) -> Schema:
        return {"type": "string"}


@dataclass(slots=True, eq=False, repr=False)
class ListOf(Generic[T]):
    """Values in a row."""

    kind: Kind[T]
    suffix: str = ""

    def read(self, node: Node, at: str, notes: Notes) -> tuple[T, ...]:
        return tuple(read_items(self.kind, node, at, notes).values())

    def schema(self) -> Schema:
        return {"type": "array", "items": self.kind.schema()}


@dataclass(slots=True, eq=False, repr=False)
class Rows(Generic[T]):
    """Values in a row, each under the key it stands at; one that is wrong leaves a gap. `single`: one needs no list."""

    kind: Kind[T]
    single: bool = False
    suffix: str = ""

    def read(self, node: Node, at: str, notes: Notes) -> dict[str, T]:
        if self.single and not isinstance(node, Listing):
            return {at: self.kind.read(node, at, notes)}
        if node == Listing((), node.place):
            raise notes.wrong(at, "expected at least one", node.place)
        return read_items(self.kind, node, at, notes)

    def schema(self) -> Schema:
        listed: Schema = {"type": "array", "items": self.kind.schema()}
        return _any_of(self.kind.schema(), listed) if self.single else listed


@dataclass(slots=True, eq=False, repr=False)
class Named(Generic[T]):
    """Values under names that the user gives."""

    kind: Kind[T]
    suffix: str = ""

    def read(self, node: Node, at: str, notes: Notes) -> dict[str, T]:
        found: dict[str, T] = {}
        for name, value in notes.entries(node, at, "names, each with its keys"):
            if not _ENTRY_NAME.fullmatch(name.text):
                notes.wrong(at, "expected a name of at most 64 letters, digits, - _ and .", name.place)
                continue
            here = join(at, name.text)
            notes.note_place(here, name.place)
            try:
                found[name.text] = self.kind.read(value, here, notes)
            except Invalid:
                continue
        return found

    def schema(self) -> Schema:
        return {
            "type": "object",
            "propertyNames": {"pattern": f"^{_ENTRY_NAME.pattern}$"},
            "additionalProperties": self.kind.schema(),
        }


@dataclass(slots=True, eq=False, repr=False)
class Pairs:
    """Names and texts, in their order; a null takes a name away. Mistakes repeat neither."""

    name: Callable[[str], str]
    value: Callable[[str], str]
    suffix: str = ""

    def read(self, node: Node, at: str, notes: Notes) -> tuple[tuple[str, str], ...]:
        pairs = []
        for name, value in notes.entries(node, at, "names, each with a text"):
            if is_null(value):
                continue
            try:
                pairs.append((self.name(name.text), self.value(_text(value, notes))))
            except Unfit as unfit:
                notes.wrong(at, str(unfit), name.place)
        return tuple(pairs)

    def schema(self) -> Schema:
        return {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}}


@dataclass(slots=True, eq=False, repr=False)
class Json:
    """Any JSON value, as YAML writes it; what comes from a variable is a string."""

    suffix: str = ""

    def read(self, node: Node, at: str, notes: Notes) -> object:
        if isinstance(node, Listing):
            return [self.read(item, at, notes) for item in node.items]
        if isinstance(node, Table):
            return {name.text: self.read(value, at, notes) for name, value in notes.entries(node, at, "a JSON value")}
        if is_null(node):
            return None
        if node.plain and node.text in ("true", "false"):
            return node.text == "true"
        if node.plain and (number := _NUMBER.fullmatch(node.text)):
            return float(node.text) if number[1] or number[2] else int(node.text)
        try:
            return notes.expanded(node)
        except Unfit as unfit:
            raise notes.wrong(at, str(unfit), node.place) from None

    def schema(self) -> Schema:
        return {"description": "any JSON value"}


@dataclass(slots=True, eq=False, repr=False)
class Members:
    """Names and any JSON values, such as the claims of a JWT; a null stays, and says that there is none."""

    suffix: str = ""

    def read(self, node: Node, at: str, notes: Notes) -> dict[str, object]:
        read = Json().read(node, at, notes)
        if not isinstance(read, dict):
            raise notes.wrong(at, "expected names, each with a value", node.place)
        return read

    def schema(self) -> Schema:
        return {"type": "object"}


@dataclass(slots=True, eq=False, repr=False)
class Key:
    """One key of a section.

    Args:
        name: as the user writes it.
        kind: what its value can be.
        default: what it is when not written, as a file would say it; None: there is none, or it depends.
        doc: what it does, its unit, and its danger where it has one.
        field: the field it fills, where that is not the name and the kind's suffix; "": its value is a dict of fields.
        required: whether the section makes no sense without it.
    """

    name: str
    kind: Kind[object]
    default: object
    doc: str
    field: str | None = None
    required: bool = False


@dataclass(slots=True, eq=False, repr=False)
class Section(Generic[T]):
    """Keys with their values. A null is the same as a key not written.

    Args:
        make: builds the value from the fields, or raises Unfit; its own defaults stand for keys that are not written.
        expected: what a mistake says should stand there.
        check: yields a key and a text for each mistake among values that are right by themselves.
        later: keys that are known and not available, with the reason.
        secret: whether a mistyped key may be a secret that stands in the wrong place.
    """

    make: Callable[..., T]
    keys: tuple[Key, ...]
    expected: str = "a mapping of keys and values"
    check: Callable[[T], Iterable[tuple[str, str]]] = lambda _: ()
    later: Mapping[str, str] = field(default_factory=dict)
    secret: bool = False
    suffix: str = ""

    def read(self, node: Node, at: str, notes: Notes) -> T:
        before = len(notes.mistakes)
        known = {key.name: key for key in self.keys}
        fields: dict[str, object] = {}
        written: set[str] = set()
        for name, value in notes.entries(node, at, self.expected, known):
            if name.text not in known:
                self._unknown(name, at, notes)
            elif not is_null(value):
                written.add(name.text)
                self._read_key(known[name.text], value, at, notes, fields)
        missing = [key for key in self.keys if key.required and key.name not in written]
        for key in missing:
            notes.wrong(join(at, key.name), f"missing. {key.doc}", node.place)
        if any(key.required and _field(key) not in fields for key in self.keys):
            raise Invalid
        try:
            made = self.make(**fields)
        except Unfit as unfit:
            if len(notes.mistakes) == before:
                notes.wrong(at, str(unfit), node.place)
            raise Invalid from None
        if len(notes.mistakes) == before:
            for part, text in self.check(made):
                notes.wrong(join(at, part) if part else at, text)
        return made

    def schema(self) -> Schema:
        properties = {key.name: _key_schema(key) for key in self.keys}
        return {"type": "object", "properties": properties, "additionalProperties": False}

    def _read_key(self, key: Key, value: Node, at: str, notes: Notes, fields: dict[str, object]) -> None:
        here = join(at, key.name)
        notes.note_place(here, value.place)
        try:
            read = key.kind.read(value, here, notes)
        except Invalid:
            return
        if key.field == "" and isinstance(read, Mapping):
            fields.update(read)
        else:
            fields[_field(key)] = read

    def _unknown(self, name: Scalar, at: str, notes: Notes) -> None:
        if name.text in self.later:
            notes.wrong(join(at, name.text), self.later[name.text], name.place)
            return
        nearest = notes.suggestion(name.text, [key.name for key in self.keys])
        known = f"; expected {', '.join(key.name for key in self.keys)}"
        here = join(at, name.text) if is_word(name.text) and not self.secret else at
        notes.wrong(here, f"not a key that is known here{nearest or known}", name.place)


@dataclass(slots=True, eq=False, repr=False)
class Short(Generic[T]):
    """A section that may be written as the value of one of its keys alone."""

    section: Section[T]
    key: str
    suffix: str = ""

    def read(self, node: Node, at: str, notes: Notes) -> T:
        if isinstance(node, Scalar):
            node = Table(((Scalar(self.key, node.place, literal=True), node),), node.place)
        return self.section.read(node, at, notes)

    def schema(self) -> Schema:
        short = next(key.kind for key in self.section.keys if key.name == self.key)
        return _any_of(short.schema(), self.section.schema())


@dataclass(slots=True, eq=False, repr=False)
class Either(Generic[T]):
    """A value that one scalar says, or a section that says more of it."""

    short: Kind[T]
    section: Section[T]
    suffix: str = ""

    def read(self, node: Node, at: str, notes: Notes) -> T:
        kind: Kind[T] = self.short if isinstance(node, Scalar) else self.section
        return kind.read(node, at, notes)

    def schema(self) -> Schema:
        return _any_of(self.short.schema(), self.section.schema())


def read_items(kind: Kind[T], node: Node, at: str, notes: Notes) -> dict[str, T]:
    """Return what a listing holds, by the key of each; an item that is wrong is left out. Raises Invalid."""
    if not isinstance(node, Listing):
        raise notes.wrong(at, "expected a list, such as [a, b]", node.place)
    found: dict[str, T] = {}
    for number, item in enumerate(node.items):
        here = f"{at}[{number}]"
        notes.note_place(here, item.place)
        try:
            found[here] = kind.read(item, here, notes)
        except Invalid:
            continue
    return found


def _text(node: Node, notes: Notes) -> str:
    """Return a scalar's text; what is none, or null, becomes a text that fits nowhere. Raises Unfit."""
    return notes.expanded(node) if isinstance(node, Scalar) and not is_null(node) else "\0"


def _field(key: Key) -> str:
    return key.name + key.kind.suffix if key.field is None else key.field


def _any_of(*forms: Schema) -> Schema:
    """Return a schema of alternatives, those of an alternative among them."""
    flat: list[object] = []
    for form in forms:
        inner = form["anyOf"] if form.keys() == {"anyOf"} else [form]
        flat.extend(inner if isinstance(inner, list) else [inner])
    return {"anyOf": flat}


def _key_schema(key: Key) -> Schema:
    form: Schema = {"description": key.doc, **_any_of(key.kind.schema(), {"type": "null"})}
    return form if key.default is None else {**form, "default": key.default}
