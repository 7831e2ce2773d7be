"""kill -9, as the kernel does where memory runs out: the next start serves at once, whatever was left behind."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

from tests.fakes import Wire, always, response, upstream
from tests.main_job.client import Admin, Client
from tests.main_job.process import SidecarProcess

SERVES_WITHIN_S = 2.0


async def test_the_next_start_serves_at_once(tmp_path: Path) -> None:
    """On the same ports and on the same unix socket, which is still there; with connections cut a moment ago."""
    async with upstream(always(response())) as server:
        path = tmp_path / "app.sock"
        process = SidecarProcess(
            tmp_path,
            {
                "upstream": f"http://127.0.0.1:{server.port}",
                "credential": {"preset": "static", "api_key": {"env": "KILLED_KEY"}},
            },
            {"KILLED_KEY": "key-of-the-killed"},
        )
        tcp = f"127.0.0.1:{process.port}"
        process.file.write_text(
            process.file.read_text().replace(f"listen: {tcp}", f'listen: [{tcp}, "unix:{path}"]', 1)
        )
        began_s = time.monotonic()
        await asyncio.to_thread(process.start)
        # Where the machine is so busy that a first start takes as long, the next one may take as long.
        most_s = max(SERVES_WITHIN_S, 1.5 * (time.monotonic() - began_s))
        try:
            took_s: list[float] = []
            # The best of three: the time is the program's, not the machine's.
            while not took_s or (min(took_s) > most_s and len(took_s) < 3):
                await kill(process)
                assert path.is_socket()
                began_s = time.monotonic()
                await asyncio.to_thread(process.start)
                await Admin(process.admin_port).ready()
                assert (await Client(process.port).ask()).status == 200
                wire = Wire(*await asyncio.open_unix_connection(path))
                await wire.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert (await wire.response()).status == 200
                wire.close()
                took_s.append(time.monotonic() - began_s)
            assert min(took_s) <= most_s
        finally:
            await asyncio.to_thread(process.stop)
        assert "Traceback" not in process.output()


async def kill(process: SidecarProcess) -> None:
    """Have an app connected, and kill it."""
    client = Client(process.port)
    async with client.connected() as wire:
        await wire.send(client.request())
        assert (await wire.response()).status == 200
        process.signal(signal.SIGKILL)
        assert await process.ended(within_s=5.0) == -signal.SIGKILL
        process.stop()
