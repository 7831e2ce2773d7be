"""The keys of a key source: where an API key, or the gate's token, comes from.

Every one of these can be read at a glance in an error, but for what a command is given: an argument may be a secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sidecar.config.common_keys import POSITIVE
from sidecar.config.kinds import FilePath, Key, ListOf, Schema, Section, Word
from sidecar.config.nodes import Listing, Node
from sidecar.config.notes import Notes, is_word
from sidecar.config.parsers import parse_text, parse_variable
from sidecar.config.units import Unfit
from sidecar.config.values import KeyConfig
from sidecar.secret import Secret

# Less would run the program all the time.
LEAST_TTL_S = 1.0

_ONE = (
    "expected one source: {env: NAME}, {file: PATH}, {command: [PROGRAM, ...]}, "
    "{keyring: SERVICE/USER} or {systemd: NAME}"
)
# What systemd takes for the name of a credential, less what no path should hold.
_CREDENTIAL = re.compile(r"(?!\.{1,2}$)[\x21-\x2e\x30-\x39\x3b-\x7e]{1,255}", re.ASCII)


def _argument(text: str) -> str:
    if "\0" in text:
        raise Unfit("expected text")
    return text


def _keyring_entry(text: str) -> str:
    service, _, user = parse_text(text).rpartition("/")
    if not service or not user:
        raise Unfit("expected SERVICE/USER, as the keyring knows the key, such as giantcontext/me")
    return text


@dataclass(slots=True, eq=False, repr=False)
class Command:
    """A program, by an absolute path, and its arguments."""

    suffix: str = ""

    def read(self, node: Node, at: str, notes: Notes) -> tuple[str, ...]:
        if not isinstance(node, Listing) or not node.items:
            wanted = "expected a program and its arguments in a list, such as [op, read, op://vault/item/key]: no shell"
            raise notes.wrong(at, wanted, node.place)
        found = program(Word(_argument).read(node.items[0], f"{at}[0]", notes), notes.environ)
        if found is None:
            raise notes.wrong(
                f"{at}[0]", "expected a program that is there, by its absolute path or on PATH", node.items[0].place
            )
        return found, *ListOf(Word(_argument)).read(Listing(node.items[1:], node.place), at, notes)

    def schema(self) -> Schema:
        return {"type": "array", "items": {"type": "string"}, "minItems": 1}


def program(word: str, environ: Mapping[str, str]) -> str | None:
    """Return a program's absolute path: as it is, from the home for `~/`, else by PATH; never the working directory's.

    What a cloned repository holds must not be run because somebody has started us there.
    """
    if word.startswith("~/") and environ.get("HOME"):
        word = environ["HOME"] + word[1:]
    folders = [""] if "/" in word else os.get_exec_path(environ)
    paths = (os.path.join(folder, word) for folder in folders)
    return next((path for path in paths if os.path.isabs(path) and _is_program(path)), None) if word else None


def _is_program(path: str) -> bool:
    return "\0" not in path and os.path.isfile(path) and os.access(path, os.X_OK)


@dataclass(slots=True, eq=False, repr=False)
class SystemdCredential:
    """The name of a credential that systemd has given the service, as the path of its file."""

    suffix: str = ""

    def read(self, node: Node, at: str, notes: Notes) -> str:
        name = Word(_credential_name).read(node, at, notes)
        folder = notes.environ.get("CREDENTIALS_DIRECTORY", "")
        if not os.path.isabs(folder):
            unit = f"LoadCredential={name if is_word(name) else 'NAME'}:/path/of/the/key"
            missing = "the environment variable CREDENTIALS_DIRECTORY is not set; systemd sets it for a service with"
            raise notes.wrong(at, f"{missing} {unit} in its unit", node.place)
        return os.path.join(folder, name)

    def schema(self) -> Schema:
        return {"type": "string"}


def _credential_name(text: str) -> str:
    if not _CREDENTIAL.fullmatch(text):
        raise Unfit("expected the name of a systemd credential, such as giantcontext")
    return text


def _key_source(ttl_s: float | None = None, timeout_s: float | None = None, **sources: object) -> KeyConfig:
    if len(sources) != 1:
        raise Unfit(_ONE)
    ((kind, source),) = sources.items()
    if kind != "command" and (ttl_s is not None or timeout_s is not None):
        raise Unfit("ttl and timeout are a command's: take them away")
    match kind, source:
        case "value", Secret():
            return KeyConfig("value", value=source)
        case "command", (str(path), *arguments):
            argv = (path, *map(str, arguments))
            return KeyConfig("command", path, argv=argv, ttl_s=ttl_s, timeout_s=timeout_s or 30.0)
        case ("env" | "file" | "keyring" | "systemd") as named, str(name):
            return KeyConfig(named, name)
        case _:
            raise AssertionError(kind)


def _check(key: KeyConfig) -> Iterator[tuple[str, str]]:
    if key.ttl_s is not None and key.ttl_s < LEAST_TTL_S:
        yield "ttl", "expected at least 1s: the command is run that often"


KEY_SOURCE = Section(
    _key_source,
    (
        Key("env", Word(parse_variable), None, "The environment variable that holds the key."),
        Key("file", FilePath(readable=False), None, "The file that holds the key; a new key in it is taken up."),
        Key("systemd", SystemdCredential(), None, "The systemd credential (LoadCredential=) that holds the key."),
        Key(
            "command",
            Command(),
            None,
            "The program that prints the key, and its arguments; no shell. Danger: it is run as this user.",
        ),
        Key(
            "ttl",
            POSITIVE,
            None,
            "How long a command's key is believed before it is run again; without it, until the key is refused.",
        ),
        Key("timeout", POSITIVE, None, "The longest a command may take, 30s if not given; then it is killed."),
        Key(
            "keyring",
            Word(_keyring_entry),
            None,
            "SERVICE/USER of the key in the operating system's keyring; needs the extra keyring.",
        ),
        Key(
            "value",
            Word(lambda text: Secret(parse_text(text))),
            None,
            "The key itself. Danger: whoever reads this file has it; warned about.",
        ),
    ),
    expected="a source, such as {env: NAME} or {file: PATH}",
    check=_check,
    secret=True,
)
