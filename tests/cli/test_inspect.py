"""`sidecar run --inspect` as a person at a terminal sees it."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

from tests.cli.command import environment, sidecar
from tests.fakes import PATIENCE_S, always, response, upstream
from tests.ports import free_port


def test_it_is_refused_where_nobody_looks() -> None:
    """In a container's log its lines would be neither complete nor for machines; what is there instead is said."""
    ended = sidecar("run", "--inspect", "--preset", "static", "--upstream", "http://127.0.0.1:1")
    assert ended.code == 2 and ended.out == ""
    assert "standard error is none. Elsewhere set log.access: true" in ended.err and len(ended.err.splitlines()) == 1


async def shown(terminal: int, text: str, so_far: str = "") -> str:
    """Read what the terminal shows until this text is there."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE_S * 2):
        while text not in so_far:
            ready = loop.create_future()
            loop.add_reader(terminal, ready.set_result, None)
            try:
                await ready
            finally:
                loop.remove_reader(terminal)
            so_far += os.read(terminal, 65536).decode()
    return so_far


async def test_a_terminal_shows_each_request(tmp_path: Path) -> None:
    """As it happens; a path cannot steer the terminal, and none of the key is there."""
    async with upstream(always(response())) as server:
        port, terminal = free_port(), pty.openpty()
        flags = ["--preset", "static", "--upstream", f"http://127.0.0.1:{server.port}", "--api-key-env", "K"]
        addresses = ["--listen", f"127.0.0.1:{port}", "--admin-listen", "127.0.0.1:0"]
        process = subprocess.Popen(
            [sys.executable, "-m", "sidecar", "run", "--inspect", *flags, *addresses],
            env=environment({"K": "key-of-inspect", "NO_COLOR": "1"}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=terminal[1],
            cwd=tmp_path,
        )
        os.close(terminal[1])
        try:
            so_far = await shown(terminal[0], "admin listener on")
            assert "each request: method, path, route, status, our part + the upstream's" in so_far
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /v1/users?q=1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % port)
            so_far = await shown(terminal[0], " ms", so_far)
            writer.close()
        finally:
            process.send_signal(signal.SIGTERM)
            code = await asyncio.to_thread(process.wait, PATIENCE_S)
            os.close(terminal[0])
        (line,) = [line for line in so_far.splitlines() if "/v1/users" in line]
        assert line.split()[2:6] == ["GET", "/v1/users", "default", "200"]
        assert code == 0 and "key-of-inspect" not in so_far and "q=1" not in so_far
