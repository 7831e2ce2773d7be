"""One word for each kind of file, whatever characters it holds."""

from __future__ import annotations

import json
import re

_PLAIN = re.compile(r"[A-Za-z/~][A-Za-z0-9_./~@-]*(:[A-Za-z0-9_./~@-]+)*", re.ASCII)
_ADDRESS = re.compile(r"[0-9.]+:[0-9]+", re.ASCII)
# What YAML 1.1 readers take for something other than a word.
_NO_WORDS = frozenset("y n yes no on off true false null ~".split())


def yaml_word(text: str) -> str:
    """Return a value for our configuration: as it is where that is clear, else in quotes; `$` is not expanded."""
    text = text.replace("$", "$$")
    if _ADDRESS.fullmatch(text) or (_PLAIN.fullmatch(text) and text.lower() not in _NO_WORDS):
        return text
    return json.dumps(text, ensure_ascii=False)


def yaml_text(text: str) -> str:
    """Return a value for another program's YAML file, in quotes."""
    return json.dumps(text, ensure_ascii=False)


def compose_text(text: str) -> str:
    """Return a value for a compose file, where `$` begins a variable."""
    return json.dumps(text.replace("$", "$$"), ensure_ascii=False)


def systemd_word(text: str, *, command: bool = False) -> str:
    """Return one word of a unit file: `%` is no specifier, and quoted where it holds more than plain characters.

    Args:
        text: the word.
        command: it stands in ExecStart, where `$` begins a variable too.
    """
    text = text.replace("%", "%%")
    if command:
        text = text.replace("$", "$$")
    if re.fullmatch(r"[A-Za-z0-9_./:@%=,+~$-]+", text, re.ASCII):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
