"""What a command has left running when it ends may finish its requests; then, and not before, its code is returned."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from pathlib import Path

import pytest

from tests.admin.running import Asked
from tests.exec.executing import PATIENCE_S, Terminal, command_line, long_only, started, written
from tests.fakes import Wire, response, until, upstream

ENVIRON = {"A_KEY": "key-of-the-drain-tests"}


def configured(folder: Path, port: int) -> Path:
    """Return a file for an upstream on this port, without an exchange."""
    credential = {"preset": "static", "api_key": {"env": "A_KEY"}}
    return written(folder, {"upstream": f"http://127.0.0.1:{port}", "credential": credential})


def leaving(out: str) -> list[str]:
    """Return a command that leaves a request running; after a line of input it tells its admin URL and ends with 4."""
    return ["sh", "-c", f'curl -s "$SIDECAR_URL/" >{out} & read line; echo "$SIDECAR_ADMIN_URL"; exit 4']


async def drains(admin_url: bytes) -> None:
    """Wait until the sidecar at this URL is not ready any more."""
    port = int(admin_url.decode().strip().rpartition(":")[2])
    async with asyncio.timeout(PATIENCE_S):
        while (await Asked("127.0.0.1", port).ask("/readyz")).status != 503:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Slow:
    """An upstream that answers each request once it may."""

    def __init__(self) -> None:
        self.asked, self.may = asyncio.Event(), asyncio.Event()

    async def __call__(self, wire: Wire) -> None:
        await wire.request()
        self.asked.set()
        await self.may.wait()
        await wire.send(response(b"late"))


async def test_a_request_that_was_left_running_is_answered(tmp_path: Path) -> None:
    """The command has ended with 4, and what it started in the background gets its answer."""
    slow, out = Slow(), tmp_path / "out"
    async with upstream(slow) as server:
        words = command_line(configured(tmp_path, server.port), *leaving(str(out)))
        with started(words, ENVIRON, stdin=subprocess.PIPE) as process:
            await asyncio.wait_for(slow.asked.wait(), PATIENCE_S)
            assert process.stdin is not None and process.stdout is not None
            process.stdin.close()
            await drains(await asyncio.to_thread(process.stdout.readline))
            slow.may.set()
            assert await asyncio.to_thread(process.wait, PATIENCE_S) == 4
    await until(lambda: out.read_text() == "late")


@pytest.mark.parametrize("at_a_terminal", [False, pytest.param(True, marks=long_only)])  # SIDECAR_LONG
async def test_a_signal_cuts_it(tmp_path: Path, at_a_terminal: bool) -> None:
    """The command's code stays what it was; a terminal says what is waited for."""
    slow = Slow()
    async with upstream(slow) as server:
        words = command_line(configured(tmp_path, server.port), *leaving("/dev/null"))
        if at_a_terminal:
            with Terminal(words, ENVIRON) as terminal:
                await asyncio.wait_for(slow.asked.wait(), PATIENCE_S)
                terminal.type("\n")
                await terminal.shows("may finish within 25 s; Ctrl-C cuts it")
                terminal.type("\x03")
                assert await terminal.ended() == 4
        else:
            with started(words, ENVIRON, stdin=subprocess.PIPE) as process:
                await asyncio.wait_for(slow.asked.wait(), PATIENCE_S)
                assert process.stdin is not None and process.stdout is not None
                process.stdin.close()
                await drains(await asyncio.to_thread(process.stdout.readline))
                process.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(process.wait, PATIENCE_S) == 4
        slow.may.set()
