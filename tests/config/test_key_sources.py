"""Where a key can come from: what each source is read as, and what is wrong with it where something is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import util
from pathlib import Path

import pytest

from sidecar.config.values import KeyConfig
from sidecar.secret import Secret
from tests.config.loading import LONG, SHORT, load_text, mistake_in

PASTED = "gct_pasted_key_0123456789"


def source_of(source: str, environ: Mapping[str, str] | None = None) -> KeyConfig:
    """Return what a source in the short form is read as."""
    (credential,) = load_text(SHORT.replace("{env: API_KEY}", source), environ).credentials
    return credential.api_key


def mistake_of(source: str, environ: Mapping[str, str] | None = None) -> str:
    """Return the one mistake of a source, with its key."""
    mistake = mistake_in(SHORT.replace("{env: API_KEY}", source), environ)
    return f"{mistake.key}: {mistake.text}"


@pytest.fixture
def tool(tmp_path: Path) -> Path:
    """A program in a folder of its own."""
    path = tmp_path / "bin" / "key-tool"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\necho key\n")
    path.chmod(0o755)
    return path


def test_a_command_by_its_path(tool: Path) -> None:
    """The words are its arguments, as they are; it has 30 s, and no ttl unless one is given."""
    assert source_of(f'{{command: [{tool}, "a b", "", 5]}}') == KeyConfig(
        "command", str(tool), argv=(str(tool), "a b", "", "5")
    )
    assert source_of(f"{{command: [{tool}], ttl: 50m, timeout: 5s}}") == KeyConfig(
        "command", str(tool), argv=(str(tool),), ttl_s=3000.0, timeout_s=5.0
    )


def test_a_command_is_looked_for_on_path_and_at_home(tool: Path) -> None:
    """What is found is run by its absolute path from then on."""
    folder = str(tool.parent)
    assert source_of("{command: [key-tool]}", {"PATH": f"/nonexistent:{folder}"}).name == str(tool)
    assert source_of("{command: [~/key-tool]}", {"HOME": folder}).name == str(tool)


@pytest.mark.parametrize("word", ["key-tool", "./key-tool", "bin/../key-tool"])
def test_a_command_in_the_working_directory_is_none(tool: Path, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cloned repository must not have its program run, whatever PATH says."""
    monkeypatch.chdir(tool.parent)
    mistake = mistake_of(f"{{command: [{word}]}}", {"PATH": ":.:./bin"})
    assert mistake.startswith("credential.api_key.command[0]: expected a program")


def test_what_a_command_is_given_shows_nowhere(tool: Path) -> None:
    """An argument may be a secret."""
    key = source_of(f"{{command: [{tool}, --token, {PASTED}]}}")
    assert PASTED not in repr(key) + key.described
    assert key.described == "command key-tool"


@pytest.mark.parametrize(
    ("source", "at"),
    [
        ("{command: op read}", "command"),
        ("{command: []}", "command"),
        ("{command: {op: read}}", "command"),
        ('{command: [""]}', "command[0]"),
        ('{command: ["/bin/no\\0ne"]}', "command[0]"),
        ("{command: [no-such-program]}", "command[0]"),
        ("{command: [/nonexistent/program]}", "command[0]"),
        ("{command: [/etc/passwd]}", "command[0]"),
        ("{command: [/bin/sh, [a]]}", "command[0]"),
        ("{command: [/bin/sh], ttl: 0}", "ttl"),
        ("{command: [/bin/sh], ttl: 999ms}", "ttl"),
        ("{command: [/bin/sh], ttl: 50}", "ttl"),
        ("{command: [/bin/sh], timeout: 0s}", "timeout"),
        ("{keyring: giantcontext}", "keyring"),
        ("{keyring: /me}", "keyring"),
        ("{keyring: giantcontext/}", "keyring"),
        ("{keyring: [a, b]}", "keyring"),
        ("{systemd: a/b}", "systemd"),
        ("{systemd: ..}", "systemd"),
        ("{systemd: 'a:b'}", "systemd"),
    ],
)
def test_mistakes_in_a_source(source: str, at: str) -> None:
    """Each is one mistake, at its key."""
    assert mistake_of(source).startswith(f"credential.api_key.{at}: expected ")


@pytest.mark.parametrize("source", ["{env: API_KEY, ttl: 50m}", "{file: /a, timeout: 5s}", "{keyring: a/b, ttl: 1h}"])
def test_ttl_and_timeout_are_a_commands(source: str) -> None:
    """Beside another source they would do nothing."""
    assert mistake_of(source) == "credential.api_key: ttl and timeout are a command's: take them away"


@pytest.mark.parametrize(
    "source", ["{}", "{ttl: 50m}", "{env: API_KEY, file: /a}", "{command: [/bin/sh], keyring: a/b}"]
)
def test_one_source_and_no_more(source: str) -> None:
    """What there is, is said."""
    mistake = mistake_of(source)
    assert mistake.startswith("credential.api_key: expected one source: {env: NAME}, ")
    assert all(word in mistake for word in ("{file:", "{command:", "{keyring:", "{systemd:"))


@pytest.mark.parametrize("source", [f"{{command: [{PASTED}]}}", f"{{systemd: {PASTED}}}", f"{{command: {PASTED}}}"])
def test_a_key_in_the_place_of_its_source_is_not_repeated(source: str) -> None:
    """Not in the mistake, whatever it is."""
    assert PASTED not in mistake_of(source)


def test_a_keyring_entry() -> None:
    """The user is what stands behind the last slash."""
    assert source_of("{keyring: https://api.example.com/me}") == KeyConfig("keyring", "https://api.example.com/me")


def test_a_keyring_without_its_package_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    """It will not come by itself; the mistake says how it does."""
    monkeypatch.setattr(util, "find_spec", lambda _: None)
    assert mistake_of("{keyring: a/b}") == (
        "credential.api_key.keyring: needs the package keyring: pip install 'credential-sidecar[keyring]'"
    )


def test_a_systemd_credential(tmp_path: Path) -> None:
    """It is the file of that name in the directory that systemd names."""
    (tmp_path / "vendor.key").write_text("key")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    config = load_text(SHORT.replace("{env: API_KEY}", "{systemd: vendor.key}"), environ)
    assert config.warnings == ()
    (credential,) = config.credentials
    assert credential.api_key == KeyConfig("systemd", str(tmp_path / "vendor.key"))
    assert credential.api_key.described == "systemd credential vendor.key"


def test_a_systemd_credential_that_the_unit_does_not_load(tmp_path: Path) -> None:
    """It works as soon as it is there, and is warned about until then."""
    text = SHORT.replace("{env: API_KEY}", "{systemd: vendor}")
    (warning,) = load_text(text, {"CREDENTIALS_DIRECTORY": str(tmp_path)}).warnings
    assert "credential.api_key.systemd: systemd has given no such credential: LoadCredential=" in warning


@pytest.mark.parametrize("environ", [{}, {"CREDENTIALS_DIRECTORY": ""}, {"CREDENTIALS_DIRECTORY": "relative"}])
def test_outside_of_a_systemd_service(environ: Mapping[str, str]) -> None:
    """The mistake says what to write into the unit."""
    mistake = mistake_of("{systemd: vendor}", environ)
    assert "CREDENTIALS_DIRECTORY is not set" in mistake
    assert "LoadCredential=vendor:" in mistake


def test_a_systemd_credential_as_a_file(tmp_path: Path) -> None:
    """By the variable, for whoever prefers that."""
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    key = source_of('{file: "${CREDENTIALS_DIRECTORY}/vendor"}', environ)
    assert key == KeyConfig("file", os.path.join(tmp_path, "vendor"))


def test_the_gates_token_from_anywhere(tool: Path) -> None:
    """Any source will do; it is read at the start and at each reload, so that a ttl would do nothing."""
    gate = load_text(SHORT + f"gate: {{require_token: {{command: [{tool}]}}}}").gate
    assert gate.require_token is not None and gate.require_token.kind == "command"
    mistake = mistake_in(SHORT + f"gate: {{require_token: {{command: [{tool}], ttl: 5m}}}}")
    assert mistake.key == "gate.require_token.ttl"


def test_which_variables_hold_keys() -> None:
    """Those of every credential, and the gate's; nothing that we run gets to know them."""
    text = LONG.replace(
        "routes:",
        "  other: {preset: static, api_key: {env: OTHER_KEY}}\n"
        "  third: {preset: static, api_key: {value: literal}}\nroutes:",
    )
    config = load_text(
        text + "gate: {require_token: {env: GATE_TOKEN}}\n", {"OTHER_KEY": "other-key", "GATE_TOKEN": "token"}
    )
    assert config.key_variables == {"API_KEY", "OTHER_KEY", "GATE_TOKEN"}
    assert config.credentials[2].api_key.value == Secret("literal")
