"""A unix socket as listener: the file system says who may connect."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from pathlib import Path

import pytest

from sidecar.config.values import Address, AdminConfig, GateConfig, KeyConfig
from sidecar.errors import StartError
from sidecar.secret import Secret
from sidecar.sockets import UnixSocket, listen_unix
from tests.attack.asking import answer, head
from tests.fakes import always, response, upstream
from tests.wire.running import LOCAL, config, in_front_of, route_to, sidecar
from tests.wire.test_reload import Loads


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


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o777])
def test_the_mode_is_there_from_the_first_instant(mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No moment in which another user could connect before a chmod, and the process's umask is as it was."""
    seen: list[int] = []
    bind = UnixSocket.bind

    def looking(sock: UnixSocket, path: str) -> None:
        bind(sock, path)
        seen.append(stat.S_IMODE(os.stat(path).st_mode))

    monkeypatch.setattr(UnixSocket, "bind", looking)
    before = os.umask(0o027)
    try:
        listen_unix(str(tmp_path / "app.sock"), mode, "listen").close()
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert seen == [mode]


@pytest.mark.parametrize("kind", ["directory", "fifo", "symlink to a stale socket", "symlink to nothing"])
async def test_nothing_else_is_replaced(kind: str, tmp_path: Path) -> None:
    """Whatever is at the path and is not a socket itself."""
    path = tmp_path / "app.sock"
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        with socket.socket(socket.AF_UNIX) as dead:
            if "stale" in kind:
                dead.bind(str(tmp_path / "other"))
        path.symlink_to(tmp_path / "other")
    before = os.lstat(path)
    with pytest.raises(StartError, match="not a socket"):
        await served(path)
    assert os.lstat(path) == before


async def test_one_whose_owner_is_too_busy_to_accept_is_in_use(tmp_path: Path) -> None:
    """Its queue is full; a start that waited for it would hang."""
    path = str(tmp_path / "app.sock")
    with socket.socket(socket.AF_UNIX) as live:
        live.bind(path)
        live.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(path)
        with pytest.raises(StartError, match="is in use"):
            listen_unix(path, 0o600, "listen")
        for sock in waiting:
            sock.close()


async def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    """It is not made: its mode is somebody's decision."""
    with pytest.raises(StartError, match=r"listen: cannot listen on .*: its folder is not there"):
        await served(tmp_path / "no" / "app.sock")


async def test_only_its_own_is_removed(tmp_path: Path) -> None:
    """A stop that takes long may find the next sidecar's socket at its path."""
    path = tmp_path / "app.sock"
    async with in_front_of(always(response()), listen=(Address(path=str(path)),)):
        path.unlink()
        others = listen_unix(str(path), 0o600, "listen")
    assert path.is_socket()
    others.close()
    assert not path.exists()


async def test_while_it_drains_the_next_one_can_listen(tmp_path: Path) -> None:
    """The socket of one that is stopping is stale, and what replaces it stays."""
    path = tmp_path / "app.sock"
    async with in_front_of(always(response()), listen=(Address(path=str(path)),)) as (running, _):
        wire = await running.connect(str(path))
        await wire.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n")
        stopping = asyncio.create_task(running.app.stop())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        async with in_front_of(always(response()), listen=(Address(path=str(path)),)) as (other, _):
            await stopping
            again = await other.connect(str(path))
            await again.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await again.response()).status == 200
    assert not path.exists()


async def test_a_start_that_fails_leaves_none_behind(tmp_path: Path) -> None:
    """The sockets that were made before the one that could not be."""
    first = Address(path=str(tmp_path / "first.sock"))
    with pytest.raises(StartError):
        async with in_front_of(always(response()), listen=(first, Address(path=str(tmp_path / "no" / "second.sock")))):
            pass
    token = GateConfig(require_token=KeyConfig("file", str(tmp_path / "no-token")))
    with pytest.raises(StartError):
        async with in_front_of(always(response()), listen=(first,), gate=token):
            pass
    assert list(tmp_path.iterdir()) == []


async def test_the_admin_listener_s_is_removed_too(tmp_path: Path) -> None:
    """And so is one that a reload takes away."""
    path, admin = tmp_path / "app.sock", tmp_path / "admin.sock"
    async with upstream(always(response())) as server:
        route = route_to(server.port)
        loads = Loads(config(route, admin=AdminConfig(Address(path=str(admin)))))
        listen, own = (LOCAL, Address(path=str(path))), AdminConfig(Address(path=str(admin)))
        async with sidecar(route, load=loads, listen=listen, admin=own) as running:
            assert path.is_socket() and admin.is_socket()
            await running.app.reload()
            assert not path.exists()
            wire = await running.connect(str(admin))
            await wire.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await wire.response()).status == 200
    assert not admin.exists()


async def test_the_gate_is_the_same_on_it(tmp_path: Path) -> None:
    """The required token, pages of strangers, and the names without a port: a unix socket has none."""
    path = str(tmp_path / "app.sock")
    gate = GateConfig(require_token=KeyConfig("value", value=Secret("let-me-in")), hosts=("crm.local",))
    async with in_front_of(always(response()), listen=(LOCAL, Address(path=path)), gate=gate) as (running, server):
        for lines, host, reason in [
            ([], b"localhost", "require_token"),
            (["Sidecar-Token: wrong"], b"localhost", "require_token"),
            (["Sidecar-Token: let-me-in"], b"evil.example", "host"),
            (["Sidecar-Token: let-me-in"], b"localhost:%d" % running.port, "host"),
            (["Sidecar-Token: let-me-in", "Origin: http://evil.example"], b"localhost", "origin"),
            (["Sidecar-Token: let-me-in", "Sec-Fetch-Site: cross-site"], b"localhost", "origin"),
        ]:
            assert (await answer(running, head("/", *lines, host=host), path)).reason == reason
        assert server.connections == []
        for host in (b"localhost", b"crm.local", b"[::1]"):
            assert (await answer(running, head("/", "Sidecar-Token: let-me-in", host=host), path)).status == 200
        assert all(asked.values("sidecar-token") == [] for asked in server.requests)
