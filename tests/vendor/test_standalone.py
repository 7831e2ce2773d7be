"""`serve`: the vendor alone, in a process of its own, ended by a signal."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys

import pytest

from sidecar.secret import Secret
from sidecar.vendor.server import DEMO_KEY, Vendor, VendorOptions
from sidecar.vendor.standalone import guide, serve

_PROGRAM = """
import asyncio
from sidecar.vendor.server import VendorOptions
from sidecar.vendor.standalone import serve
asyncio.run(serve(VendorOptions(token_life_s=5), port=0))
"""


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
async def test_it_serves_until_a_signal(ending: signal.Signals) -> None:
    """The printed lines, run by a shell, exchange the key and use the token; a signal is a clean end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PROGRAM, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(10):
            text = (await process.stdout.readuntil(b"credential: demo}")).decode()
        wanted = [
            line for line in text.splitlines() if re.match(r"  (export|TOKEN=|curl.*/me|curl.*revoke_tokens)", line)
        ]
        assert len(wanted) == 4
        shell = await asyncio.create_subprocess_exec(
            "sh", "-c", "\n".join([*wanted[:3], "echo", *wanted[3:]]), stdout=asyncio.subprocess.PIPE
        )
        me, state = (await shell.communicate())[0].decode().splitlines()
        assert json.loads(me)["account"] == "acc_demo"
        assert json.loads(state)["token_life_s"] == 5
        process.send_signal(ending)
        async with asyncio.timeout(5):
            assert (await process.communicate())[1] == b""
        assert process.returncode == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_port_in_use_is_an_error() -> None:
    """The caller is told, and nothing was printed."""
    first = Vendor()
    await first.start()
    said: list[str] = []
    try:
        with pytest.raises(OSError, match="in use"):
            await serve(VendorOptions(), port=int(first.url.rsplit(":", 1)[1]), say=said.append)
    finally:
        await first.stop()
    assert said == []


def test_a_key_of_ones_own_is_not_printed() -> None:
    """Only the built-in key is public."""
    assert "gct_mine" not in guide("http://x", VendorOptions(api_key=Secret("gct_mine")))
    assert DEMO_KEY in guide("http://x", VendorOptions())
