"""The Dockerfile as its instructions, for tests that ask what it says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
DOCKERFILE = PROJECT / "Dockerfile"
IGNORE_FILE = PROJECT / ".dockerignore"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its name, and the rest of it in one line."""

    name: str
    text: str


def stages() -> list[list[Instruction]]:
    """Return the instructions of each stage; what stands before the first FROM is left out."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines()
    found: list[list[Instruction]] = []
    for line in filter(str.strip, joined):
        name, _, text = line.partition(" ")
        if name == "FROM":
            found.append([])
        if found:
            found[-1].append(Instruction(name, text.strip()))
    return found


def copied_from_context() -> list[str]:
    """Return what the stages copy out of the build's context, in the Dockerfile's words."""
    copies = [each.text.split() for stage in stages() for each in stage if each.name in ("COPY", "ADD")]
    return [source for words in copies if not words[0].startswith("--from") for source in words[:-1]]
