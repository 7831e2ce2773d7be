"""One target under atheris: `python -m tests.fuzz.target NAME FOLDER [libFuzzer's arguments]`.

The sidecar's own modules are loaded instrumented, so that the fuzzer sees which branches an input takes.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any


def main(name: str, folder: str, *arguments: str) -> None:
    """Run until libFuzzer's arguments say so, or something is found."""
    atheris: Any = import_module("atheris")  # has no types, and is not there where only the checks and tests run
    with atheris.instrument_imports(include=["sidecar"]):
        targets = import_module("tests.fuzz.targets")
        in_memory = import_module("tests.fuzz.in_memory")
    with in_memory.running() as runner:
        target = targets.TARGETS[name](targets.Stand(runner, Path(folder)))
        atheris.Setup([sys.argv[0], *arguments], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
