"""One container of the image, as locked down as an engine can make it; gone with its block."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from image import engine
from image.build import NAME
from tests.cli.command import Ended

# No file can be written, no right gained, and no network reached but its own loopback. The checks of its health would
# need systemd here: the test that is about them asks for one itself.
LOCKED_DOWN = ("--read-only", "--read-only-tmpfs=false", "--cap-drop=all", "--security-opt=no-new-privileges")
_TIMEOUT_S = 60
_POLL_S = 0.05


def podman(*arguments: str | Path, given: str | None = None) -> Ended:
    """Run podman to its end, whatever its exit code."""
    done = subprocess.run(
        [*engine.podman_command(), *map(str, arguments)],
        env=engine.environment(),
        input=given or "",
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    # Where no systemd runs, podman complains about each health check, and goes on.
    said = [line for line in done.stderr.splitlines() if "systemd connection" not in line]
    return Ended(done.returncode, done.stdout, "\n".join(said))


def run_once(*command: str, program: Sequence[str] | None = None, flags: Sequence[str] = ()) -> Ended:
    """Run a command of the image to its end.

    Args:
        command: what `docker run IMAGE` is followed by.
        program: another program than the image's own.
        flags: for the engine.
    """
    entry = [f"--entrypoint={json.dumps(list(program))}"] if program else []
    return podman("run", "--rm", "--network=none", *LOCKED_DOWN, *entry, *flags, NAME, *command)


class Container:
    """A running container; a context manager, by the name of `name`.

    Args:
        command: what `docker run IMAGE` is followed by.
        mounts: folders and files of this machine, and where they are inside; read-only there.
        network: whose it shares, in the engine's words; the default is one of its own with nothing but loopback.
        environ: its variables.
    """

    def __init__(
        self,
        *command: str,
        mounts: Mapping[Path, str] | None = None,
        network: str = "none",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.name = f"sidecar-test-{uuid4().hex[:12]}"
        self.pid = 0
        flags = [f"--volume={place}:{inside}:ro" for place, inside in (mounts or {}).items()]
        flags += [f"--env={name}={value}" for name, value in (environ or {}).items()]
        flags += [f"--network={network}"]
        self._command = [*LOCKED_DOWN, *flags, NAME, *command]

    def start(self) -> None:
        """Start it; return once the engine says that it runs, some time after it does.

        Raises:
            RuntimeError: the engine cannot; says why.
        """
        with TemporaryDirectory() as folder:
            file = Path(folder) / "pid"
            started = podman("run", "--detach", f"--name={self.name}", f"--pidfile={file}", *self._command)
            if started.code:
                self.remove()
                raise RuntimeError(started.err)
            self.pid = int(file.read_text())

    def remove(self) -> None:
        """End it at once; nothing of it is left."""
        podman("rm", "--force", "--time=0", self.name)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def run(self, *command: str) -> Ended:
        """Run a command in it."""
        return podman("exec", self.name, *command)

    def stop(self, grace_s: int = 30) -> float:
        """Stop it as an engine does; return how many seconds that took."""
        began = time.monotonic()
        podman("stop", f"--time={grace_s}", self.name)
        return time.monotonic() - began

    def logs(self) -> str:
        """Return what it has printed so far."""
        ended = podman("logs", self.name)
        return ended.out + ended.err

    def says(self, text: str, within_s: float = 10.0) -> None:
        """Wait until it has printed this text."""
        deadline = time.monotonic() + within_s
        while text not in (said := self.logs()):
            assert time.monotonic() < deadline, said
            time.sleep(_POLL_S)

    def inspect(self) -> dict[str, Any]:
        """Return what the engine knows of it."""
        (found,) = json.loads(podman("inspect", self.name).out)
        return dict(found)

    def started_at(self) -> float:
        """Return when its process was started, in seconds since the machine was."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[19]) / 100

    def cpu_s(self) -> float:
        """Return the seconds of a core that its process has had; other work on the machine changes little of it."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def memory_bytes(self) -> dict[str, int]:
        """Return the memory of its process by the names that Linux gives it: Rss, and Pss, its fair share."""
        lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()[1:]
        return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
