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
