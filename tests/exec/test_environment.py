"""What the command finds in its environment: the sidecar's address, placeholders, and no API key."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import trustme

from sidecar.child_environment import child_environment, key_files
from sidecar.client_environment import client_environment
from sidecar.config import load
from sidecar.config.presets import CLIENT_VARIABLES, PLACEHOLDERS, PRESETS
from sidecar.config.values import Config
from sidecar.environment import take_keys_out
from sidecar.no_proxy import no_proxy
from sidecar.shield import PLACEHOLDER_KEY
from tests.exec.executing import command_line, configured, done, long_only

URL = "http://127.0.0.1:4711"
KEY = "gct_canary_0123456789"


def config_of(folder: Path, content: object, environ: dict[str, str]) -> Config:
    """Return what this file says."""
    file = folder / "config.yaml"
    file.write_text(json.dumps(content))
    return load(path=str(file), flags={}, environ=environ)


def environment_of(folder: Path, content: object, environ: dict[str, str], **templates: str) -> dict[str, str]:
    """Return a command's environment, but for what is there anyway."""
    config = config_of(folder, content, environ)
    admin = "http://127.0.0.1:4712"
    found = child_environment(environ, config, url=URL, admin_url=admin, templates=templates)
    assert found.pop("SIDECAR_URL") == URL
    assert found.pop("SIDECAR_ADMIN_URL") == admin
    return found


@long_only  # SIDECAR_LONG; test_unmodified_clients.py has real clients answered by these variables
async def test_a_command_is_answered(tmp_path: Path) -> None:
    """With the preset's variables, and one of its own."""
    show = 'curl -sf "$GIANTCONTEXT_BASE_URL/me"; echo; echo "$GIANTCONTEXT_API_KEY $OPENAI_BASE_URL $SIDECAR_URL"'
    async with configured(tmp_path) as (file, _):
        flags = ("--env", "OPENAI_BASE_URL={url}/v1")
        code, out, err = await done(command_line(file, "sh", "-c", show, flags=flags))
    assert (code, err) == (0, "")
    answer, variables = out.splitlines()
    assert json.loads(answer)["account"] == "acc_demo"
    key, openai, url = variables.split()
    assert (key, openai) == ("gct_placeholder", f"{url}/v1")
    assert not url.endswith(":1")  # where the file has it listen


def test_what_holds_a_key_is_taken_out(tmp_path: Path) -> None:
    """The variables that the configuration names, ours, and whatever else a key is in; nothing else."""
    (tmp_path / "key").write_text("key-of-a-file-0123\n")
    sources = {
        "a": {"env": "A_KEY"},
        "b": {"file": str(tmp_path / "key")},
        "c": {"value": "${C_KEY}"},
    }
    content = {
        "credentials": {name: {"preset": "static", "api_key": source} for name, source in sources.items()},
        "routes": [
            {"match": {"path": f"/{name}/"}, "upstream": "https://a.example", "credential": name} for name in sources
        ],
        "gate": {"require_token": {"env": "GATE_TOKEN"}},
    }
    environ = {
        "A_KEY": KEY,
        "ANOTHER_NAME": KEY,
        "A_FIELD": f"Authorization: Bearer {KEY}",
        "B_KEY": "key-of-a-file-0123",
        "C_KEY": "key-in-the-configuration",
        "SIDECAR_API_KEY": "",
        "GATE_TOKEN": "what-callers-send",
        "PATH": "/bin",
    }
    assert environment_of(tmp_path, content, environ) == {"PATH": "/bin", "GATE_TOKEN": "what-callers-send"}


def test_what_a_secret_is_made_of_is_taken_out(tmp_path: Path) -> None:
    """A variable inside of a key, or of what else an exchange shows, wherever else it stands; not what anybody sees."""
    exchange = {
        "url": "https://${A_HOST}/token",
        "basic": {"username": "me", "password": "${A_PASSWORD}"},
        "headers": {"X-Vendor": "key=${A_FIELD:-none}", "X-Of": "${USER}"},
        "form": {"b": "$${NOT_EXPANDED}", "key": "{api_key}"},
    }
    content = {
        "upstream": "https://${A_HOST}",
        "credential": {"api_key": {"value": "gct_${A_KEY}"}, "exchange": exchange},
        "gate": {"require_token": {"value": "${GATE_TOKEN}"}},
    }
    kept = {"A_HOST": "a.example", "USER": "me", "NOT_EXPANDED": "1", "GATE_TOKEN": "of-callers"}
    secrets = {"A_PASSWORD": "pass-0123456789", "A_FIELD": "field-0123456789", "A_KEY": "key-0123456789"}
    environ = {**kept, **secrets, "SAME": "pass-0123456789"}
    assert environment_of(tmp_path, content, environ) == kept
    inherited = dict(environ)
    take_keys_out(config_of(tmp_path, content, environ), inherited)
    kept.pop("GATE_TOKEN")
    assert inherited == {**kept, "SAME": "pass-0123456789"}


def test_files_that_are_not_to_be_found_open(tmp_path: Path) -> None:
    """Those of keys, of the private keys of TLS, and the configuration, which may hold a key itself."""
    client = trustme.CA().issue_cert("client.example")
    client.private_key_pem.write_to_path(tmp_path / "private")
    client.cert_chain_pems[0].write_to_path(tmp_path / "cert")
    client.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both")
    tls = {"client_cert_file": str(tmp_path / "cert"), "client_key_file": str(tmp_path / "private")}
    both = {"client_cert_file": str(tmp_path / "both")}
    exchange = {"url": "https://a.example/token", "tls": tls, "json": {"key": "{api_key}"}}
    content = {
        "upstream": {"url": "https://a.example", "tls": both},
        "credential": {"api_key": {"file": "key"}, "exchange": exchange},
    }
    names = ["key", "private", "both", "config.yaml"]
    assert key_files(config_of(tmp_path, content, {})) == [str(tmp_path / name) for name in names]


def test_a_short_key_takes_no_words_out(tmp_path: Path) -> None:
    """It is looked for as a whole value alone."""
    content = {"upstream": "https://a.example", "credential": {"preset": "static", "api_key": {"env": "A_KEY"}}}
    assert environment_of(tmp_path, content, {"A_KEY": "bin", "B": "bin", "PATH": "/bin"}) == {"PATH": "/bin"}


def test_our_own_key_variable(tmp_path: Path) -> None:
    """It goes, though no file names it; what says where a configuration is stays, for another in this one."""
    content = {"credential": {"preset": "giantcontext"}}
    environ = {"SIDECAR_API_KEY": KEY, "SIDECAR_CONFIG": "/a/file"}
    found = environment_of(tmp_path, content, environ)
    assert found == {
        "SIDECAR_CONFIG": "/a/file",
        "GIANTCONTEXT_BASE_URL": URL,
        "GIANTCONTEXT_API_KEY": PLACEHOLDER_KEY,
    }


def test_templates(tmp_path: Path) -> None:
    """All fields, and braces of other kinds; they go before what the preset sets."""
    content = {"credential": {"preset": "giantcontext", "api_key": {"env": "A_KEY"}}}
    found = environment_of(
        tmp_path,
        content,
        {"A_KEY": KEY},
        A="{url}/v1",
        B="{host}|{port}|{placeholder}",
        C='{"a": {}}',
        GIANTCONTEXT_API_KEY="mine",
    )
    assert [found[name] for name in "ABC"] == [f"{URL}/v1", "127.0.0.1:4711|4711|gct_placeholder", '{"a": {}}']
    assert found["GIANTCONTEXT_API_KEY"] == "mine"


@pytest.mark.parametrize(
    ("route", "base"),
    [
        ({"match": {"path": "/gc/"}, "strip_prefix": True}, f"{URL}/gc"),
        ({"match": {"path": "/gc/"}}, URL),
        ({"match": {"host": "a.localhost"}}, None),
    ],
)
def test_the_base_url_is_that_of_the_credentials_route(tmp_path: Path, route: object, base: str | None) -> None:
    """With the prefix that the route takes off; none where a client would have to send another Host."""
    content = {
        "credentials": {"gc": {"preset": "giantcontext", "api_key": {"env": "A_KEY"}}},
        "routes": [{"upstream": "https://a.example", "credential": "gc", **route}],  # type: ignore[dict-item]
    }
    found = client_environment(config_of(tmp_path, content, {"A_KEY": KEY}), URL)
    assert found.get("GIANTCONTEXT_BASE_URL") == base


def test_presets_that_have_variables_are_presets() -> None:
    """And the placeholder is the one that the shield takes for none."""
    assert set(CLIENT_VARIABLES) <= set(PRESETS)
    assert PLACEHOLDERS["giantcontext"] == PLACEHOLDER_KEY


@long_only  # SIDECAR_LONG
async def test_users_that_a_port_does_not_keep_out_are_warned_about(tmp_path: Path) -> None:
    """Where the file lets only some use its unix socket; the command runs all the same."""
    gate = {"peer_uids": [os.getuid()]}
    async with configured(tmp_path, listen=f"unix:{tmp_path}/app.sock", gate=gate) as (file, _):
        code, out, err = await done(command_line(file, "sh", "-c", "echo $SIDECAR_URL"))
    assert code == 0 and out.startswith("http://127.0.0.1:")
    assert "any user of this machine can use it" in err


OURS = "127.0.0.1,localhost,::1"


@pytest.mark.parametrize(
    ("environ", "small", "large"),
    [
        ({}, None, None),
        ({"NO_PROXY": "a"}, None, None),
        ({"http_proxy": "http://p:1"}, OURS, OURS),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "a, b"}, f"a,b,{OURS}", f"a,b,{OURS}"),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "a", "no_proxy": "localhost"}, "localhost,127.0.0.1,::1", f"a,{OURS}"),
        ({"http_proxy": "http://p:1", "no_proxy": "*"}, "*", "*"),
        ({"http_proxy": ""}, None, None),
    ],
)
def test_a_proxy_of_the_network_is_not_asked(environ: dict[str, str], small: str | None, large: str | None) -> None:
    """What is there stays; where no proxy is named, nothing is added."""
    found = no_proxy(environ)
    assert (found.get("no_proxy"), found.get("NO_PROXY")) == (small, large)


@long_only  # SIDECAR_LONG
async def test_clients_reach_it_past_a_proxy(tmp_path: Path) -> None:
    """curl and Python, with a proxy named at which nobody listens."""
    script = (
        'curl -sf "$SIDECAR_URL/me" >/dev/null && '
        'python3 -c \'import os, urllib.request as r; print(r.urlopen(os.environ["SIDECAR_URL"] + "/me").status)\''
    )
    async with configured(tmp_path) as (file, vendor):
        key = vendor.options.api_key.reveal().decode()
        proxies = {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
        ended = await done(command_line(file, "sh", "-c", script), {"GIANTCONTEXT_API_KEY": key, **proxies})
    assert ended == (0, "200\n", "")
