"""What gets into a build: the sources and the lock files, and no key that happens to lie beside them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from image import engine
from tests.image.dockerfile import IGNORE_FILE, PROJECT, copied_from_context
from tests.image.marks import needs_image

# What must never get in, in places where it might lie.
DECOYS = (
    *(".env", "key.pem", "secrets/sidecar/api-key", "requirements/.env", "sidecar/key", "sidecar/.env"),
    *("sidecar/config/id_rsa", "sidecar/admin/__pycache__/page.cpython-313.pyc", "image/root/credentials.json"),
)


def allowed() -> list[str]:
    """Return the patterns of what is let in. Everything else is kept out by the first rule."""
    first, *rest = [line for line in IGNORE_FILE.read_text().splitlines() if line and not line.startswith("#")]
    assert first == "*"
    assert all(line.startswith("!") for line in rest), "only the first rule keeps out"
    return [line[1:] for line in rest]


def is_allowed(path: str) -> bool:
    """Return whether a file is let in. A star stands for no slash, as the engines have it."""
    patterns = (re.escape(pattern).replace(r"\*", "[^/]*") for pattern in allowed())
    return any(re.fullmatch(pattern, path) for pattern in patterns)


def sources(folder: Path) -> set[str]:
    """Return the files of a folder that are no caches, relative to the project."""
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(PROJECT)) for path in files}


def test_all_that_is_served_gets_in() -> None:
    """Every file of the package and of what assembles the image; a new folder needs a line in .dockerignore."""
    wanted = sources(PROJECT / "sidecar") | sources(PROJECT / "image" / "root")
    assert {path for path in wanted if not is_allowed(path)} == set()


def test_nothing_is_let_in_that_is_not_copied() -> None:
    """Each pattern is for something that the Dockerfile copies, and matches a file."""
    copied = [re.sub(r"\$\{\w+\}", "", source) for source in copied_from_context()]
    for pattern in allowed():
        beginnings = [source.removesuffix(".txt") for source in copied]
        assert pattern.startswith(tuple(beginnings)), pattern
        assert list(PROJECT.glob(pattern)), f"{pattern} matches nothing"


@pytest.mark.parametrize("path", DECOYS)
def test_a_secret_does_not_get_in(path: str) -> None:
    """Wherever it lies."""
    assert not is_allowed(path)


@needs_image
def test_the_engine_agrees(tmp_path: Path) -> None:
    """What buildah sends to a build are the project's sources, and none of the decoys among them."""
    context = tmp_path / "context"
    for pattern in allowed():
        for file in PROJECT.glob(pattern):
            place = context / file.relative_to(PROJECT)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place)
    shutil.copy(IGNORE_FILE, context)
    wanted = {str(path.relative_to(context)) for path in context.rglob("*") if path.is_file()} - {IGNORE_FILE.name}
    for decoy in DECOYS:
        (context / decoy).parent.mkdir(parents=True, exist_ok=True)
        (context / decoy).write_text("a secret")
    file = tmp_path / "Dockerfile"
    file.write_text("FROM scratch\nCOPY . /\n")
    name = "localhost/credential-sidecar-context"
    engine.call([*engine.buildah_command(), "build", "--file", file, "--tag", name, context])
    try:
        root = Path(engine.call([*engine.podman_command(), "image", "mount", name]).strip())
        assert {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()} == wanted
    finally:
        engine.call([*engine.podman_command(), "image", "unmount", "--force", name])
        engine.call([*engine.podman_command(), "rmi", name])
