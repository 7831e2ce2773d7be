"""What was written, before anything is known about it: scalars, listings and tables that know their place.

The configuration file, the flags, the environment and the presets all become such
nodes, so that one reader serves them all and every mistake can point at its origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written: a file, flag or environment variable, with 1-based line and column (0: none)."""

    where: str
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class Scalar:
    """A piece of text.

    Args:
        plain: written without quotes, so that `null`, `true` and numbers mean what they say.
        literal: taken as it is, without the expansion of `${NAME}`.
    """

    text: str = field(repr=False)  # what was written may be a secret
    place: Place
    plain: bool = False
    literal: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """Nodes in a row."""

    items: tuple[Node, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Table:
    """Names and nodes, in the order written; a name may wrongly stand there twice."""

    entries: tuple[tuple[Scalar, Node], ...]
    place: Place

    def get(self, name: str) -> Node | None:
        """Return the first node of that name."""
        return next((node for key, node in self.entries if key.text == name), None)

    def put(self, name: str, node: Node) -> Table:
        """Return a copy in which `name` is `node` and nothing else."""
        kept = tuple(entry for entry in self.entries if entry[0].text != name)
        return replace(self, entries=(*kept, (Scalar(name, node.place, literal=True), node)))


Node = Scalar | Listing | Table


def is_null(node: Node) -> bool:
    """Whether it says nothing: `null`, `~` or nothing at all, without quotes."""
    return isinstance(node, Scalar) and node.plain and node.text in _NULLS


def node_of(data: object, place: Place) -> Node:
    """Return JSON values as nodes that all stand at `place`."""
    if isinstance(data, Mapping):
        entries = ((Scalar(str(name), place, literal=True), node_of(value, place)) for name, value in data.items())
        return Table(tuple(entries), place)
    if isinstance(data, list):
        return Listing(tuple(node_of(item, place) for item in data), place)
    if data is None or isinstance(data, bool | int):
        return Scalar("null" if data is None else str(data).lower(), place, plain=True, literal=True)
    return Scalar(str(data), place, literal=True)
