"""`${NAME}` in a string of the file: the environment's value. After parsing, so that a value cannot inject YAML."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sidecar.config.units import Unfit

_REFERENCE = re.compile(r"\$\$|\$\{([^}]*)(\}?)")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.ASCII | re.DOTALL)
# What stands where a name should may be a pasted key; a name as environments have them is not.
_SHOWN_NAME = re.compile(r"[A-Z_][A-Z0-9_]{0,63}", re.ASCII)


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Return the text with `${NAME}`, `${NAME:-default}` (unset or empty) and `$$` (a dollar) replaced.

    A dollar before anything else stays.

    Raises:
        Unfit: a name is not set, or what stands in the braces is no name.
    """
    return _REFERENCE.sub(lambda found: _replacement(found, environ), text) if "$" in text else text


def names(text: str) -> set[str]:
    """Return the names of the variables that `expand` would look up in the text."""
    inside = (found[1] for found in _REFERENCE.finditer(text) if found[2])
    return {reference[1] for each in inside if (reference := _NAME.fullmatch(each)) is not None}


def variable(name: str) -> str:
    """Return "the environment variable NAME", without the name where it could be a pasted key."""
    return f"the environment variable {name}" if _SHOWN_NAME.fullmatch(name) else "the environment variable named here"


def _replacement(found: re.Match[str], environ: Mapping[str, str]) -> str:
    if found[0] == "$$":
        return "$"
    reference = _NAME.fullmatch(found[1])
    if reference is None or not found[2]:
        raise Unfit("expected ${NAME} or ${NAME:-default}; a dollar itself is written $$")
    name, default = reference[1], reference[2]
    if default is not None:
        return environ.get(name) or default
    if name not in environ:
        raise Unfit(f"{variable(name)} is not set; set it, or give a default as in ${{NAME:-default}}")
    return environ[name]
