"""What a path goes through: every name that decides where it leads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sidecar.credentials.trail import trail_of


def seen(path: Path | str, root: Path) -> tuple[list[str], str | None]:
    """Return the names that count, and the end, below a folder."""
    trail = trail_of(str(path))
    steps = [os.path.relpath(os.path.join(step.directory, step.name), root) for step in trail.steps]
    return steps, os.path.relpath(trail.file, root) if trail.file is not None else None


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder whose own path has no link in it."""
    return tmp_path.resolve()


def test_a_plain_file(root: Path) -> None:
    """Its own name in its directory; the directory tells itself when it goes."""
    (root / "keys").mkdir()
    (root / "keys" / "key").touch()
    assert seen(root / "keys" / "key", root) == (["keys/key"], "keys/key")


def test_links(root: Path) -> None:
    """Each of them counts, relative and absolute, and what they lead to."""
    (root / "..day1").mkdir()
    (root / "..day1" / "key").touch()
    (root / "..data").symlink_to("..day1")
    (root / "key").symlink_to(root / "..data" / ".." / "..data" / "key")
    assert seen(root / "key", root) == (["key", "..data", "..data", "..day1/key"], "..day1/key")


@pytest.mark.parametrize("missing", ["none", "none/deep/key", "file/key"])
def test_what_is_missing(root: Path, missing: str) -> None:
    """The first name that is missing counts: it is made before all behind it."""
    (root / "file").touch()
    steps, file = seen(root / missing, root)
    assert steps == ["none" if missing.startswith("none") else "file/key"]
    assert file is None


def test_a_link_to_nothing(root: Path) -> None:
    """It counts, and so does what it is to lead to."""
    (root / "key").symlink_to("later/key")
    assert seen(root / "key", root) == (["key", "later"], None)


def test_a_circle(root: Path) -> None:
    """It is no path."""
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    with pytest.raises(OSError):
        trail_of(str(root / "a"))


def test_another_directory_at_the_same_place_is_another_trail(root: Path) -> None:
    """Though every name is the same."""
    (root / "keys").mkdir()
    (root / "keys" / "key").touch()
    before = trail_of(str(root / "keys" / "key"))
    assert trail_of(str(root / "keys" / "key")) == before
    (root / "keys").rename(root / "old")
    (root / "keys").mkdir()
    os.link(root / "old" / "key", root / "keys" / "key")
    assert trail_of(str(root / "keys" / "key")) != before
