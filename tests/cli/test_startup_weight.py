"""What only asks, and what only prints, starts with the standard library alone, and with little of that."""

from __future__ import annotations

import pytest

from tests.cli.command import python

HEAVY = ["aiohttp", "yaml", "uvloop", "asyncio", "httptools", "jwt", "prometheus_client", "cachetools"]
SLOW = ["typing", "dataclasses", "http.client", "logging", "email", "ssl"]

_PROBE = """
import sys
from sidecar.cli import main
code = main({arguments!r})
print("LOADED", *sorted(sys.modules))
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["version"],
        ["healthcheck", "--admin", "127.0.0.1:1"],
        ["healthcheck", "--ready", "--admin", "127.0.0.1:1"],
        ["wait", "--max", "1ms", "--admin", "127.0.0.1:1"],
        ["status", "--admin", "127.0.0.1:1"],
        ["env", "--admin", "127.0.0.1:1"],
        ["exec", "--help"],
        ["token", "--help"],
        ["status", "--help"],
    ],
)
def test_nothing_heavy_is_imported(arguments: list[str]) -> None:
    """Each of these would cost a probe in every pod 10 to 300 ms."""
    # -S: without what an installation's own .pth files import.
    loaded = python("-S", "-c", _PROBE.format(arguments=arguments)).out.partition("LOADED ")[2].split()
    assert "sidecar.cli" in loaded
    assert [name for name in (*HEAVY, *SLOW) if name in loaded] == []


def test_the_probe_of_this_test_sees_imports() -> None:
    """`schema` loads the configuration's modules, and this test notices."""
    loaded = python("-S", "-c", _PROBE.format(arguments=["schema"])).out.partition("LOADED ")[2].split()
    assert "dataclasses" in loaded


_SOURCES = """
import sys
from sidecar.assembly import key_source
from sidecar.config import load
flags = {"api_key_env": "KEY", "upstream": "https://a", "preset": "static"}
config = load(path=None, flags=flags, environ={"KEY": "x"})
key_source(config.credentials[0].api_key, config)
print(*sorted(sys.modules))
"""


def test_a_key_in_the_environment_needs_nothing_of_the_other_sources() -> None:
    """What follows a file, runs a command or asks a keyring is loaded by whoever uses it."""
    loaded = python("-c", _SOURCES).out.split()
    assert "sidecar.credentials.keys" in loaded
    rare = ["inotify", "file_events", "trail", "command", "key_command", "key_keyring"]
    assert [name for name in rare if f"sidecar.credentials.{name}" in loaded] == []
    assert [name for name in ("ctypes", "keyring") if name in loaded] == []
