"""`make fuzz`: every target under atheris, two at a time, each for `FUZZ_S` seconds; what is found fails the run.

Args on the command line are the targets to run; none: all. What the fuzzer learns stays in `.fuzz/` for the next run,
and so do the inputs that broke something: `.fuzz/crashes/`. Put such an input into `test_what_was_found.py`.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.seeds import dictionary, seeds
from tests.fuzz.targets import TARGETS

FOLDER = Path(".fuzz")
# All of them, two at a time, are done in half an hour.
DEFAULT_S = 360
AT_A_TIME = 2
# More than any limit of ours that an input of the fuzzer's could reach makes it slow and finds nothing.
_MOST_INPUT_BYTES = 2048
_HANGS_AFTER_S = 10
_MEGABYTES = 2048


@dataclass(frozen=True, slots=True)
class Result:
    """How a target did: how often it ran, in how many seconds, and what broke it."""

    name: str
    runs: int
    took_s: float
    status: int
    found: tuple[Path, ...]
    last_lines: str

    def __str__(self) -> str:
        rate = self.runs / self.took_s
        verdict = "nothing found" if not self.status else f"FAILED ({self.status}): {', '.join(map(str, self.found))}"
        return f"{self.name:16} {self.runs:>10,} runs {rate:>8,.0f} a second  {verdict}"


def prepare(name: str) -> Path:
    """Write a target's seeds and words; return its folder."""
    folder = FOLDER / name
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    (folder / "seeds").mkdir(exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (folder / "seeds" / f"{number:03}").write_bytes(seed)
    (folder / "words").write_text(dictionary(name))
    return folder


async def run(name: str, seconds: int) -> Result:
    """Run one target for so long, or until it breaks."""
    folder, crashes = prepare(name), FOLDER / "crashes"
    crashes.mkdir(exist_ok=True)
    began_at, log = time.monotonic(), folder / "log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "tests.fuzz.target",
                name,
                str(folder),
                str(folder / "corpus"),
                str(folder / "seeds"),
            ),
            *(f"-max_total_time={seconds}", f"-max_len={_MOST_INPUT_BYTES}", f"-dict={folder / 'words'}"),
            *(f"-timeout={_HANGS_AFTER_S}", f"-rss_limit_mb={_MEGABYTES}", "-print_final_stats=1"),
            *(f"-artifact_prefix={crashes / name}-", "-detect_leaks=0"),
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
        )
        status = await process.wait()
    took_s = time.monotonic() - began_at
    text = log.read_bytes().decode(errors="replace")
    counts = re.findall(r"number_of_executed_units: (\d+)", text) or re.findall(r"^#(\d+)", text, re.MULTILINE) or ["0"]
    found = tuple(Path(path) for path in re.findall(r"Test unit written to (\S+)", text))
    return Result(name, int(counts[-1]), took_s, status, found, "\n".join(text.splitlines()[-40:]))


async def main(names: list[str], seconds: int) -> int:
    """Run targets; return how many of them broke."""
    places = asyncio.Semaphore(AT_A_TIME)

    async def one(name: str) -> Result:
        async with places:
            result = await run(name, seconds)
        print(result, flush=True)
        return result

    broken = [result for result in await asyncio.gather(*map(one, names)) if result.status]
    for result in broken:
        print(f"\n{result.name}, the end of {FOLDER / result.name / 'log'}:\n{result.last_lines}")
    return len(broken)


if __name__ == "__main__":
    wanted = sys.argv[1:] or list(TARGETS)
    unknown = set(wanted) - set(TARGETS)
    if unknown:
        sys.exit(f"no such target: {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    sys.exit(1 if asyncio.run(main(wanted, int(os.environ.get("FUZZ_S") or DEFAULT_S))) else 0)
