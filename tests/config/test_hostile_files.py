"""Files that are broken, huge or meant to hurt: a clear mistake at once, never a traceback."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.config import load
from sidecar.errors import ConfigError
from tests.config.loading import LONG, SHORT, load_text, mistake_in, mistakes_in

_HOSTILE: Mapping[str, tuple[str | bytes, str]] = {
    "empty": ("", "empty"),
    "comment": ("# nothing\n", "empty"),
    "null": ("~", "empty"),
    "list": ("- a\n", "expected keys"),
    "word": ("x", "expected keys"),
    "two documents": ("a: 1\n---\nb: 2\n", "one YAML document"),
    "nested": ("[" * 5000, "deeper than 32"),
    "nested keys": ("{a: " * 5000, "deeper than 32"),
    "nested dashes": ("- " * 5000, "deeper than 32"),
    "nested blocks": ("\n".join(" " * depth + "a:" for depth in range(1000)), "deeper than 32"),
    "large": ("a: " + "x" * 10_000_000, "larger than 1024 KiB"),
    "many": ("\n".join(f"k{number}: 1" for number in range(80_000)), "more than 20,000 values"),
    "bomb": ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "anchors and aliases"),
    "alias": ("a: *b\n", "anchors and aliases"),
    "loop": ("a: &a [*a]\n", "anchors and aliases"),
    "tag": ("a: !!python/object/apply:os.system [true]\n", "tags"),
    "list as key": ("? [a]\n: b\n", "plain word as a key"),
    "latin": ("a: ä\n".encode("latin-1"), "UTF-8"),
    "utf-16": ("a: b\n".encode("utf-16"), "UTF-8"),
    "nul": ("a: \0\n", "not YAML"),
    "tab": ("a:\n\tb: c\n", "not YAML"),
    "unclosed": ('a: "b\n', "not YAML"),
    "colons": (":" * 1_000_000, "not YAML"),
    "commas": ("[" + "," * 500_000, "not YAML"),
    "directive": ("%FOO\n", "not YAML"),
}


@pytest.mark.parametrize("name", _HOSTILE)
def test_a_hostile_file_is_one_clear_mistake_within_a_second(name: str) -> None:
    """Whatever is in the file, reading it costs no more than its bounds."""
    text, expected = _HOSTILE[name]
    started = time.process_time()
    mistake = mistake_in(text)
    assert time.process_time() - started < 1
    assert expected in mistake.text
    assert mistake.where.endswith("config.yaml")


@pytest.mark.parametrize("name", ["nested", "bomb", "tag", "two documents", "tab", "nul", "many"])
def test_without_libyaml_it_is_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML's own parser, where its C one is not built, keeps the same bounds."""
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    text, expected = _HOSTILE[name]
    assert expected in mistake_in(text).text
    assert load_text(LONG).routes


def test_a_mistake_of_yaml_and_of_utf_8_has_its_place() -> None:
    """Line and column count from 1."""
    assert (mistake_in("a: b\nc: [d\n").line, mistake_in("a: b\n  c: d\n").line) == (3, 2)
    broken = mistake_in("a: b\nä: ".encode() + b"\xff\n")
    assert (broken.line, broken.column) == (2, 4)


def test_a_byte_order_mark_does_no_harm() -> None:
    """Some editors write one."""
    assert load_text("\ufeff" + SHORT).credentials == load_text(SHORT).credentials


def test_what_is_no_file_is_a_mistake(tmp_path: Path) -> None:
    """A directory, a pipe that nobody writes to, a loop of links, a path that cannot be one."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "loop", Path("/dev/zero"), "nul\0", "/etc/passwd/x"):
        with pytest.raises(ConfigError) as caught:
            load(path=str(path), flags={}, environ={})
        (mistake,) = caught.value.mistakes
        assert mistake.text.startswith(("cannot be read", "the file is empty", "larger than"))


def test_a_file_without_permission_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root reads everything, so the refusal of the system is played."""

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
        load(path="/a", flags={}, environ={})


def test_thousands_of_mistakes_stay_quick() -> None:
    """Each is reported; only the first hundred get the nearest word."""
    started = time.process_time()
    mistakes = mistakes_in("\n".join(f"listn{'x' * (number % 7)}{'y' * (number % 11)}: 1" for number in range(9000)))
    assert time.process_time() - started < 5
    assert len(mistakes) > 9000 / 2


_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
_words = st.sampled_from(
    "listen gate upstream credential credentials routes admin limits drain log preset api_key exchange json form "
    "basic response inject drop shield path refresh budget backoff match url tls pool allow env file value expose "
    "giantcontext oauth2 static https://a http://b 10s 1MiB / ${X} ${ null true 401 0 127.0.0.1:1 {token} "
    "{api_key}".split()
)
_trees = st.recursive(
    _scalars | _words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_words | st.text(max_size=5), inner, max_size=5),
    max_leaves=25,
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(_words, _trees, max_size=6))
def test_any_tree_loads_or_is_a_list_of_mistakes(tree: dict[str, object]) -> None:
    """Values of every shape under keys of every kind raise ConfigError at most."""
    for mistake in mistakes_in(json.dumps(tree)):
        assert mistake.text and mistake.where


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(alphabet="ab:-[]{}#&*!|>'\"%@`\n ,?~$", max_size=80))
def test_any_bytes_load_or_are_a_list_of_mistakes(data: bytes | str) -> None:
    """Garbage raises ConfigError at most."""
    for mistake in mistakes_in(data):
        assert mistake.text and mistake.where


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(LONG) - 1), st.integers(0, 40), st.text(alphabet="ab:-[]{}#\n ,?$'", max_size=4))
def test_a_damaged_configuration_is_never_a_traceback(start: int, length: int, patch: str) -> None:
    """A right configuration with a hole or a splinter in it raises ConfigError at most."""
    for mistake in mistakes_in(LONG[:start] + patch + LONG[start + length :]):
        assert mistake.text and mistake.where
