"""The Dockerfile keeps to what is usual, and its last stage to a bare minimum."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.image.dockerfile import DOCKERFILE, PROJECT, stages
from tests.servers import programs

LOCKS = ("build", "run", "sign")


def hadolint(file: Path) -> str:
    """Return what hadolint has to say about a Dockerfile."""
    command: list[str | Path] = [programs.require("hadolint"), "--no-color", "--failure-threshold=style", file]
    result = subprocess.run(command, cwd=file.parent, capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode == 0 or result.stdout, result.stderr
    return result.stdout


def test_hadolint_has_nothing_to_say() -> None:
    """Not even a remark on its style."""
    assert hadolint(DOCKERFILE) == ""


def test_hadolint_would_say_it(tmp_path: Path) -> None:
    """What the test above relies on: a shell-form entry point is remarked on."""
    file = tmp_path / "Dockerfile"
    file.write_text(DOCKERFILE.read_text().replace('ENTRYPOINT ["sidecar"]', "ENTRYPOINT sidecar"))
    assert "DL3025" in hadolint(file)


def test_the_last_stage_begins_with_nothing() -> None:
    """From scratch, and nothing is run in it: what is in the image is what was put in."""
    last = stages()[-1]
    assert last[0].text == "scratch"
    assert [each.text for each in last if each.name in ("COPY", "ADD")] == ["--from=builder /rootfs /"]
    assert not [each for each in last if each.name == "RUN"]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_has_a_hash(lock: str) -> None:
    """What the build installs cannot be changed behind its back, and says nothing of where it came from."""
    text = (PROJECT / "requirements" / f"{lock}.txt").read_text()
    pins = [line for line in text.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
    assert pins and all("==" in pin and "--hash=sha256:" in pin for pin in pins)
    assert "://" not in text
    installs = [each.text for stage in stages() for each in stage if each.name == "RUN" and " install " in each.text]
    commands = [command for text in installs for command in text.split("&&") if " install " in command]
    assert commands and all("--require-hashes" in command or "--no-index" in command for command in commands)


def test_the_signing_lock_is_the_other_and_more() -> None:
    """Both images run the same versions of what both have."""

    def pins(lock: str) -> set[str]:
        lines = (PROJECT / "requirements" / f"{lock}.txt").read_text().splitlines()
        return {line.split()[0] for line in lines if line[:1].isalnum()}

    assert pins("run") < pins("sign")
    assert {pin.partition("==")[0] for pin in pins("sign") - pins("run")} >= {"cryptography", "pyjwt"}


def test_what_starts_is_never_a_shells_command() -> None:
    """Exec form throughout: the sidecar is process 1, and gets the signal itself."""
    last = {each.name: each.text for each in stages()[-1]}
    assert json.loads(last["ENTRYPOINT"]) == ["sidecar"]
    assert json.loads(last["CMD"]) == ["run"]
    assert json.loads(last["HEALTHCHECK"].partition("CMD ")[2]) == ["sidecar", "healthcheck"]
    assert last["STOPSIGNAL"] == "SIGTERM"
    assert last["USER"] == "65532:65532"
