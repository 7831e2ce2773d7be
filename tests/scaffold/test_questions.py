"""`sidecar init` on a terminal: at most three questions, each only where no flag has answered it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sidecar.config import load
from sidecar.config.units import Unfit
from sidecar.scaffold.choices import KeyPlace
from sidecar.scaffold.questions import ask_key, ask_preset, ask_upstream, key_place
from tests.cli.command import environment
from tests.terminal import terminal

INIT = (sys.executable, "-m", "sidecar", "init")


class Person:
    """Answers questions in turn, and keeps what it was told."""

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)
        self.told: list[str] = []

    def ask(self, question: str) -> str:
        """Return the next answer."""
        self.told.append(question)
        return self._answers.pop(0)


def test_three_questions_at_most(tmp_path: Path) -> None:
    """A vendor that nobody knows: what one has, where the key is, which API."""
    environ = environment({"HOME": str(tmp_path), "XDG_CONFIG_HOME": "", "MY_SECRET": "x"})
    with terminal(INIT, environ, tmp_path) as screen:
        screen.until("Number or name [giantcontext]: ")
        screen.type("2\n")
        screen.until("Place of the key")
        screen.type("$MY_SECRET\n")
        screen.until("base URL")
        screen.type("https://api.example.com\n")
        assert screen.end() == 0
        assert "Next:" in screen.shown
    config = load(path=f"{tmp_path}/.config/sidecar/config.yaml", flags={}, environ={"MY_SECRET": "x"})
    assert (config.credentials[0].preset, config.credentials[0].api_key.name) == ("oauth2", "MY_SECRET")
    assert config.routes[0].upstream.url == "https://api.example.com"


def test_enter_twice_for_a_vendor_that_is_known(tmp_path: Path) -> None:
    """It has an API, so that is not asked. Everything shown fits 80 columns."""
    with terminal(INIT, environment({"HOME": str(tmp_path), "XDG_CONFIG_HOME": ""}), tmp_path) as screen:
        screen.until("Number or name")
        screen.type("\n")
        screen.until("Place of the key [~/.config/sidecar/api-key]: ")
        assert max(map(len, screen.shown.splitlines())) <= 80
        screen.type("\n")
        assert screen.end() == 0
    assert (tmp_path / ".config/sidecar/config.yaml").exists()


@pytest.mark.parametrize(("key", "code"), [("\x03", 130), ("\x04", 1)])
def test_leaving_writes_nothing(tmp_path: Path, key: str, code: int) -> None:
    """Ctrl-C, or the end of the input."""
    with terminal(INIT, environment({"HOME": str(tmp_path), "XDG_CONFIG_HOME": ""}), tmp_path) as screen:
        screen.until("Number or name")
        assert screen.leave(key) == code
        assert "Traceback" not in screen.shown
    assert list(tmp_path.iterdir()) == []


def test_a_preset_by_number_or_name() -> None:
    """What is neither is asked again, with the nearest."""
    assert ask_preset(Person("6").ask, print) == "static"
    assert ask_preset(Person("jwt-bearer").ask, print) == "jwt-bearer"
    person = Person("0", "9", "giantcontxt", "\u0663", "")
    assert ask_preset(person.ask, person.told.append) == "giantcontext"
    assert any("did you mean giantcontext?" in told for told in person.told)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("~/key", KeyPlace("file", "~/key")),
        ("key", KeyPlace("file", "key")),
        ("$MY_KEY", KeyPlace("env", "MY_KEY")),
        ("${MY_KEY}", KeyPlace("env", "MY_KEY")),
        ("keyring", KeyPlace("keyring", "sidecar/static")),
    ],
)
def test_places_of_the_key(given: str, meant: KeyPlace) -> None:
    """A path, a variable, the keyring."""
    assert key_place(given, "static") == meant


@pytest.mark.parametrize(
    "key", ["gct_abc", "x gct_abc", "-----BEGIN PRIVATE KEY-----", "sk1234567890abcdef1234567890", "$A-B"]
)
def test_the_key_itself_is_no_answer(key: str) -> None:
    """It would end up in a file that holds no secrets; it is not repeated."""
    with pytest.raises(Unfit) as refused:
        key_place(key, "static")
    assert key not in str(refused.value)
    person = Person(key, "")
    assert ask_key(person.ask, person.told.append, "static", "~/k") == KeyPlace("file", "~/k")
    assert not any(key in told for told in person.told)


def test_an_upstream_is_asked_until_it_is_one() -> None:
    """With what was expected."""
    person = Person("", "example.com", "https://user:pw@a", "https://api.example.com")
    assert ask_upstream(person.ask, person.told.append) == "https://api.example.com"
    assert sum("expected a URL" in told for told in person.told) == 3
