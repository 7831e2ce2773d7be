"""Kinds of words, and sections that stand in several places: what `keys.py` and `credential_keys.py` are made of."""

from __future__ import annotations

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
)
from sidecar.config.units import parse_duration, parse_positive_duration, parse_positive_size, parse_size
from sidecar.tls import TLSRules

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
NAME = Word(parse_text, shown=True)
STATUS = whole(400, 599)
MODE = Word(parse_mode, {"type": ["string", "integer"]}, shown=True)
ADDRESS = Word(parse_address)
FIELD_NAME = Word(parse_field_name)
FIELD_VALUE = Word(parse_field_value)
POINTER = Word(parse_pointer)
CONNECTIONS = Word(parse_connections, {"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1}]}, shown=True)


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
