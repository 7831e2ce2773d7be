"""A YAML file as nodes. It knows YAML and its bounds, and nothing about keys.

The file is read as a stream of events, so that a bound is met before anything grows:
neither nesting nor size nor an alias bomb costs more than the bound. Anchors, aliases
and tags are refused: the configuration is short enough to be written out.
"""

from __future__ import annotations

import errno
import io
import os
import re
import select
import stat
from collections.abc import Iterator
from typing import Protocol

import yaml

from sidecar.config.nodes import Listing, Node, Place, Scalar, Table, is_null
from sidecar.config.notes import refusal

# Kubernetes bounds a ConfigMap to the same.
MOST_BYTES = 1024 * 1024
# A route with name, path, upstream and credential takes 11.
MOST_NODES = 20_000
MOST_DEPTH = 32
# Whoever writes to a pipe has it ready, or has gone wrong: a start says so within a second.
PIPE_PATIENCE_S = 0.7
_TOO_DEEP = f"nested deeper than {MOST_DEPTH} levels; no key of a configuration is"


def read_document(path: str) -> Table:
    """Return the one YAML document of a file.

    Raises:
        FileNotFoundError: there is no such file.
        ConfigError: it cannot be read, is too large, too deep, empty, no UTF-8, or no YAML mapping.
    """
    text = _text(path, _bytes(path))
    events = _events(path, text)
    root = _Composer(path, events).document()
    if root is None or is_null(root):
        raise refusal(Place(path), "the file is empty; expected a configuration")
    if not isinstance(root, Table):
        raise refusal(root.place, "expected keys with values, such as listen: 127.0.0.1:8080")
    return root


class _Mark(Protocol):
    """What PyYAML's two kinds of marks have in common; both count from 0."""

    line: int
    column: int


class _Composer:
    """Turns events into nodes, within the bounds."""

    def __init__(self, path: str, events: Iterator[yaml.Event]) -> None:
        self._path = path
        self._events = events
        self._nodes = 0

    def document(self) -> Node | None:
        """Return the root, or None for an empty stream."""
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent) and root is not None:
                raise refusal(self._place(event), "expected one YAML document; a second one starts here")
            if isinstance(event, yaml.NodeEvent):
                root = self._node(event, 0)
        return root

    def _node(self, event: yaml.Event, depth: int) -> Node:
        place = self._place(event)
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise refusal(place, f"the file holds more than {MOST_NODES:,} values; that is no configuration")
        if depth > MOST_DEPTH:
            raise refusal(place, _TOO_DEEP)
        self._refuse_anchors_and_tags(event, place)
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(event.value, place, plain=event.implicit[0])
        if isinstance(event, yaml.SequenceStartEvent):
            return Listing(tuple(self._items(yaml.SequenceEndEvent, depth)), place)
        return Table(tuple(self._pairs(self._items(yaml.MappingEndEvent, depth))), place)

    def _items(self, end: type[yaml.Event], depth: int) -> Iterator[Node]:
        for event in self._events:
            if isinstance(event, end):
                return
            yield self._node(event, depth + 1)

    def _pairs(self, nodes: Iterator[Node]) -> Iterator[tuple[Scalar, Node]]:
        for key in nodes:
            if not isinstance(key, Scalar):
                raise refusal(key.place, "expected a plain word as a key")
            yield key, next(nodes)

    def _refuse_anchors_and_tags(self, event: yaml.Event, place: Place) -> None:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise refusal(place, "YAML anchors and aliases (& and *) are not understood: write it out, or quote it")
        if getattr(event, "tag", None):
            raise refusal(place, "YAML tags (!) are not understood: leave it out, or quote it")

    def _place(self, event: yaml.Event) -> Place:
        return _place(self._path, event.start_mark)


_AT_ONCE: int = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)  # Windows has neither


def _bytes(path: str) -> bytes:
    # Without O_NONBLOCK, opening a named pipe that nobody writes to would wait for ever.
    try:
        descriptor = os.open(path, os.O_RDONLY | _AT_ONCE)
        with open(descriptor, "rb", buffering=0) as file:
            if _AT_ONCE and stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.set_blocking(descriptor, True)
            data = _read(file)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a usable path"
        raise refusal(Place(path), f"cannot be read: {reason}") from None
    if len(data) > MOST_BYTES:
        raise refusal(Place(path), f"larger than {MOST_BYTES // 1024} KiB; that is no configuration")
    return data


def _read(file: io.FileIO) -> bytes:
    """Return the bytes; of a pipe, such as a shell's `<(...)`, what comes within a moment. Raises OSError."""
    data = bytearray()
    while len(data) <= MOST_BYTES:
        piece = file.read(MOST_BYTES + 1 - len(data))
        if piece is None and not select.select([file], [], [], PIPE_PATIENCE_S)[0]:
            raise OSError(errno.ETIMEDOUT, "nothing comes out of this pipe")
        if piece == b"":
            break
        data += piece or b""
    return bytes(data)


def _text(path: str, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        lines = data[: error.start].decode("utf-8-sig").split("\n")
        place = Place(path, len(lines), len(lines[-1]) + 1)
        # From None, here and below: the error behind it holds the file's text.
        raise refusal(place, "expected UTF-8 text; this byte is none") from None


def _events(path: str, text: str) -> Iterator[yaml.Event]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        yield from yaml.parse(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        place = _place(path, error.problem_mark or error.context_mark)
        # libyaml looks ahead, and stops by itself at 1,000 levels (PyYAML 6.0.4).
        too_deep = "nesting depth" in (error.problem or "")
        raise refusal(place, _TOO_DEEP if too_deep else f"not YAML: {_problem(error.problem)}") from None
    except yaml.YAMLError:
        raise refusal(Place(path), "not YAML: it holds a character that YAML does not allow") from None


def _place(path: str, mark: _Mark | None) -> Place:
    return Place(path, mark.line + 1, mark.column + 1) if mark else Place(path)


def _problem(problem: str | None) -> str:
    """Return the parser's own words without what it quotes of the file, but for punctuation."""
    words = re.sub(r"\s*['\"][\w!][^'\"]{2,}['\"].*", "", problem or "", flags=re.DOTALL)
    return words or "something is missing or misplaced here"
