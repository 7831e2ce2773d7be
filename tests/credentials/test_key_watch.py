"""A key that changes where it lies."""

from __future__ import annotations

from pathlib import Path

from sidecar.credentials.key_file import FileKey
from sidecar.credentials.key_watch import KeyWatch
from sidecar.secret import Secret

OLD = Secret("old")
NEW = Secret("new")


def watch_of(source: FileKey) -> KeyWatch:
    """Return a watch of it that tells nobody."""
    return KeyWatch(source, lambda: None)


async def test_a_key_that_stays_is_no_change(tmp_path: Path) -> None:
    """Nor is one that is written anew with the same content."""
    path = tmp_path / "key"
    watch = watch_of(FileKey(path))
    for content in ("old", "old\n", "old\r\n"):
        path.write_text(content)
        assert await watch.poll(OLD) is None


async def test_a_new_key_counts_once_it_has_settled(tmp_path: Path) -> None:
    """Two reads in a row must agree; the key is then the one in use, and no change any more."""
    path = tmp_path / "key"
    path.write_text("new\n")
    watch = watch_of(FileKey(path))
    assert await watch.poll(OLD) is None
    assert await watch.poll(OLD) == NEW
    assert await watch.poll(NEW) is None


async def test_a_half_written_key_is_never_used(tmp_path: Path) -> None:
    """A file that grows between reads has not settled."""
    path = tmp_path / "key"
    watch = watch_of(FileKey(path))
    seen = []
    for content in ("n", "ne", "new", "new"):
        path.write_text(content)
        seen.append(await watch.poll(OLD))
    assert seen == [None, None, None, NEW]


async def test_a_key_that_comes_back_is_no_change(tmp_path: Path) -> None:
    """A new key that is gone by the next read was none, and counts from the start when it returns."""
    path = tmp_path / "key"
    watch = watch_of(FileKey(path))
    for content in ("new", "old", "new"):
        path.write_text(content)
        assert await watch.poll(OLD) is None
    assert await watch.poll(OLD) == NEW


async def test_a_file_that_goes_away_is_no_change(tmp_path: Path) -> None:
    """It is a problem, told until a read succeeds; what was seen before it does not count as settled."""
    path = tmp_path / "key"
    path.write_text("new")
    watch = watch_of(FileKey(path))
    assert await watch.poll(OLD) is None
    path.unlink()
    assert await watch.poll(OLD) is None
    assert watch.problem == f"file {path} cannot be read: No such file or directory"
    path.write_text("new")
    assert await watch.poll(OLD) is None
    assert watch.problem is None
    assert await watch.poll(OLD) == NEW


async def test_a_truncated_file_is_a_problem(tmp_path: Path) -> None:
    """An editor that empties a file before it writes is not a change to no key."""
    path = tmp_path / "key"
    path.write_text("")
    watch = watch_of(FileKey(path))
    assert await watch.poll(OLD) is None
    assert watch.problem == f"file {path} is empty"


async def test_a_first_key_settles_like_any_other(tmp_path: Path) -> None:
    """Where there was none, the first to appear counts after two reads."""
    path = tmp_path / "key"
    watch = watch_of(FileKey(path))
    assert await watch.poll(None) is None
    path.write_text("new")
    assert await watch.poll(None) is None
    assert await watch.poll(None) == NEW


async def test_an_atomic_rename_is_seen(tmp_path: Path) -> None:
    """The path is opened anew at each read, so a new inode is no obstacle."""
    path, other = tmp_path / "key", tmp_path / "other"
    path.write_text("old")
    watch = watch_of(FileKey(path))
    assert await watch.poll(OLD) is None
    other.write_text("new")
    other.replace(path)
    assert [await watch.poll(OLD), await watch.poll(OLD)] == [None, NEW]


async def test_the_link_that_kubernetes_swaps_is_followed(tmp_path: Path) -> None:
    """key -> ..data/key, ..data -> a directory of the day, replaced by a rename of the link."""
    for day, content in (("..day1", "old"), ("..day2", "new")):
        (tmp_path / day).mkdir()
        (tmp_path / day / "key").write_text(content)
    (tmp_path / "..data").symlink_to("..day1")
    (tmp_path / "key").symlink_to("..data/key")
    watch = watch_of(FileKey(tmp_path / "key"))
    assert await watch.poll(OLD) is None
    (tmp_path / "..data_tmp").symlink_to("..day2")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    assert [await watch.poll(OLD), await watch.poll(OLD)] == [None, NEW]
