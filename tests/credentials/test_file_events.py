"""What the system tells of a file: what counts, what does not, and what happens where it tells nothing."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.credentials import inotify
from sidecar.credentials.file_events import FileEvents
from tests.fakes import until


class Heard:
    """Follows a path, and counts how often it was told of something."""

    def __init__(self, path: Path) -> None:
        self.count = 0
        self.events = FileEvents(str(path), self._hear)

    def _hear(self) -> None:
        self.count += 1

    async def arm(self) -> None:
        """Follow it to where it leads now, in a thread."""
        await asyncio.to_thread(self.events.arm)
        await asyncio.sleep(0.02)

    async def of(self, happens: Callable[[], object]) -> bool:
        """Whether it is told of this."""
        self.count = 0
        happens()
        await asyncio.sleep(0.02)
        return self.count > 0


def descriptors() -> int:
    """Return how many descriptors are open."""
    return len(os.listdir("/proc/self/fd"))


def watches() -> int:
    """Return how much is watched: that has a limit for each user."""
    return sum(info.read_text().count("inotify wd:") for info in Path("/proc/self/fdinfo").iterdir() if info.exists())


async def test_what_counts(tmp_path: Path) -> None:
    """Whatever may have changed what the path leads to, or what it holds; looking at it does not."""
    path, other = tmp_path / "keys" / "key", tmp_path / "other"
    path.parent.mkdir()
    path.touch()
    other.touch()
    heard = Heard(path)
    try:
        await heard.arm()
        assert await heard.of(lambda: path.write_text("new"))
        assert await heard.of(lambda: path.chmod(0o600))
        assert not await heard.of(path.read_text)
        assert not await heard.of(lambda: list(path.parent.iterdir()))
        for number in range(5):
            os.link(path, tmp_path / f"kept{number}")  # the old one lives on, and is nobody's business any more
            other.touch()
            assert await heard.of(lambda: os.replace(other, path))
            await heard.arm()
        assert watches() == 2
        other.touch()
        assert await heard.of(lambda: os.replace(other, path))
        await heard.arm()
        assert await heard.of(lambda: path.write_text("newer"))
        assert await heard.of(path.unlink)
        await heard.arm()
        assert await heard.of(path.touch)
        await heard.arm()
        assert await heard.of(lambda: shutil.rmtree(path.parent))
        await heard.arm()
        assert await heard.of(path.parent.mkdir)
        await heard.arm()
        assert await heard.of(path.touch)
    finally:
        heard.events.close()


async def test_neighbours_do_not_count(tmp_path: Path) -> None:
    """A busy directory costs a look neither when they come nor when they go."""
    path = tmp_path / "key"
    path.touch()
    heard = Heard(path)
    try:
        await heard.arm()
        for happens in (
            (tmp_path / "neighbour").touch,
            (tmp_path / "neighbour").unlink,
            (tmp_path / "folder").mkdir,
            (tmp_path / "folder" / "key").touch,
        ):
            assert not await heard.of(happens)
    finally:
        heard.events.close()


async def test_a_directory_that_is_made_anew_is_followed_anew(tmp_path: Path) -> None:
    """Though it may have the inode of the one before it, and the same names in it."""
    path = tmp_path / "keys" / "key"
    heard = Heard(path)
    try:
        for _ in range(20):
            path.parent.mkdir()
            path.touch()
            await heard.arm()
            assert await heard.of(lambda: path.write_text("new"))
            shutil.rmtree(path.parent)
            await asyncio.sleep(0.02)
    finally:
        heard.events.close()


async def test_more_events_than_the_system_keeps(tmp_path: Path) -> None:
    """It is told that some were lost, and looks."""
    path = tmp_path / "key"
    path.touch()
    heard = Heard(path)
    try:
        await heard.arm()
        most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
        heard.count = 0
        for number in range(most // 2 + 100):
            (tmp_path / f"n{number % 2}").touch()
            (tmp_path / f"n{number % 2}").unlink()
        await until(lambda: heard.count == 1)
    finally:
        heard.events.close()


@pytest.mark.parametrize("reason", [errno.EMFILE, errno.ENOSPC, errno.ENOSYS, None])
async def test_without_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, reason: int | None
) -> None:
    """A limit is reached, or the system has none: said once, and nothing stays open."""

    real, calls = inotify._checked, []

    def fails(result: int) -> int:
        calls.append(result)
        if reason == errno.ENOSPC and len(calls) == 1:
            return real(result)  # the queue is had, and no watch for it
        if len(calls) == 1:
            os.close(result)
        if reason is None:
            raise AttributeError("inotify_init1")
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(inotify, "_checked", fails)
    caplog.set_level(logging.INFO)
    before = descriptors()
    heard = Heard(tmp_path / "key")
    for _ in range(3):
        await heard.arm()
    (told,) = [record.getMessage() for record in caplog.records]
    why = os.strerror(reason) if reason else "not on this system"
    assert told == f"file {tmp_path}/key is looked at once a second alone: no events of it ({why})"
    assert descriptors() == before
    heard.events.close()


async def test_no_descriptor_left_to_load_it_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That passes: the next look follows the file, and this one reads it all the same."""
    path = tmp_path / "key"
    path.touch()
    heard = Heard(path)
    try:
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "sidecar.credentials.inotify", None)
            await heard.arm()
        await heard.arm()
        assert await heard.of(lambda: path.write_text("new"))
    finally:
        heard.events.close()


async def test_an_end_while_a_disk_hangs(tmp_path: Path) -> None:
    """Whoever closes does not wait for the thread that follows the path; it clears up when it comes back."""
    heard = Heard(tmp_path / "key")
    await heard.arm()
    before = descriptors()
    with heard.events._lock:
        heard.events.close()
        assert descriptors() == before
    await heard.arm()
    assert descriptors() == before - 1


async def test_no_descriptor_stays_behind(tmp_path: Path) -> None:
    """Credentials come and go with reloads; closing twice is no harm."""
    before = descriptors()
    for _ in range(3):
        heard = Heard(tmp_path / "key")
        await heard.arm()
        assert descriptors() == before + 1
        heard.events.close()
        heard.events.close()
    assert descriptors() == before
