"""Every mistake at once, each with its place, what was expected, and the nearest right word."""

from __future__ import annotations

import pytest

from sidecar.config import load
from sidecar.errors import ConfigError
from tests.config.loading import API_KEY, LONG, SHORT, mistake_in, mistakes_in


def test_every_mistake_is_reported_at_once() -> None:
    """Mistakes of every sort do not hide each other, and come in the order of the file."""
    mistakes = mistakes_in(
        """\
listen: [0.0.0.0:8080, nonsense]
limits: {head: 10, fields: many}
credentials:
  vendor: {preset: giantcontxt, api_key: {env: UNSET}}
routes:
  - {match: {path: crm}, upstream: "https://a?b", credential: vendr}
  - {match: {path: /x}, upstream: {url: "https://a", pool: {mots: 1}}}
  - {match: {path: /x/}, upstream: {url: "https://a", tls: {ca_file: /nowhere}}}
drain: {most: ten}
gate: {hosts: x}
lgo: {}
"""
    )
    assert [(mistake.line, mistake.key) for mistake in mistakes] == [
        (1, "listen[0]"),
        (1, "listen[1]"),
        (2, "limits.head"),
        (2, "limits.fields"),
        (4, "credentials.vendor.preset"),
        (4, "credentials.vendor.api_key.env"),
        (6, "routes[0].match.path"),
        (6, "routes[0].upstream.url"),
        (7, "routes[1].upstream.pool.mots"),
        (8, "routes[2].match"),
        (8, "routes[2].upstream.tls.ca_file"),
        (9, "drain.most"),
        (10, "gate.hosts"),
        (11, "lgo"),
    ]


def test_a_mistake_prints_as_file_line_column_key_and_text(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The form that editors and people can follow."""
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    path.write_text(SHORT + "drain:\n  most: ten\n")
    with pytest.raises(ConfigError) as caught:
        load(path=str(path), flags={}, environ=API_KEY)
    expected = "drain.most: expected a duration such as 250ms, 10s, 5m or 1h, not 'ten'"
    assert str(caught.value) == f"{path}:5:9: {expected}"


@pytest.mark.parametrize(
    ("text", "key", "nearest"),
    [
        ("listn: 127.0.0.1:1", "listn", "did you mean listen?"),
        ("limits: {waitForToken: 1s}", "limits.waitForToken", "did you mean wait_for_token?"),
        ("log: {level: warn}", "log.level", "did you mean warning?"),
        ("admin: {xyz: 1}", "admin.xyz", "expected listen, quit"),
        ("token_store: redis://a", "token_store", "not a key"),
        ("mode: gateway", "mode", "not a key"),
    ],
)
def test_an_unknown_word_is_a_mistake_with_the_nearest_right_one(text: str, key: str, nearest: str) -> None:
    """Keys and words alike; where nothing is near, the keys that are known are listed."""
    mistake = mistake_in(SHORT + text)
    assert mistake.key == key
    assert nearest in mistake.text


def test_a_credential_that_is_not_there_gets_the_nearest_one() -> None:
    """A route's credential must exist."""
    mistake = mistake_in(LONG.replace("credential: vendor", "credential: vendro"))
    assert (mistake.key, mistake.line) == ("routes[0].credential", 7)
    assert "did you mean vendor?" in mistake.text


def test_a_duplicate_key_is_a_mistake_that_names_both_places() -> None:
    """YAML parsers let the last one win; here neither does."""
    mistake = mistake_in(SHORT + "log: {access: true}\nlog: {access: false}\n")
    assert (mistake.line, mistake.column, mistake.key) == (5, 1, "log")
    assert "first in line 4" in mistake.text
    nested = mistake_in(SHORT + "log:\n  access: true\n  access: true\n")
    assert (nested.line, nested.key) == (6, "log.access")
    names = mistake_in(LONG.replace("routes:", "  vendor: {preset: static, api_key: {env: API_KEY}}\nroutes:"))
    assert (names.line, names.key) == (5, "credentials")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("gate: [expose]", "gate"),
        ("gate: yes", "gate"),
        ("listen: {address: 127.0.0.1:1, a: b}", "listen.a"),
        ("listen: []", "listen"),
        ("listen: [[127.0.0.1:1]]", "listen[0]"),
        ("listen: [null]", "listen[0]"),
        ("gate: {hosts: {a: b}}", "gate.hosts"),
        ("gate: {require_token: gate}", "gate.require_token"),
        ("gate: {require_token: {}}", "gate.require_token"),
        ("gate: {require_token: {env: API_KEY, file: /a}}", "gate.require_token"),
        ("gate: {require_header: {name: X-A}}", "gate.require_header.value"),
        ("limits: {fields: [1]}", "limits.fields"),
        ("limits: {fields: 1.5}", "limits.fields"),
        ("limits: {head_timeout: 0}", "limits.head_timeout"),
        ("log: {level: {a: b}}", "log.level"),
        ("log: {access: 1}", "log.access"),
    ],
)
def test_the_wrong_kind_of_value_is_a_mistake(text: str, key: str) -> None:
    """A list for a word, a word for a mapping, an empty list, two sources for one: each is one mistake at its key."""
    assert mistake_in(SHORT + text).key == key
