"""Builds the image from the Dockerfile, by buildah, in Docker's format (OCI's has no HEALTHCHECK)."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from image import engine
from sidecar import __version__

NAME = f"localhost/credential-sidecar:{__version__}"
ARCHIVE = engine.HOME / f"credential-sidecar-{__version__}.tar"
# What of the caller's pip a build needs as well: how to reach an index that is not on this machine.
_PIP_KEYS = frozenset(
    {"default-timeout", "extra-index-url", "index-url", "proxy", "retries", "timeout", "trusted-host"}
)
_CA_FILE_INSIDE = "/run/secrets/ca.pem"


def build(base: str, lock: str = "run") -> str:
    """Build it; return its name.

    Args:
        base: the image to take Python and the libraries from.
        lock: `run`, or `sign` for the presets that sign.

    Raises:
        EngineError: the build failed; holds the end of its output.
    """
    revision, committed_s = commit()
    arguments = {
        "BASE": base,
        "LOCK": lock,
        "VERSION": __version__,
        "REVISION": revision,
        "SOURCE": os.environ.get("SOURCE", "unknown"),
        "SOURCE_DATE_EPOCH": committed_s,
    }
    # Without a cache: that of buildah 1.28 takes a step for done whose arguments have changed, such as the commit.
    command = [*engine.buildah_command(), "build", "--format", "docker", "--layers=false", "--network", "host"]
    command += [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
    with secrets() as flags:
        engine.call([*command, *flags, "--tag", NAME, engine.PROJECT])
    # What had the name before.
    engine.call([*engine.podman_command(), "image", "prune", "--force"])
    return NAME


def save() -> None:
    """Write the image as an archive that `docker load` and `podman load` take."""
    ARCHIVE.unlink(missing_ok=True)
    engine.call([*engine.buildah_command(), "push", NAME, f"docker-archive:{ARCHIVE}:{NAME}"])


@contextmanager
def secrets() -> Iterator[list[str]]:
    """Yield the flags that hand pip's settings, and its certificate authorities, to the build and to no layer."""
    settings = _pip_settings()
    authority = settings.pop("cert", None)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "pip.conf"
        flags = ["--secret", f"id=pip.conf,src={file}"]
        if authority and Path(authority).is_file():
            settings["cert"] = _CA_FILE_INSIDE
            flags += ["--secret", f"id=ca.pem,src={authority}"]
        file.touch(0o600)
        file.write_text("[global]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items()))
        yield flags


def _pip_settings() -> dict[str, str]:
    """Return the caller's own settings of pip, from its files and its environment, that hold elsewhere too."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    settings: dict[str, str] = {}
    # The environment's (`:env:.cert='…'`) last, since it wins over a file's (`global.cert='…'`).
    for line in sorted(listed.splitlines(), key=lambda line: line.startswith(":env:")):
        name, _, value = line.partition("=")
        key, text = name.rpartition(".")[2], str(ast.literal_eval(value))
        if key == "cert":
            settings[key] = text
        elif key in _PIP_KEYS:
            # An index on this machine's disk is not to be seen from within.
            reachable = [word for word in text.split() if not word.startswith("file:")]
            settings |= {key: " ".join(reachable)} if reachable else {}
    return settings


def commit() -> tuple[str, str]:
    """Return the commit that is checked out, and its time in seconds since 1970; unknown and 0 without git."""
    try:
        command = ["git", "-C", str(engine.PROJECT), "log", "-1", "--format=%H %ct"]
        revision, committed_s = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        return "unknown", "0"
    return revision, committed_s
