"""A wall clock that moves for one process alone, by libfaketime; its monotonic clock stays the machine's.

Under uvloop as under asyncio: both take their time from the monotonic one. Without `FAKETIME_NO_CACHE`
the library reads its file once in ten seconds.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tests.servers import programs

# Beside the program, in a folder of the machine's architecture.
LIBRARIES = "*/faketime/libfaketimeMT.so.1"


class MovingClock:
    """The wall clock of the processes that are started with its `preload`.

    Args:
        directory: an existing one, for the file that says how far it has moved.
        by_s: how far it is ahead of the machine's at first, in seconds.

    Raises:
        pytest.skip.Exception, or pytest.fail.Exception where `CI=true`: libfaketime is not installed.
    """

    def __init__(self, directory: Path, by_s: float = 0.0) -> None:
        programs.require("faketime")
        libraries = [*Path("/usr/lib").glob(LIBRARIES), *Path("/usr/local/lib").glob("faketime/libfaketimeMT.so.1")]
        if not libraries:
            programs.unavailable("libfaketime is not where Debian has it")
        self._file = directory / "clock"
        self.preload: Mapping[str, str] = {
            "LD_PRELOAD": str(libraries[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_NO_CACHE": "1",
        }
        self.move_to(by_s)

    def move_to(self, by_s: float) -> None:
        """Set it so far ahead of the machine's, or behind where it is negative."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{by_s:+g}\n")
        os.replace(new, self._file)
