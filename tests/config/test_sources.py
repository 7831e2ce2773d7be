"""Which file is read, and what goes before what."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.config import load, sources
from sidecar.errors import ConfigError
from tests.config.loading import API_KEY, SHORT, load_text, mistake_in


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place where each file that may be read can be written, with a port that tells which it was."""
    monkeypatch.setattr(sources, "SYSTEM_FILE", str(tmp_path / "etc.yaml"))
    return tmp_path


def _write(path: Path, port: int) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{SHORT}\nlisten: 127.0.0.1:{port}\n")
    return str(path)


def test_the_first_file_there_is_is_read(folder: Path) -> None:
    """--config before SIDECAR_CONFIG before XDG_CONFIG_HOME before /etc."""
    environ = {**API_KEY, "HOME": str(folder / "home")}
    _write(folder / "etc.yaml", 1)
    assert load(path=None, flags={}, environ=environ).listen[0].port == 1
    _write(folder / "home/.config/sidecar/config.yaml", 2)
    assert load(path=None, flags={}, environ=environ).listen[0].port == 2
    _write(folder / "xdg/sidecar/config.yaml", 3)
    assert load(path=None, flags={}, environ={**environ, "XDG_CONFIG_HOME": "xdg"}).listen[0].port == 2
    environ["XDG_CONFIG_HOME"] = str(folder / "xdg")
    assert load(path=None, flags={}, environ=environ).listen[0].port == 3
    environ["SIDECAR_CONFIG"] = _write(folder / "named.yaml", 4)
    assert load(path=None, flags={}, environ=environ).listen[0].port == 4
    path = _write(folder / "flag.yaml", 5)
    config = load(path=path, flags={}, environ=environ)
    assert (config.listen[0].port, config.source) == (5, path)


def test_the_working_directory_is_never_looked_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by name, nor by a relative or missing home."""
    for name in ("config.yaml", "sidecar.yaml", "sidecar/config.yaml", ".config/sidecar/config.yaml"):
        _write(folder / name, 6)
    monkeypatch.chdir(folder)
    for environ in ({}, {"XDG_CONFIG_HOME": "."}, {"HOME": "."}, {"XDG_CONFIG_HOME": "", "HOME": ""}):
        with pytest.raises(ConfigError, match="no configuration file"):
            load(path=None, flags={}, environ={**API_KEY, **environ})


def test_a_named_file_must_be_there(folder: Path) -> None:
    """A misspelt --config or SIDECAR_CONFIG does not fall back to another file."""
    _write(folder / "etc.yaml", 1)
    missing = str(folder / "missing.yaml")
    with pytest.raises(ConfigError, match="--config: there is no such file"):
        load(path="", flags={}, environ={})
    for path, environ in ((missing, {}), (None, {"SIDECAR_CONFIG": missing})):
        with pytest.raises(ConfigError, match=r"missing\.yaml: there is no such file"):
            load(path=path, flags={}, environ=environ)


def test_a_start_without_a_file_does_not_load_yaml() -> None:
    """Nor does any start load what only other parts need: each costs every pod time and memory."""
    code = (
        "import sys; from sidecar.config import load;"
        "load(path=None, flags={'preset': 'giantcontext'}, environ={'SIDECAR_API_KEY': 'k'});"
        "print(sorted({'yaml', 'aiohttp', 'difflib', 'jwt', 'prometheus_client'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_flag_goes_before_the_environment_before_the_file() -> None:
    """Of three that are given, the nearest to the user counts."""
    text = SHORT + "listen: 127.0.0.1:1\nadmin: {listen: '127.0.0.1:11', quit: true}\n"
    environ = {"SIDECAR_LISTEN": "127.0.0.1:2", "SIDECAR_ADMIN_LISTEN": "127.0.0.1:12"}
    assert load_text(text).listen[0].port == 1
    assert load_text(text, environ).listen[0].port == 2
    config = load_text(text, environ, {"listen": "127.0.0.1:3", "admin_listen": "127.0.0.1:13"})
    assert (config.listen[0].port, config.admin.listen.port, config.admin.quit) == (3, 13, True)


def test_a_key_source_replaces_the_one_in_the_file() -> None:
    """It is not mixed with it, and a flag goes before a variable."""
    config = load_text(SHORT, {"SIDECAR_API_KEY_FILE": "/a", "OTHER": "x"}, {"api_key_env": "OTHER"})
    assert (config.credentials[0].api_key.kind, config.credentials[0].api_key.name) == ("env", "OTHER")
    config = load_text(SHORT, {"SIDECAR_API_KEY": "x"})
    assert config.credentials[0].api_key.name == "SIDECAR_API_KEY"


def test_an_empty_variable_is_none() -> None:
    """Templates often set what they have nothing for."""
    names = "LISTEN UPSTREAM PRESET API_KEY API_KEY_FILE ADMIN_LISTEN CONFIG FAIL_FAST LOG_LEVEL".split()
    assert load_text(SHORT, {f"SIDECAR_{name}": "" for name in names}).listen == load_text(SHORT).listen


def test_what_a_container_sets_by_variables_alone() -> None:
    """They go before the file, and what else stands in the file's section stays."""
    text = SHORT + "fail_fast: false\nlog: {level: error, access: true}\n"
    config = load_text(text, {"SIDECAR_FAIL_FAST": "true", "SIDECAR_LOG_LEVEL": "debug"})
    assert (config.fail_fast, config.log.level, config.log.access) == (True, "debug", True)
    assert not load_text(SHORT + "fail_fast: true\n", {"SIDECAR_FAIL_FAST": "false"}).fail_fast


def test_two_sources_at_once_are_a_mistake() -> None:
    """Two flags, or two variables, that each give a key."""
    assert "--api-key-file is given too" in mistake_in(SHORT, {}, {"api_key_file": "/a", "api_key_env": "API_KEY"}).text
    assert "give one" in mistake_in(SHORT, {"SIDECAR_API_KEY": "k", "SIDECAR_API_KEY_FILE": "/a"}).text


def test_a_mistake_in_a_flag_or_variable_names_it() -> None:
    """There is no line to point at, so the flag or the variable is the place."""
    assert mistake_in(SHORT, {}, {"admin_listen": "x"}).where == "--admin-listen"
    assert mistake_in(SHORT, {"SIDECAR_PRESET": "giant"}).where == "SIDECAR_PRESET"
    assert mistake_in(SHORT, {}, {"api_key_env": "UNSET"}).where == "--api-key-env"
    mistake = mistake_in(SHORT, {"SIDECAR_FAIL_FAST": "yes"})
    assert (mistake.where, mistake.text) == ("SIDECAR_FAIL_FAST", "expected true or false, not 'yes'")
