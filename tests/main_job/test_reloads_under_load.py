"""Many reloads under load lose nothing, and a bad file changes nothing, at a start not either."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.cli.command import sidecar_beside
from tests.fakes import until
from tests.main_job.client import Admin, Client
from tests.main_job.configuration import ENVIRON, Section, route, vendor_credential
from tests.main_job.process import running
from tests.main_job.vendors import vendor
from tests.servers.nginx import Nginx

RAN_S = 60.0 if os.environ.get("SIDECAR_LONG") else 4.0
# A reload every three seconds is 20 a minute; the short run has them closer.
RELOAD_EVERY_S = 3.0 if os.environ.get("SIDECAR_LONG") else 0.2
ASKED_PER_S = 200


def configuration_of(nginx: Nginx, vendor_url: str, **changes: object) -> Section:
    """Return a configuration of two credentials, of which one can have other rules from reload to reload."""
    return {
        "credentials": {
            "crm": vendor_credential(vendor_url),
            "changing": vendor_credential(vendor_url, refresh={"budget": "600/1m", **changes}),
        },
        "routes": [route("crm", nginx.http_url, "crm"), route("changing", nginx.http_url, "changing")],
    }


@asynccontextmanager
async def load(client: Client) -> AsyncIterator[list[int]]:
    """Ask at a steady rate, on connections of their own and on kept ones; yield the statuses."""
    statuses: list[int] = []
    over = asyncio.Event()
    crowd = 8

    async def ask(number: int) -> None:
        name = ("crm", "changing")[number % 2]
        async with client.connected() as kept:
            while not over.is_set():
                began_at = time.monotonic()
                if number % 4 < 2:
                    await kept.send(client.request("POST", f"/{name}/sink", body=b"x" * 500))
                    statuses.append((await kept.response()).status)
                else:
                    statuses.append((await client.ask("GET", f"/{name}/")).status)
                await asyncio.sleep(max(0.0, crowd / ASKED_PER_S - (time.monotonic() - began_at)))

    async with asyncio.TaskGroup() as group:
        for number in range(crowd):
            group.create_task(ask(number))
        try:
            yield statuses
        finally:
            over.set()


@pytest.mark.timeout(RAN_S + 30)
async def test_a_reload_again_and_again_loses_nothing(tmp_path: Path, nginx: Nginx) -> None:
    """Other rules, another window, the same file: no request fails, and no token is exchanged for it."""
    async with vendor() as server:
        configurations = [configuration_of(nginx, server.url, window=f"{60 + turn}s") for turn in range(3)]
        async with running(tmp_path, configurations[0], ENVIRON) as sidecar:
            admin, turn = Admin(sidecar.admin_port), 0
            await admin.ready()
            async with load(Client(sidecar.port)) as statuses:
                until_s = time.monotonic() + RAN_S
                while time.monotonic() < until_s:
                    turn += 1
                    sidecar.configure(configurations[turn % 3])
                    before = sidecar.output().count("the configuration is taken")
                    sidecar.signal(signal.SIGHUP)
                    await until(lambda: sidecar.output().count("the configuration is taken") > before, within_s=5)  # noqa: B023
                    await asyncio.sleep(RELOAD_EVERY_S)
        assert set(statuses) == {200}
        assert len(statuses) > RAN_S * ASKED_PER_S / 4
        assert turn >= min(20, RAN_S / 2)
        assert server.journal.counters.exchanges == 2, "one for each credential"


def _fifo(file: Path) -> None:
    os.mkfifo(file)


def _held_fifo(file: Path) -> None:
    """Make a pipe whose writer is there, and says nothing."""
    os.mkfifo(file)
    # For reading too, or it would wait for a reader.
    _held.append(os.open(file, os.O_RDWR | os.O_NONBLOCK))


_held: list[int] = []
BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
# Name, what makes the file, and a word of what is said.
BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "syntax": (lambda file: file.write_text("routes: [\n"), "not YAML"),
    "unknown key": (lambda file: file.write_text("lisen: 1\n"), "did you mean listen"),
    "duplicate key": (lambda file: file.write_text("log: {}\nlog: {}\n"), "stands here twice"),
    "empty": (lambda file: file.write_text(""), "empty"),
    "missing": (lambda file: None, "no such file"),
    "directory": (lambda file: file.mkdir(), "Is a directory"),
    "pipe": (_fifo, "empty"),
    "pipe that is held": (_held_fifo, "pipe"),
    "10 MB": (lambda file: file.write_bytes(b"a: " + b"x" * 10_000_000), "larger than"),
    "alias bomb": (lambda file: file.write_text(BOMB), "anchors"),
    "5,000 deep": (lambda file: file.write_text("[" * 5000), "deeper"),
    "not text": (lambda file: file.write_bytes(b"\xff\xfe\x00"), "UTF-8"),
}


def replaced(file: Path, name: str) -> str:
    """Put a bad file in the place of another; return a word of what is to be said of it."""
    while _held:
        os.close(_held.pop())
    if file.is_dir():
        file.rmdir()
    else:
        file.unlink(missing_ok=True)
    make, word = BAD[name]
    make(file)
    return word


async def test_bad_files_on_a_reload(tmp_path: Path, nginx: Nginx) -> None:
    """The old configuration stays in use, one line says why, the metric shows it; then a good one counts again."""
    async with vendor() as server:
        good = configuration_of(nginx, server.url)
        async with running(tmp_path, good, ENVIRON) as sidecar:
            client, admin = Client(sidecar.port), Admin(sidecar.admin_port)
            await admin.ready()
            for name in BAD:
                word = replaced(sidecar.file, name)
                lines = sidecar.output().count("\n")
                sidecar.signal(signal.SIGHUP)
                began_at = time.monotonic()
                await admin.until(0, "sidecar_config_reload_successful")
                assert (await client.ask("GET", "/crm/")).status == 200, name
                assert time.monotonic() - began_at < 3, name
                await until(lambda: sidecar.output().count("\n") > lines, within_s=5)  # noqa: B023
                said = [line for line in sidecar.output().splitlines()[lines:] if '"error"' in line]
                assert len(said) == 1 and word in said[0] and "old one stays" in said[0], (name, said)
                replaced(sidecar.file, "missing")
                sidecar.configure(good)
                assert (await admin.ask("POST", "/-/reload")).status == 200, name
                await admin.until(1, "sidecar_config_reload_successful")
        assert server.journal.counters.exchanges == 2


async def test_bad_files_at_a_start(tmp_path: Path) -> None:
    """Exit 2 at once, with the same words."""
    # Those that a start might wait for, or load for long; tests/config has the others.
    for name in ("missing", "pipe that is held", "10 MB", "5,000 deep"):
        file = tmp_path / f"{name}.yaml"
        word = replaced(file, name)
        began_at = time.monotonic()
        ended = await sidecar_beside("run", "-c", str(file))
        # 1 s on an idle machine.
        assert ended.code == 2 and time.monotonic() - began_at < 3, name
        assert word in ended.err and "Traceback" not in ended.err, (name, ended.err)
        replaced(file, "missing")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can run it as somebody who may not read the file")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    """The mistake is the system's own word for it."""
    script = (
        "import os, sys\nfrom sidecar.config import load\nfrom sidecar.errors import ConfigError\n"
        "import sidecar.config.document\nos.setuid(65534)\n"
        "try: load(path=sys.argv[1], flags={}, environ={})\nexcept ConfigError as error: print(error)"
    )
    file = Path("/tmp") / f"sidecar-unreadable-{os.getpid()}.yaml"
    file.write_text("listen: 127.0.0.1:1\n")
    file.chmod(0o600)
    try:
        import sys

        done = subprocess.run([sys.executable, "-c", script, str(file)], capture_output=True, text=True, check=False)
    finally:
        file.unlink()
    assert "cannot be read: Permission denied" in done.stdout, done.stderr
