"""A key file in use, with the real file system, real time and real events."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from sidecar.clock import SystemClock
from sidecar.credentials.key_file import FileKey
from sidecar.credentials.key_in_use import KeyInUse


class Followed:
    """A key in use, and every key that it has been, each with when that was."""

    def __init__(self, path: Path) -> None:
        self.taken: list[tuple[str, float]] = []
        self._wake = asyncio.Event()
        self.key = KeyInUse("crm", FileKey(path), SystemClock(), self._wake.set)

    async def run(self) -> None:
        """Look whenever it makes sense to, as a credential does."""
        await self.key.first(lambda _: None)
        self._took()
        while True:
            if await self.key.changed():
                self._took()
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.005, self.key.next_look_s())):
                    await self._wake.wait()

    def _took(self) -> None:
        assert self.key.secret is not None
        self.taken.append((self.key.secret.reveal().decode(), time.monotonic()))

    @property
    def keys(self) -> list[str]:
        """The keys that it has been."""
        return [key for key, _ in self.taken]

    async def takes(self, key: str, within_s: float, since_s: float | None = None) -> float:
        """Wait until it is this key; return how long that took."""
        since_s = time.monotonic() if since_s is None else since_s
        while self.keys[-1:] != [key]:
            assert time.monotonic() - since_s <= within_s, self.keys
            await asyncio.sleep(0.01)
        return self.taken[-1][1] - since_s


@asynccontextmanager
async def following(path: Path, *, settled: bool = True) -> AsyncIterator[Followed]:
    """Follow a key file.

    Args:
        settled: wait until it follows the path's events, which it does from its first look after the start.
    """
    followed = Followed(path)
    task = asyncio.create_task(followed.run())
    try:
        if settled:
            await asyncio.sleep(1.15)
        yield followed
    finally:
        task.cancel()
        await asyncio.wait([task])
        await followed.key.close()
        assert task.cancelled(), task.exception()


def written(path: Path, text: str) -> Path:
    """Write a key file as it should be; long ago, so that nothing has to wait for it to settle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    os.utime(path, (0, 0))
    return path


def volume(folder: Path, day: str, text: str) -> None:
    """Put a key into a folder as the kubelet does: key -> ..data/key, and ..data -> the directory of the day."""
    written(folder / day / "key", text)
    (folder / "..data_tmp").symlink_to(day)
    (folder / "..data_tmp").rename(folder / "..data")
    if not (folder / "key").is_symlink():
        (folder / "key").symlink_to("..data/key")


async def in_steps(path: Path, text: str, pause_s: float) -> None:
    """Write a file where it lies, byte by byte."""
    with path.open("w") as file:
        for letter in text:
            file.write(letter)
            file.flush()
            await asyncio.sleep(pause_s)


Change = Callable[[Path], None]
