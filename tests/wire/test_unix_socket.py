"""A unix socket as listener: the file system says who may connect."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from sidecar.config.values import Address, GateConfig
from sidecar.errors import StartError
from tests.fakes import always, response
from tests.wire.running import LOCAL, in_front_of


async def served(path: Path, mode: int = 0o660) -> None:
    """Serve on this path, and ask once."""
    listen = (LOCAL, Address(path=str(path)))
    async with in_front_of(always(response()), listen=listen, gate=GateConfig(socket_mode=mode)) as (sidecar, upstream):
        assert stat.S_IMODE(path.stat().st_mode) == mode
        wire = await sidecar.connect(str(path))
        for host in (b"localhost", b"127.0.0.1", b"[::1]"):
            await wire.send(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
            assert (await wire.response()).status == 200
        await wire.send(b"GET / HTTP/1.1\r\nHost: evil.com\r\n\r\n")
        assert (await wire.response()).status == 403
        assert len(upstream.requests) == 3


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
async def test_it_is_served_with_its_mode_and_removed_at_the_end(tmp_path: Path, mode: int) -> None:
    """Whatever the umask is."""
    before = os.umask(0o077)
    try:
        await served(tmp_path / "app.sock", mode)
    finally:
        os.umask(before)
    assert not (tmp_path / "app.sock").exists()


async def test_a_stale_one_is_replaced(tmp_path: Path) -> None:
    """What a sidecar that was killed left behind."""
    path = tmp_path / "app.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    await served(path)


async def test_one_in_use_is_left_alone(tmp_path: Path) -> None:
    """A second sidecar says so and does not start; the first goes on."""
    path = tmp_path / "app.sock"
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(str(path))
        live.listen()
        with pytest.raises(StartError, match=r"listen: .*app\.sock is in use"):
            await served(path)
        assert path.is_socket()


async def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    """It may be somebody's data."""
    path = tmp_path / "app.sock"
    path.write_text("precious")
    with pytest.raises(StartError, match="not a socket"):
        await served(path)
    assert path.read_text() == "precious"
