"""Kinds of words, and sections that stand in several places: what `keys.py` and `credential_keys.py` are made of."""

from __future__ import annotations

from types import MappingProxyType

from sidecar.config import section_checks as checks
from sidecar.config.kinds import FilePath, Key, Section, Word, whole
from sidecar.config.parsers import (
    parse_address,
    parse_boolean,
    parse_connections,
    parse_field_name,
    parse_field_value,
    parse_host,
    parse_mode,
    parse_pointer,
    parse_text,
    parse_variable,
)
from sidecar.config.units import Unfit, parse_duration, parse_positive_duration, parse_positive_size, parse_size
from sidecar.config.values import KeyConfig
from sidecar.secret import Secret
from sidecar.tls import TLSRules

# Known, and not available: refused by name, so that nobody believes they work.
LATER_KEYS = MappingProxyType(
    {
        "command": "a key from a command is not available in this version: use env or file",
        "ttl": "a key from a command is not available in this version, nor is its ttl: use env or file",
        "keyring": "a key from the OS keyring is not available in this version: use env or file",
    }
)

_DURATION = r"^(0|[0-9]+(\.[0-9]+)?(ms|s|m|h))$"
DURATION = Word(parse_duration, {"type": ["string", "integer"], "pattern": _DURATION, "maximum": 0}, "_s", shown=True)
POSITIVE = Word(parse_positive_duration, {"type": "string", "pattern": _DURATION}, "_s", shown=True)
SIZE = Word(
    parse_size,
    {"type": ["string", "integer"], "pattern": "^(0|[0-9]+(KiB|MiB|GiB))$", "maximum": 0},
    "_bytes",
    shown=True,
)
POSITIVE_SIZE = Word(parse_positive_size, {"type": "string", "pattern": "^[0-9]+(KiB|MiB|GiB)$"}, "_bytes", shown=True)
BOOLEAN = Word(parse_boolean, {"type": "boolean"}, shown=True)
TEXT = Word(parse_text)
STATUS = whole(400, 599)
MODE = Word(parse_mode, {"type": ["string", "integer"]}, shown=True)
ADDRESS = Word(parse_address)
FIELD_NAME = Word(parse_field_name)
FIELD_VALUE = Word(parse_field_value)
POINTER = Word(parse_pointer)
CONNECTIONS = Word(parse_connections, {"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1}]}, shown=True)


def _key_source(**sources: str | Secret) -> KeyConfig:
    if len(sources) != 1:
        raise Unfit("expected one source: {env: NAME} or {file: PATH}")
    ((kind, source),) = sources.items()
    if isinstance(source, Secret):
        return KeyConfig("value", value=source)
    return KeyConfig("env" if kind == "env" else "file", source)


KEY_SOURCE = Section(
    _key_source,
    (
        Key("env", Word(parse_variable), None, "The environment variable that holds the key."),
        Key("file", FilePath(readable=False), None, "The file that holds the key; a new key in it is taken up."),
        Key(
            "value",
            Word(lambda text: Secret(parse_text(text))),
            None,
            "The key itself. Danger: whoever reads this file has it; warned about.",
        ),
    ),
    expected="a source, such as {env: NAME} or {file: PATH}",
    later=LATER_KEYS,
    secret=True,
)

TLS = Section(
    TLSRules,
    (
        Key("ca_file", FilePath(readable=True), None, "PEM file of the roots to trust instead of the system's."),
        Key("client_cert_file", FilePath(readable=True), None, "PEM file of the certificate to show (mutual TLS)."),
        Key("client_key_file", FilePath(readable=True), None, "PEM file of its key, if not in the same file."),
        Key("server_name", Word(parse_host), None, "The name to verify and to send (SNI) instead of the URL's host."),
    ),
    check=checks.check_tls,
)
