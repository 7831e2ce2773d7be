"""No way of printing, dumping or writing down shows a secret, nor a configuration that one was typed into."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import json
import logging
import pickle
import pprint
import traceback
from collections.abc import Callable

import pytest

from sidecar.credentials.rules import BasicAuth, ExchangeRules, Injection
from sidecar.credentials.token import make_token
from sidecar.secret import Secret
from tests.config.loading import load_text

CANARY = "gct_canary-of-the-type"
# Literal secrets wherever the file takes one.
TYPED = f"""\
gate: {{require_token: {{value: {CANARY}}}}}
credentials:
  vendor:
    api_key: {{value: {CANARY}}}
    exchange:
      url: https://id.example.com/token
      headers: {{X-Key: {CANARY}, X-Api-Key: "{{api_key}}"}}
      json: {{secret: {CANARY}, list: [{CANARY}, {{deep: {CANARY}}}]}}
      basic: {{username: app, password: {CANARY}}}
  posted:
    api_key: {{value: {CANARY}}}
    exchange:
      url: https://id.example.com/token
      form: {{client_secret: {CANARY}, key: "{{api_key}}"}}
routes:
  - {{upstream: https://api.example.com, credential: vendor}}
"""


def walked(value: object, depth: int = 4) -> str:
    """Return what a printer shows that goes through attributes instead of asking for a repr."""
    shown = repr(value)
    if depth and not isinstance(value, str | bytes | int | float | type(None)):
        for name, member in inspect.getmembers(value, lambda one: not inspect.isroutine(one)):
            if not name.startswith("__"):
                shown += name + walked(member, depth - 1)
        if isinstance(value, dict):
            shown += "".join(walked(member, depth - 1) for member in value.values())
        elif isinstance(value, list | tuple):
            shown += "".join(walked(member, depth - 1) for member in value)
    return shown


def with_locals(value: object) -> str:
    """Return a traceback as crash reporters make them, with the locals of each frame."""
    try:
        raise RuntimeError
    except RuntimeError as error:
        return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def logged(value: object) -> str:
    """Return the text of a log record that was given it."""
    return logging.LogRecord("x", logging.INFO, "", 0, "%s %r", (value, value), None).getMessage()


WAYS: dict[str, Callable[[object], str]] = {
    "repr": repr,
    "str": str,
    "f-string": lambda value: f"{value} {value!r} {value!s}",
    "percent": lambda value: "%s %r %a" % (value, value, value),  # noqa: UP031  # it is what is tried
    "in a list": lambda value: str([value]),
    "pprint": pprint.pformat,
    "JSON": lambda value: json.dumps(value, default=str),
    "log": logged,
    "traceback with locals": with_locals,
    "attributes": walked,
    "slots": lambda value: str([getattr(value, name) for name in getattr(type(value), "__slots__", ())]),
    "copy": lambda value: repr(copy.copy(value)),
    "deepcopy": lambda value: repr(copy.deepcopy(value)),
    "an error": lambda value: str(ValueError(value)),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_secret_shows_as_three_stars(way: str) -> None:
    """By itself, and inside a token."""
    token = make_token(Secret(CANARY), Injection(), obtained_at=0.0, expires_at=1.0)
    assert "canary" not in WAYS[way](Secret(CANARY))
    assert "canary" not in WAYS[way](token)


@pytest.mark.parametrize("way", WAYS)
def test_a_configuration_shows_none_that_was_typed_into_it(way: str) -> None:
    """As it is, and as a dump of its fields."""
    config = load_text(TYPED)
    assert CANARY not in WAYS[way](config)
    assert CANARY not in WAYS[way](dataclasses.asdict(config))
    assert CANARY not in WAYS[way](dataclasses.astuple(config))


def test_a_dump_shows_where_the_secrets_are() -> None:
    """Names stay; what is no secret too."""
    exchange = dataclasses.asdict(load_text(TYPED))["credentials"][0]["exchange"]
    assert str(exchange["json"]) == "{'secret': ***, 'list': [***, {'deep': ***}]}"
    assert str(exchange["basic"]) == "{'username': 'app', 'password': ***, 'form_encoded': False}"
    assert str(exchange["headers"]) == "(('X-Key', ***), ('X-Api-Key', ***))"
    assert exchange["url"] == "https://id.example.com/token"


def test_what_would_write_it_down_fails() -> None:
    """Pickle and JSON: an error that does not hold it."""
    refusals: list[Callable[[], object]] = [
        lambda: pickle.dumps(Secret(CANARY)),
        lambda: pickle.dumps(load_text(TYPED)),
        lambda: json.dumps(Secret(CANARY)),
        lambda: json.dumps(dataclasses.asdict(load_text(TYPED))),
        lambda: Secret(CANARY).__getstate__(),
        lambda: Secret(CANARY).__reduce_ex__(4),
        lambda: vars(Secret(CANARY)),
    ]
    for refusal in refusals:
        with pytest.raises(TypeError) as caught:
            refusal()
        assert CANARY not in str(caught.value)


def test_it_stays_as_it_is() -> None:
    """Equal by content, in constant time; it cannot be given other bytes."""
    secret = Secret(CANARY)
    assert secret.reveal() == CANARY.encode()
    assert secret == Secret(CANARY.encode()) == copy.deepcopy(secret)
    assert secret != Secret("another") and secret != CANARY
    assert len({secret, Secret(CANARY)}) == 1
    with pytest.raises(AttributeError):
        secret.reveal = lambda: b"other"
    assert secret.reveal() == CANARY.encode()


def test_typed_secrets_tell_configurations_apart() -> None:
    """A reload compares them: another client secret is another credential."""
    one = ExchangeRules("https://a", basic=BasicAuth("app", CANARY), json={"a": [CANARY]})
    assert one == ExchangeRules("https://a", basic=BasicAuth("app", CANARY), json={"a": [CANARY]})
    assert one != ExchangeRules("https://a", basic=BasicAuth("app", "other"), json={"a": [CANARY]})
    assert one != ExchangeRules("https://a", basic=BasicAuth("app", CANARY), json={"a": ["other"]})
    assert dataclasses.replace(one, timeout_s=1.0).json == one.json
