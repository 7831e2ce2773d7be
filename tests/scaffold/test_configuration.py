"""`sidecar init` with flags: a configuration with comments that passes `check`, and nothing overwritten."""

from __future__ import annotations

import json
import os
import re
import stat
from itertools import pairwise

import jsonschema
import pytest
import yaml

from sidecar.cli import main
from sidecar.config.presets import PRESETS
from sidecar.scaffold.choices import PURPOSES
from tests.scaffold.written import Home

_UPSTREAM = ("--upstream", "https://api.example.com/v1")
_KEYS = {
    "file": ("--api-key-file", "key"),
    "env": ("--api-key-env", "MY_KEY"),
    "keyring": ("--api-key-keyring", "sidecar/me@example.com"),
}


@pytest.mark.parametrize(
    ("preset", "kind"), [*((preset, "file") for preset in PURPOSES), ("giantcontext", "env"), ("oauth2", "keyring")]
)
def test_it_passes_check(home: Home, preset: str, kind: str) -> None:
    """Every preset, and every place of the key; also as the schema that its first line names sees it."""
    home.init("--preset", preset, *_KEYS[kind], *_UPSTREAM)
    config = home.loaded(MY_KEY="x")
    (credential,), (route,) = config.credentials, config.routes
    assert credential.preset == (None if preset == "none" else preset)
    assert credential.api_key.kind == kind
    assert credential.api_key.name == {"file": f"{home.folder}/key", "env": "MY_KEY"}.get(kind, _KEYS[kind][1])
    assert route.upstream.url == "https://api.example.com/v1"
    text = home.config.read_text()
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert named is not None
    schema = json.loads((home.config.parent / named[1]).read_text())
    jsonschema.validate(yaml.safe_load(text), schema)


def test_every_preset_can_be_chosen() -> None:
    """And one that is none, for the other vendors."""
    assert set(PURPOSES) == {*PRESETS, "none"}


def test_the_check_of_a_user_passes(home: Home) -> None:
    """The next step that it says, typed."""
    said = home.init("--preset", "giantcontext")
    assert "sidecar check --exchange" in said
    assert main(["check"]) == 0
    assert str(home.config) in home.capsys.readouterr().out


def test_without_flags_for_what_has_a_default(home: Home) -> None:
    """The preset's API; the key in a file beside, which it says how to write; the usual addresses."""
    said = home.init("--preset", "giantcontext")
    config = home.loaded()
    assert config.credentials[0].api_key.name == str(home.config.with_name("api-key"))
    assert config.routes[0].upstream.url == "https://api.giantcontext.com"
    assert (str(config.listen[0]), str(config.admin.listen)) == ("127.0.0.1:8080", "127.0.0.1:8081")
    assert f"(umask 077; cat > {home.config.with_name('api-key')})" in said
    assert home.files() == {".config/sidecar/config.yaml", ".config/sidecar/config.schema.json"}


def test_no_key_to_paste_where_there_is_one(home: Home) -> None:
    """Only what is left to do is said."""
    (home.folder / "key").write_text("k")
    assert "umask" not in home.init("--preset", "giantcontext", "--api-key-file", "key")


def test_each_line_has_a_reason(home: Home) -> None:
    """A comment before, or at the head of its section."""
    home.init("--preset", "oauth2", *_UPSTREAM)
    lines = home.config.read_text().splitlines()
    for before, line in pairwise(lines):
        if line and not line.lstrip().startswith("#") and not line.endswith(":"):
            assert before.lstrip().startswith("#") or before.endswith(":"), line


def test_what_has_to_be_changed_is_said_with_its_line(home: Home) -> None:
    """An exchange of one's own has lines that nobody else knows."""
    said = home.init("--preset", "oauth2", *_UPSTREAM)
    numbers = re.search(r"marked CHANGE in \S+ \(lines ([\d, ]+)\)", said)
    assert numbers is not None
    lines = home.config.read_text().splitlines()
    assert ["CHANGE" in lines[int(number) - 1] for number in numbers[1].split(",")] == [True, True]
    assert "CHANGE" not in home.init("--preset", "giantcontext", "--force")


@pytest.mark.parametrize(
    "name", ["a b", "it's", 'a"b', "a\\b", "ä", "${HOME}", "a: b", "a #b", "-", "{x}", "yes", "a%b"]
)
def test_a_path_of_any_kind(home: Home, name: str) -> None:
    """It is the same path when it is read."""
    home.init("--preset", "giantcontext", "--api-key-file", name)
    assert home.loaded().credentials[0].api_key.name == f"{home.folder}/{name}"


def test_the_home_in_a_path(home: Home) -> None:
    """No shell puts it in the place of the ~ in `--api-key-file=~/key`."""
    home.init("--preset", "giantcontext", "--api-key-file=~/key")
    assert home.loaded().credentials[0].api_key.name == f"{os.environ['HOME']}/key"


@pytest.mark.parametrize("name", ["null", "Null", "yes", "MY_KEY"])
def test_a_variable_of_any_name(home: Home, name: str) -> None:
    """Words of YAML are none here."""
    home.init("--preset", "giantcontext", "--api-key-env", name)
    assert home.loaded(None, **{name: "x"}).credentials[0].api_key.name == name
    assert yaml.safe_load(home.config.read_text())["credential"]["api_key"] == {"env": name}


def test_addresses(home: Home) -> None:
    """Where apps connect, and where the sidecar is asked, which the steps then do."""
    said = home.init("--preset", "giantcontext", "--listen", "unix:/run/app.sock", "--admin-listen", "[::1]:9000")
    config = home.loaded()
    assert (str(config.listen[0]), str(config.admin.listen)) == ("unix:/run/app.sock", "[::1]:9000")
    assert "sidecar wait --admin '[::1]:9000'" in said


def test_another_place(home: Home) -> None:
    """`-o`, with folders that are not there yet, and the commands that then name it."""
    said = home.init("--preset", "giantcontext", "-o", "some/where.yaml")
    path = home.folder / "some" / "where.yaml"
    assert home.files() == {"some/where.yaml", "some/config.schema.json"}
    assert f"sidecar run -c {path}" in said
    assert home.loaded(path).credentials[0].api_key.name == str(home.folder / "some" / "api-key")


def test_the_users_configuration_folder(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG_CONFIG_HOME, where `run` looks."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home.folder / "xdg"))
    home.init("--preset", "giantcontext")
    assert (home.folder / "xdg" / "sidecar" / "config.yaml").exists()


def test_nobodys_home(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 2: it is not written for everybody, nor where `run` does not look."""
    monkeypatch.delenv("HOME")
    assert "name the place by -o" in home.init("--preset", "giantcontext", code=2)
    home.init("--preset", "giantcontext", "-o", "c.yaml")
    for kind in ("--systemd", "--launchd"):  # which would go to the root of the file system
        assert "HOME is not set" in home.init("--preset", "giantcontext", "-o", "d.yaml", kind, code=2)
    assert "d.yaml" not in home.files()


def test_nothing_is_overwritten_unasked(home: Home) -> None:
    """Neither the configuration nor any file beside it: all or none. With `--force`, all."""
    home.init("--preset", "giantcontext")
    before = home.config.read_bytes()
    said = home.init("--preset", "static", *_UPSTREAM, code=1)
    assert f"{home.config} is there already" in said and "--force" in said
    assert home.config.read_bytes() == before
    (home.folder / "compose.sidecar.yaml").write_text("mine")
    home.init("--preset", "static", *_UPSTREAM, "-o", "other.yaml", "--compose", code=1)
    assert "other.yaml" not in home.files()
    home.init("--preset", "static", *_UPSTREAM, "--force", "--compose")
    assert home.loaded().credentials[0].preset == "static"
    assert (home.folder / "compose.sidecar.yaml").read_text() != "mine"


def test_a_link_that_points_nowhere_is_something(home: Home) -> None:
    """Who made it meant something by it; with `--force` it stays a link."""
    home.config.parent.mkdir(parents=True)
    home.config.symlink_to(home.folder / "dotfiles.yaml")
    home.init("--preset", "giantcontext", code=1)
    home.init("--preset", "giantcontext", "--force")
    assert home.config.is_symlink()
    (home.folder / "compose.sidecar.yaml").symlink_to("nowhere")
    home.init("--preset", "giantcontext", "-o", "other.yaml", "--compose", code=1)
    assert "other.yaml" not in home.files(), "all or none"
    assert (home.folder / "dotfiles.yaml").read_text().startswith("# yaml")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--preset takes one of giantcontext, oauth2"),
        (("--preset", "giantcontxt"), "--preset takes one of giantcontext, oauth2"),
        (("--preset", "oauth2"), "knows no API: name its base URL by --upstream"),
        (("--preset", "oauth2", "--upstream", "example.com"), "expected a URL such as https://"),
        (("--preset", "giantcontext", "--listen", "0.0.0.0:8080"), "whoever reaches it uses your key"),
        (("--preset", "giantcontext", "--upstream", "http://api.example.com"), "insecure: true"),
        (("--preset", "giantcontext", "--api-key-env", "A-B"), "the name of an environment variable"),
        (("--preset", "giantcontext", "--api-key-keyring", "x"), "expected SERVICE/USER"),
        (("--preset", "giantcontext", "--api-key-file", "gct_1234567890"), "looks like the key itself"),
        (("--preset", "giantcontext", "--api-key-env", "A", "--api-key-file", "b"), "not allowed with argument"),
    ],
)
def test_a_wrong_flag(home: Home, arguments: tuple[str, ...], said: str) -> None:
    """Exit 2, a sentence, and nothing written. Nobody is asked where there is no terminal."""
    told = home.init(*arguments, code=2)
    assert said in told and ("othing was written" in told or "not allowed with" in said)
    assert "1234567890" not in told
    assert home.files() == set()


def test_a_folder_that_cannot_be_written(home: Home) -> None:
    """Exit 1 and a sentence."""
    (home.folder / "file").touch()
    assert "cannot be written" in home.init("--preset", "giantcontext", "-o", "file/config.yaml", code=1)
    (home.folder / "folder").mkdir()
    assert "/folder cannot be written: Is a directory" in home.init(
        "--preset", "giantcontext", "-o", "folder", "--force", code=1
    )


def test_what_the_environment_configures_is_not_written(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A SIDECAR_ variable of now says nothing about a file that stays, right or wrong."""
    monkeypatch.setenv("SIDECAR_API_KEY", "secret-of-now")
    monkeypatch.setenv("SIDECAR_LISTEN", "nonsense")
    home.init("--preset", "giantcontext")
    assert "secret-of-now" not in home.config.read_text()


def test_no_part_is_left(home: Home) -> None:
    """And others may read it, as far as the umask lets them: it holds no secret."""
    home.init("--preset", "giantcontext")
    assert {path.name for path in home.config.parent.iterdir()} == {"config.yaml", "config.schema.json"}
    assert stat.S_IMODE(home.config.stat().st_mode) & 0o600 == 0o600


def test_the_schema_is_renewed(home: Home) -> None:
    """It belongs to the version that writes it; but what has its name and is another's stays."""
    schema = home.config.parent / "config.schema.json"
    home.init("--preset", "giantcontext")
    home.config.unlink()
    whole = schema.read_text()
    schema.write_text('{"title": "sidecar configuration"}')
    home.init("--preset", "giantcontext")
    assert schema.read_text() == whole
    home.config.unlink()
    for others in ('{"title": "another"}', "[]", "{"):
        schema.write_text(others)
        assert f"{schema} is there already" in home.init("--preset", "giantcontext", code=1)
        assert (schema.read_text(), home.config.exists()) == (others, False)
