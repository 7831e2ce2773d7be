"""A key file that changes, in each way that files do: the new key is in use soon, and never half of one.

With real files and real events, all at once, since most of it is waiting.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from tests.credentials.followed import Change, following, in_steps, volume, written

# A tenth of a second after the event, and the settle time of a second; by the poll alone up to 2 s. What is told at all
# is held by `test_file_events`: this leaves room for a loaded machine.
SOON_S = 3.0
OLD, NEW = "gct_old_0123456789", "gct_new_9876543210"


def by_rename(path: Path) -> None:
    """Put a new file in its place, in one step."""
    os.replace(written(path.with_name("next"), NEW), path)


def in_place(path: Path) -> None:
    """Write into it."""
    path.write_text(NEW)


def by_delete_and_create(path: Path) -> None:
    """Take it away, and make another."""
    path.unlink()
    written(path, NEW)


def by_directory(path: Path) -> None:
    """Put another directory in the place of its own."""
    folder = path.parent
    written(folder.with_name("next-folder") / path.name, NEW)
    folder.rename(folder.with_name("old-folder"))
    folder.with_name("next-folder").rename(folder)


def by_removed_directory(path: Path) -> None:
    """Take its directory away, and make another; the inodes may be the same."""
    shutil.rmtree(path.parent)
    written(path, NEW)


def by_link(path: Path) -> None:
    """Have a link to another file take its place."""
    written(path.parent / "elsewhere" / "key", NEW)
    path.unlink()
    path.symlink_to("elsewhere/key")


CHANGES: tuple[Change, ...] = (
    by_rename,
    in_place,
    by_delete_and_create,
    by_directory,
    by_removed_directory,
    by_link,
)


async def change_twice(folder: Path, change: Change) -> None:
    """Change it in one way, then by a rename, wherever the path leads by then."""
    path = written(folder / "keys" / "key", OLD)
    async with following(path) as followed:
        change(path)
        await followed.takes(NEW, SOON_S)
        await asyncio.sleep(0.1)
        os.replace(written(folder / "third", "gct_third"), path)
        await followed.takes("gct_third", SOON_S)
        assert followed.keys == [OLD, NEW, "gct_third"]


async def swap_a_volume(folder: Path) -> None:
    """Have the kubelet swap the link `..data` and remove the old day, more than once."""
    volume(folder, "..day1", OLD)
    async with following(folder / "key") as followed:
        for number in (2, 3):
            volume(folder, f"..day{number}", f"{NEW}{number}")
            shutil.rmtree(folder / f"..day{number - 1}")
            await followed.takes(f"{NEW}{number}", SOON_S)
            await asyncio.sleep(0.1)
        assert len(followed.keys) == 3


async def swap_a_link_on_the_way(folder: Path) -> None:
    """Have a directory of the path, which is a link, lead elsewhere."""
    for name, text in (("a", OLD), ("b", NEW)):
        written(folder / name / "key", text)
    (folder / "current").symlink_to("a")
    async with following(folder / "current" / "key") as followed:
        (folder / "next").symlink_to("b")
        (folder / "next").rename(folder / "current")
        await followed.takes(NEW, SOON_S)


async def come_late(folder: Path) -> None:
    """Have neither the file nor its directory there at the start."""
    path = folder / "volume" / "deep" / "key"
    async with following(path) as followed:
        written(path, NEW)
        await followed.takes(NEW, SOON_S)


async def test_a_new_key_is_in_use_soon(tmp_path: Path) -> None:
    """By a rename, in place, by delete and create, with its directory, through links, late: the system tells of it."""
    async with asyncio.TaskGroup() as group:
        for change in CHANGES:
            group.create_task(change_twice(tmp_path / change.__name__, change), name=change.__name__)
        for scene in (swap_a_volume, swap_a_link_on_the_way, come_late):
            folder = tmp_path / scene.__name__
            folder.mkdir()
            group.create_task(scene(folder), name=scene.__name__)


async def write_in_steps(path: Path, pause_s: float, for_s: float) -> None:
    """Write a key byte by byte while it is followed."""
    written(path, OLD)
    async with following(path) as followed:
        await in_steps(path, ("gct_longer_key" * 3)[: int(for_s / pause_s)], pause_s)
        last = path.read_text()
        await followed.takes(last, SOON_S)
        assert followed.keys == [OLD, last]


async def test_a_key_that_is_written_in_steps_is_never_half(tmp_path: Path) -> None:
    """However many events there are meanwhile; it is in use soon after its last byte."""
    async with asyncio.TaskGroup() as group:
        for pause_s in (0.05, 0.1, 0.3, 0.5):
            group.create_task(write_in_steps(tmp_path / str(pause_s), pause_s, for_s=1.0))


async def test_a_start_in_the_middle_of_a_write_waits_for_its_end(tmp_path: Path) -> None:
    """A file that was written this very moment is read until it stays as it is."""
    path = tmp_path / "key"
    writing = asyncio.create_task(in_steps(path, NEW, 0.03))
    await asyncio.sleep(0.3)
    async with following(path, settled=False) as followed:
        await followed.takes(NEW, SOON_S)
        assert followed.keys == [NEW]
    await writing


async def test_a_start_with_a_file_of_before_waits_for_nothing(tmp_path: Path) -> None:
    """Which is how nearly all of them are."""
    path = written(tmp_path / "key", OLD)
    async with following(path, settled=False) as followed:
        assert await followed.takes(OLD, SOON_S) <= 0.2
