"""What can be typed after `sidecar`: commands, their flags, and what stands after those. Read from argument parsers."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["words", "file", "folder", "command", "free"]
# A name that stands for a value in a help, and what it says of that.
_KINDS: Mapping[str, Kind] = {
    "FILE": "file",
    "DIR": "folder",
    "FOLDER": "folder",
    "CMD": "command",
    "COMMAND": "command",
}


@dataclass(frozen=True, slots=True)
class Value:
    """What stands after a flag, or alone: `words` are those there are, for that kind. `command` is one with its own."""

    name: str
    kind: Kind
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag by all its names; `value` None: it takes none."""

    names: tuple[str, ...]
    help: str
    value: Value | None
    repeats: bool


@dataclass(frozen=True, slots=True)
class Command:
    """A command, its flags, and what it takes beside them."""

    name: str
    summary: str
    flags: tuple[Flag, ...]
    arguments: tuple[Value, ...]


def commands(
    summaries: Mapping[str, str],
    parser_of: Callable[[str], argparse.ArgumentParser],
    known: Mapping[str, Sequence[str]],
) -> list[Command]:
    """Return every command.

    Args:
        summaries: what each does, by its name.
        parser_of: returns the parser of one.
        known: the values there are where the parser does not say, by the attribute that a flag sets, such as `preset`,
            or by that of one command, such as `init preset`.
    """
    return [_command(name, summary, parser_of(name), known) for name, summary in summaries.items()]


def _command(name: str, summary: str, parser: argparse.ArgumentParser, known: Mapping[str, Sequence[str]]) -> Command:
    # What stands alone may have no line of its own in the help, where the usage shows it.
    actions = [action for action in parser._actions if action.help != argparse.SUPPRESS or not action.option_strings]
    here = {action.dest: known.get(f"{name} {action.dest}", known.get(action.dest, ())) for action in actions}
    flags = tuple(_flag(action, here) for action in actions if action.option_strings)
    return Command(name, summary, flags, tuple(_arguments(actions, here)))


def _flag(action: argparse.Action, known: Mapping[str, Sequence[str]]) -> Flag:
    value = None if action.nargs == 0 else _value(action, known)
    return Flag(tuple(action.option_strings), _help(action), value, isinstance(action, argparse._AppendAction))


def _arguments(actions: Sequence[argparse.Action], known: Mapping[str, Sequence[str]]) -> Iterator[Value]:
    for action in actions:
        if not action.option_strings:
            value = _value(action, known)
            yield Value(value.name, "command") if action.nargs == argparse.REMAINDER else value


def _value(action: argparse.Action, known: Mapping[str, Sequence[str]]) -> Value:
    given = action.metavar or action.dest.upper()
    name = given if isinstance(given, str) else given[0]
    words = tuple(map(str, action.choices or known[action.dest]))
    return Value(name, "words", words) if words else Value(name, _KINDS.get(name, "free"))


def _help(action: argparse.Action) -> str:
    return (action.help or "").replace("%%", "%")
