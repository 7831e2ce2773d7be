"""The three questions of `sidecar init`, put to a person at a terminal. Enter takes the usual answer."""

from __future__ import annotations

import difflib
import os.path
from collections.abc import Callable

from sidecar.config.notes import masked
from sidecar.config.parsers import parse_url, parse_variable
from sidecar.config.units import Unfit
from sidecar.scaffold.choices import PURPOSES, KeyPlace, keyring_entry

# Longer than the name of a file that somebody types, shorter than any API key.
_LONGEST_NAME = 24

Ask = Callable[[str], str]
Say = Callable[[str], None]


def ask_preset(ask: Ask, say: Say) -> str:
    """Return the preset that a person picks, by its number or its name."""
    names = list(PURPOSES)
    width = max(map(len, names))
    say("What do you have?")
    for number, (name, purpose) in enumerate(PURPOSES.items(), 1):
        say(f"  {number}  {name:<{width}}  {purpose}")
    while True:
        given = ask(f"Number or name [{names[0]}]: ").strip() or names[0]
        if given.isdecimal() and given.isascii() and 1 <= int(given) <= len(names):
            return names[int(given) - 1]
        if given in PURPOSES:
            return given
        near = difflib.get_close_matches(given, names, 1)
        say(f"  {masked(given)!r} is none of them{f'; did you mean {near[0]}?' if near else '.'}")


def ask_key(ask: Ask, say: Say, preset: str, default: str) -> KeyPlace:
    """Return where a person says that the key is.

    Args:
        ask: puts a question, and returns the answer.
        say: takes a line.
        preset: for the keyring's entry.
        default: the path of a file.
    """
    say("Where is the API key? The path of a file, $NAME for a variable, or keyring.")
    while True:
        given = ask(f"Place of the key [{default}]: ").strip() or default
        try:
            return key_place(given, preset)
        except Unfit as unfit:
            say(f"  {unfit}.")


def key_place(given: str, preset: str) -> KeyPlace:
    """Return what a person's words for the key's place mean.

    Raises:
        Unfit: they mean none, or look like the key itself, which is to be written nowhere.
    """
    if _looks_like_a_key(given):
        raise Unfit("that looks like the key itself: say where it is kept, and put it there")
    if given.startswith("$"):
        return KeyPlace("env", parse_variable(given[1:].removeprefix("{").removesuffix("}")))
    if given == "keyring":
        return KeyPlace("keyring", keyring_entry(preset))
    if not given.isprintable():
        raise Unfit("expected the path of a file")
    return KeyPlace("file", given)


def ask_upstream(ask: Ask, say: Say) -> str:
    """Return the origin that a person names."""
    while True:
        given = ask("Which API are requests for? Its base URL, such as https://api.example.com: ").strip()
        try:
            return parse_url(given)
        except Unfit as unfit:
            say(f"  {unfit}.")


def _looks_like_a_key(given: str) -> bool:
    is_name = "/" in given or given.startswith("$") or os.path.exists(given)
    is_long = len(given) > _LONGEST_NAME and any(map(str.isdigit, given))
    return masked(given) != given or given.startswith("-----") or (is_long and not is_name)
