"""Debug information is taken out of the packages' libraries, and nothing that is loaded is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop

from image.root.elf import drop_debug_information

LIBRARY = next(Path(uvloop.__file__).parent.glob("loop.*.so"))


@pytest.mark.skipif(sys.platform != "linux", reason="ELF is Linux's format")
def test_a_library_gets_smaller_and_works_as_before(tmp_path: Path) -> None:
    """A loop made by it runs, and its symbols for debuggers are gone."""
    package = tmp_path / "uvloop"
    shutil.copytree(LIBRARY.parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    copy = package / LIBRARY.name
    before = copy.stat().st_size
    saved = drop_debug_information(copy)
    assert copy.stat().st_size == before - saved < before / 2
    script = "import asyncio, uvloop; print(uvloop.__file__); uvloop.run(asyncio.sleep(0))"
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {script}"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    assert said.strip() == str(package / "__init__.py")


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"\x7fELF\x01" + bytes(80), b"#!/bin/sh\n" * 10])
def test_other_files_stay_as_they_are(tmp_path: Path, content: bytes) -> None:
    """Scripts, half a header, 32-bit libraries."""
    file = tmp_path / "file.so"
    file.write_bytes(content)
    assert drop_debug_information(file) == 0
    assert file.read_bytes() == content


def test_doing_it_twice_takes_nothing_more(tmp_path: Path) -> None:
    """What is left is all loaded."""
    copy = Path(shutil.copy(LIBRARY, tmp_path))
    drop_debug_information(copy)
    once = copy.read_bytes()
    assert drop_debug_information(copy) == 0
    assert copy.read_bytes() == once
