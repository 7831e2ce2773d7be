"""`login` and `logout`: a key goes into the keyring unseen and out of it again, and a machine without one is told."""

from __future__ import annotations

import getpass
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keyring as package
import pytest
from keyring.backends.fail import Keyring as NoKeyring

from sidecar.cli import main
from tests.cli.command import Ended, environment
from tests.cli.keyring_in_a_file import KeyringInAFile
from tests.private_keys import pem
from tests.terminal import terminal

CANARY = "gct_canary_of_a_login"
ENTRY = "sidecar/giantcontext"
REPOSITORY = Path(__file__).parents[2]


def keyring(tmp_path: Path, **more: str) -> dict[str, str]:
    """Return an environment with a keyring in it."""
    named = {"PYTHON_KEYRING_BACKEND": "tests.cli.keyring_in_a_file.KeyringInAFile"}
    return {**named, "PYTHONPATH": str(REPOSITORY), "KEYRING_FILE": str(tmp_path / "keyring"), **more}


def typed(*arguments: str, key: bytes, environ: dict[str, str]) -> Ended:
    """Run `sidecar` with a key by standard input."""
    done = subprocess.run(
        [sys.executable, "-m", "sidecar", *arguments],
        input=key,
        env=environment(environ),
        capture_output=True,
        timeout=20,
    )
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


class AtATerminal(io.TextIOWrapper):
    """What calls itself one."""

    def isatty(self) -> bool:
        """Say so."""
        return True


class Person:
    """Types in this process, where a process for each would take long."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def types(self, *arguments: str, key: bytes = b"", at: type[io.TextIOWrapper] = io.TextIOWrapper) -> Ended:
        """Run `sidecar` with a key by standard input."""
        self._monkeypatch.setattr("sys.stdin", at(io.BytesIO(key)))
        code = main(list(arguments))
        said = self._capsys.readouterr()
        return Ended(code, said.out, said.err)


def kept(tmp_path: Path) -> dict[str, str]:
    """Return what the keyring holds."""
    file = tmp_path / "keyring"
    entries: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    return entries


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Person]:
    """Somebody in this process, whose keyring is a file."""
    for name, value in keyring(tmp_path).items():
        monkeypatch.setenv(name, value)
    before = package.get_keyring()
    package.set_keyring(KeyringInAFile())  # type: ignore[no-untyped-call]  # the package's
    yield Person(monkeypatch, capsys)
    package.set_keyring(before)


def test_a_key_by_standard_input_and_out_again(person: Person, tmp_path: Path) -> None:
    """The line's end is none of it; nothing of it is said; the second logout finds nothing."""
    environ = keyring(tmp_path)
    ended = typed("login", ENTRY, key=CANARY.encode() + b"\r\n", environ=environ)
    assert ended.code == 0, ended.err
    assert kept(tmp_path) == {"sidecar|giantcontext": CANARY}
    assert "api_key: {keyring: sidecar/giantcontext}" in ended.out
    assert "(file)" in ended.out, "the keyring's name"
    assert CANARY not in ended.out + ended.err
    assert person.types("logout", ENTRY).code == 0
    assert kept(tmp_path) == {}
    again = person.types("logout", ENTRY)
    assert (again.code, "has no entry sidecar/giantcontext" in again.err) == (1, True)


def test_a_key_that_is_typed_is_not_shown(tmp_path: Path) -> None:
    """The terminal does not echo it, and does again afterwards."""
    argv = [sys.executable, "-m", "sidecar", "login", ENTRY]
    with terminal(argv, environment(keyring(tmp_path))) as screen:
        screen.until("(it is not shown): ")
        screen.type(CANARY + "\n")
        assert screen.end() == 0
        assert "Stored in the keyring" in screen.shown
        assert CANARY not in screen.raw
    assert kept(tmp_path) == {"sidecar|giantcontext": CANARY}


def test_the_entry_of_the_configuration(person: Person, tmp_path: Path) -> None:
    """Where it has one, that need not be named; where it has two or none, the sentence says what to name."""
    file = tmp_path / "c.yaml"
    file.write_text("credential: {preset: giantcontext, api_key: {keyring: a/b/me@example.com}}")
    assert person.types("login", "-c", str(file), key=b"k").code == 0
    assert kept(tmp_path) == {"a/b|me@example.com": "k"}
    file.write_text("credential: {preset: giantcontext, api_key: {file: key}}")
    none = person.types("login", "-c", str(file), key=b"k")
    assert (none.code, "ENTRY is SERVICE/USER" in none.err) == (2, True)
    entries = "".join(f"{name}: {{preset: static, api_key: {{keyring: s/{name}}}}}, " for name in "ab")
    file.write_text(f"credentials: {{{entries}}}\nroutes: [{{upstream: 'https://a.example'}}]")
    several = person.types("login", "-c", str(file), key=b"k")
    assert (several.code, "name one of s/a, s/b" in several.err) == (2, True)
    file.write_text("nonsense: 1")
    wrong = person.types("login", "-c", str(file), key=b"k")
    assert (wrong.code, "c.yaml:1:1" in wrong.err) == (2, True)


def test_a_configuration_by_init_needs_no_words(
    person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`init`, `login`, `check`: as the steps say."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", "")
    for step in (["init", "--preset", "giantcontext", "--api-key-keyring", ENTRY], ["login"], ["check"]):
        ended = person.types(*step, key=CANARY.encode())
        assert ended.code == 0, (step, ended.err)


def test_a_private_key_has_many_lines(person: Person, tmp_path: Path) -> None:
    """For the presets that sign."""
    assert person.types("login", ENTRY, key=pem("p256")).code == 0
    assert kept(tmp_path)["sidecar|giantcontext"] == pem("p256").decode()


@pytest.mark.parametrize("key", [b"", b"\n", f"{CANARY} x".encode(), f"{CANARY}\xe9".encode(), b"a\nb", b"k" * 70000])
def test_what_is_no_key_is_not_stored(person: Person, tmp_path: Path, key: bytes) -> None:
    """Exit 2; the sentence does not repeat it."""
    ended = person.types("login", ENTRY, key=key)
    assert ended.code == 2
    assert "nothing was stored" in ended.err
    assert CANARY not in ended.err
    assert kept(tmp_path) == {}


@pytest.mark.filterwarnings("ignore::getpass.GetPassWarning")
def test_a_terminal_that_would_show_the_key(person: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 2: it is not even asked for there."""
    monkeypatch.setattr(getpass, "getpass", getpass.fallback_getpass)  # type: ignore[attr-defined]  # what it does there
    ended = person.types("login", ENTRY, key=CANARY.encode() + b"\n", at=AtATerminal)
    assert ended.code == 2
    assert "would show the key; give it by standard input" in ended.err
    assert kept(tmp_path) == {}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("locked", "the keyring is locked; unlock it"),
        ("forgets", "the keyring file did not keep it"),
        ("crashes", "the keyring fails (RuntimeError)"),
    ],
)
def test_a_keyring_that_fails(person: Person, monkeypatch: pytest.MonkeyPatch, fault: str, said: str) -> None:
    """Exit 1, and a file is named as the other way; what the backend says could hold the key."""
    monkeypatch.setenv("KEYRING_FAULT", fault)
    ended = person.types("login", ENTRY, key=CANARY.encode())
    assert ended.code == 1
    assert said in ended.err and "A file does as well" in ended.err
    assert CANARY not in ended.err


@pytest.mark.parametrize("command", ["login", "logout"])
def test_a_machine_without_a_keyring(person: Person, command: str) -> None:
    """A server or a container: the package's own word for it."""
    package.set_keyring(NoKeyring())  # type: ignore[no-untyped-call]  # the package's
    ended = person.types(command, ENTRY, key=CANARY.encode())
    assert ended.code == 1
    assert "there is no keyring here" in ended.err
    assert command == "logout" or "api_key: {file: PATH}, mode 0600" in ended.err


@pytest.mark.parametrize("command", ["login", "logout"])
def test_without_the_extra(command: str) -> None:
    """The sentence says how to get it, and that a file will do; nobody is asked for a key in vain."""
    script = f"import sys; sys.modules['keyring'] = None\nfrom sidecar.cli import main; sys.exit(main([{command!r}]))"
    done = subprocess.run([sys.executable, "-c", script], env=environment(), capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert "pip install 'credential-sidecar[keyring]', or use a file" in done.stderr


@pytest.mark.parametrize("entry", ["giantcontext", "/me", "sidecar/", "a/\x1b[2J"])
def test_what_names_no_entry(person: Person, entry: str) -> None:
    """Exit 2."""
    ended = person.types("login", entry, key=b"k")
    assert (ended.code, "SERVICE/USER" in ended.err) == (2, True)
