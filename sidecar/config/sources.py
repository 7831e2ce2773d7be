"""Where the configuration comes from: which file, and what flags and environment lay over it.

Never the working directory: a cloned repository could point the key elsewhere.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterator, Mapping

from sidecar.config.nodes import Node, Place, Scalar, Table, is_null
from sidecar.config.notes import Notes, refusal

SYSTEM_FILE = "/etc/sidecar/config.yaml"

# Option, environment variable, and the key that both stand for. The last two have no flag: they are for containers, so
# that one upstream needs no file there.
_OPTIONS = (
    ("listen", "SIDECAR_LISTEN", ("listen",)),
    ("upstream", "SIDECAR_UPSTREAM", ("upstream",)),
    ("preset", "SIDECAR_PRESET", ("credential", "preset")),
    ("admin_listen", "SIDECAR_ADMIN_LISTEN", ("admin", "listen")),
    ("fail_fast", "SIDECAR_FAIL_FAST", ("fail_fast",)),
    ("log_level", "SIDECAR_LOG_LEVEL", ("log", "level")),
)
_KEY_VARIABLE = "SIDECAR_API_KEY"
_KEY_FILE_VARIABLE = "SIDECAR_API_KEY_FILE"


def read_file(path: str | None, environ: Mapping[str, str]) -> tuple[Table, str]:
    """Return what the file holds and its path: `path`, else SIDECAR_CONFIG, else the user's, else the system's.

    Where there is none, the table is empty and the path is "".

    Raises:
        ConfigError: the file that was named is missing, or one cannot be read.
    """
    # Parsing YAML costs 20 ms to import, which a start without a file need not spend.
    named = path if path is not None else environ.get("SIDECAR_CONFIG") or None
    for candidate in default_files(environ) if named is None else [named]:
        if named is not None or os.path.lexists(candidate):
            from sidecar.config.document import read_document

            try:
                return read_document(candidate), candidate
            except FileNotFoundError:
                raise refusal(Place(candidate or "--config"), "there is no such file") from None
    return Table((), Place("")), ""


def default_files(environ: Mapping[str, str]) -> list[str]:
    """Return where a file is looked for that nobody named, in order."""
    home = environ.get("HOME", "")
    folder = environ.get("XDG_CONFIG_HOME", "")
    # The XDG specification has relative paths ignored; here they would also mean the working directory.
    if not os.path.isabs(folder):
        folder = os.path.join(home, ".config")
    users = [os.path.join(folder, "sidecar", "config.yaml")] if os.path.isabs(folder) else []
    return [*users, SYSTEM_FILE]


def laid_over(table: Table, flags: Mapping[str, str], notes: Notes) -> Table:
    """Return the table with flags, and else the environment, in place of what the file says; empty is unset."""
    environ = notes.environ
    for option, variable, keys in _OPTIONS:
        if option in flags:
            table = _put(table, keys, _scalar(flags[option], "--" + option.replace("_", "-")))
        elif environ.get(variable):
            table = _put(table, keys, _scalar(environ[variable], variable))
    source = _one(_key_flags(flags), notes) or _one(_key_variables(environ), notes)
    return _put(table, ("credential", "api_key"), source) if source else table


def _key_flags(flags: Mapping[str, str]) -> Iterator[Table]:
    if "api_key_file" in flags:
        yield _source("file", flags["api_key_file"], "--api-key-file")
    if "api_key_env" in flags:
        yield _source("env", flags["api_key_env"], "--api-key-env")


def _key_variables(environ: Mapping[str, str]) -> Iterator[Table]:
    if environ.get(_KEY_VARIABLE):
        yield _source("env", _KEY_VARIABLE, _KEY_VARIABLE)
    if environ.get(_KEY_FILE_VARIABLE):
        yield _source("file", environ[_KEY_FILE_VARIABLE], _KEY_FILE_VARIABLE)


def _one(sources: Iterator[Table], notes: Notes) -> Table | None:
    given = list(sources)
    for other in given[1:]:
        notes.wrong("credential.api_key", f"{given[0].place.where} is given too: give one of them", other.place)
    return given[0] if given else None


def _source(kind: str, text: str, where: str) -> Table:
    scalar = _scalar(text, where)
    return Table(((_scalar(kind, where), scalar),), scalar.place)


def _scalar(text: str, where: str) -> Scalar:
    return Scalar(text, Place(where), literal=True)


def _put(table: Table, keys: tuple[str, ...], node: Node) -> Table:
    """Return the table with the node at the dotted key; what is no table on the way stays, for the reader to refuse."""
    name, rest = keys[0], keys[1:]
    if not rest:
        return table.put(name, node)
    inner = table.get(name)
    if inner is None or is_null(inner):
        inner = Table((), node.place)
    return table.put(name, _put(inner, rest, node)) if isinstance(inner, Table) else table
