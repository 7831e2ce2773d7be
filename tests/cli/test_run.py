"""`run`, `demo` and `vendor` as processes: they start, say what is wrong in a sentence, and end by a signal with 0."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cli.command import environment, sidecar, sidecar_beside
from tests.exec.executing import long_only
from tests.ports import free_port

CONFIG = """
listen: 127.0.0.1:{port}
credentials:
  demo: {{preset: static, api_key: {{env: DEMO_API_KEY}}}}
routes:
  - {{name: crm, upstream: "http://127.0.0.1:9", credential: demo}}
admin: {{listen: "127.0.0.1:{admin}"}}
"""
ENVIRON = {"DEMO_API_KEY": "gct_canary_0123456789"}


@contextlib.asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `sidecar` until the block ends."""
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sidecar", *arguments, env=environment(ENVIRON), stdout=-1, stderr=-1
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()


# Ctrl-C too where SIDECAR_LONG is set: both are taken in one line, and `vendor` below has it.
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=long_only)])
async def test_run_until_a_signal(number: signal.Signals, tmp_path: Path) -> None:
    """Ready after `wait`; a good end after the signal."""
    admin = free_port()
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG.format(port=0, admin=admin))
    async with process("run", "-c", str(file)) as running:
        ready = await sidecar_beside("wait", "--max", "15s", "--admin", f"127.0.0.1:{admin}")
        assert ready.code == 0, ready.out
        running.send_signal(number)
        _, err = await running.communicate()
        assert running.returncode == 0, err
    assert b"Traceback" not in err
    assert b"canary" not in err


def test_a_port_in_use(tmp_path: Path) -> None:
    """Exit 1, and a sentence that names address and key."""
    file = tmp_path / "config.yaml"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        file.write_text(CONFIG.format(port=port, admin=0))
        ended = sidecar("run", "-c", str(file), environ=ENVIRON)
    assert ended.code == 1
    assert f"127.0.0.1:{port}" in ended.err
    assert "listen" in ended.err
    assert "Traceback" not in ended.err


async def test_vendor_until_a_signal() -> None:
    """It prints how to use it, on an address of one's choice."""
    port = free_port()
    async with process("vendor", "--listen", f"127.0.0.1:{port}", "--token-life", "5s") as running:
        assert running.stdout is not None
        first = await running.stdout.readline()
        second = await running.stdout.readline()
        running.send_signal(signal.SIGINT)
        _, err = await running.communicate()
    assert (running.returncode, err) == (0, b"")
    assert f"http://127.0.0.1:{port}" in first.decode()
    assert "5 s" in second.decode()


def test_vendor_where_something_else_listens() -> None:
    """Exit 1 and a sentence."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = sidecar("vendor", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert ended.code == 1
    assert "Choose another with --listen" in ended.err


def test_the_reader_of_the_output_leaves() -> None:
    """`sidecar schema | head -1` ends without a traceback."""
    script = f"{sys.executable} -m sidecar schema | head -c 1"
    done = sidecar_shell(script)
    assert done == ("{", "")


def sidecar_shell(script: str) -> tuple[str, str]:
    """Run a line of shell; return what it wrote to both outputs."""
    import subprocess

    done = subprocess.run(["sh", "-c", script], env=environment(), capture_output=True, text=True, timeout=20)
    return done.stdout, done.stderr
