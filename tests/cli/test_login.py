"""`login` and `logout`: a key goes into the keyring unseen and out of it again, and a machine without one is told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import Ended, environment
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


def kept(tmp_path: Path) -> dict[str, str]:
    """Return what the keyring holds."""
    file = tmp_path / "keyring"
    entries: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    return entries


def test_a_key_by_standard_input_and_out_again(tmp_path: Path) -> None:
    """The line's end is none of it; nothing of it is said; the second logout finds nothing."""
    environ = keyring(tmp_path)
    ended = typed("login", ENTRY, key=CANARY.encode() + b"\r\n", environ=environ)
    assert ended.code == 0, ended.err
    assert kept(tmp_path) == {"sidecar|giantcontext": CANARY}
    assert "api_key: {keyring: sidecar/giantcontext}" in ended.out
    assert "(file)" in ended.out, "the keyring's name"
    assert CANARY not in ended.out + ended.err
    assert typed("logout", ENTRY, key=b"", environ=environ).code == 0
    assert kept(tmp_path) == {}
    again = typed("logout", ENTRY, key=b"", environ=environ)
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


def test_the_entry_of_the_configuration(tmp_path: Path) -> None:
    """Where it has one, that need not be named; where it has two or none, the sentence says what to name."""
    file = tmp_path / "c.yaml"
    environ = keyring(tmp_path)
    file.write_text("credential: {preset: giantcontext, api_key: {keyring: a/b/me@example.com}}")
    assert typed("login", "-c", str(file), key=b"k", environ=environ).code == 0
    assert kept(tmp_path) == {"a/b|me@example.com": "k"}
    file.write_text("credential: {preset: giantcontext, api_key: {file: key}}")
    none = typed("login", "-c", str(file), key=b"k", environ=environ)
    assert (none.code, "ENTRY is SERVICE/USER" in none.err) == (2, True)
    entries = "".join(f"{name}: {{preset: static, api_key: {{keyring: s/{name}}}}}, " for name in "ab")
    file.write_text(f"credentials: {{{entries}}}\nroutes: [{{upstream: 'https://a.example'}}]")
    several = typed("login", "-c", str(file), key=b"k", environ=environ)
    assert (several.code, "name one of s/a, s/b" in several.err) == (2, True)


def test_a_configuration_by_init_needs_no_words(tmp_path: Path) -> None:
    """`init`, `login`, `check`: as the steps say."""
    environ = {**keyring(tmp_path), "HOME": str(tmp_path), "XDG_CONFIG_HOME": ""}
    for step in (["init", "--preset", "giantcontext", "--api-key-keyring", ENTRY], ["login"], ["check"]):
        ended = typed(*step, key=CANARY.encode(), environ=environ)
        assert ended.code == 0, (step, ended.err)


def test_a_private_key_has_many_lines(tmp_path: Path) -> None:
    """For the presets that sign."""
    assert typed("login", ENTRY, key=pem("p256"), environ=keyring(tmp_path)).code == 0
    assert kept(tmp_path)["sidecar|giantcontext"].startswith("-----BEGIN")


@pytest.mark.parametrize("key", [b"", b"\n", f"{CANARY} x".encode(), f"{CANARY}\xe9".encode(), b"a\nb"])
def test_what_is_no_key_is_not_stored(tmp_path: Path, key: bytes) -> None:
    """Exit 2; the sentence does not repeat it."""
    ended = typed("login", ENTRY, key=key, environ=keyring(tmp_path))
    assert ended.code == 2
    assert "nothing was stored" in ended.err
    assert CANARY not in ended.err
    assert kept(tmp_path) == {}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("locked", "the keyring is locked; unlock it"),
        ("forgets", "the keyring file did not keep it"),
        ("crashes", "the keyring fails (RuntimeError)"),
    ],
)
def test_a_keyring_that_fails(tmp_path: Path, fault: str, said: str) -> None:
    """Exit 1, and a file is named as the other way; what the backend says could hold the key."""
    ended = typed("login", ENTRY, key=CANARY.encode(), environ=keyring(tmp_path, KEYRING_FAULT=fault))
    assert ended.code == 1
    assert said in ended.err and "A file does as well" in ended.err
    assert CANARY not in ended.err and "Traceback" not in ended.err


@pytest.mark.parametrize("command", ["login", "logout"])
def test_a_machine_without_a_keyring(tmp_path: Path, command: str) -> None:
    """A server or a container: the package's own word for it."""
    environ = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    ended = typed(command, ENTRY, key=CANARY.encode(), environ=environ)
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
def test_what_names_no_entry(entry: str) -> None:
    """Exit 2."""
    ended = typed("login", entry, key=b"k", environ={})
    assert (ended.code, "SERVICE/USER" in ended.err) == (2, True)
