"""Under a service manager: it is told what happens, and its sockets outlive the process that serves them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import yaml

from sidecar.service_manager import ServiceManager
from tests.cli.command import environment
from tests.fakes import always, response, upstream
from tests.main_job.client import Admin, Client
from tests.ports import free_port

RUN = (sys.executable, "-m", "sidecar", "run", "-c")
KEY = {"MANAGED_KEY": "key-under-a-manager"}
RAN_S = 60.0 if os.environ.get("SIDECAR_LONG") else 1.0


Replace = Callable[[], Awaitable[None]]


class Told:
    """What a service manager hears.

    Args:
        address: a path, or `@name` for an abstract one.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind("\0" + address[1:] if address.startswith("@") else address)
        self._sock.setblocking(False)

    async def next(self, within_s: float = 10.0) -> dict[str, str]:
        """Return the next message but those of the watchdog."""
        async with asyncio.timeout(within_s):
            while True:
                data = await asyncio.get_running_loop().sock_recv(self._sock, 4096)
                told = dict(line.split("=", 1) for line in data.decode().splitlines())
                if told != {"WATCHDOG": "1"}:
                    return told

    async def alive(self) -> None:
        """Wait for a message of the watchdog."""
        async with asyncio.timeout(5):
            while await asyncio.get_running_loop().sock_recv(self._sock, 4096) != b"WATCHDOG=1":
                pass

    def close(self) -> None:
        """Hear no more."""
        self._sock.close()


@contextmanager
def started(file: Path, environ: dict[str, str], sockets: list[socket.socket]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a sidecar as a service manager does, with these sockets from descriptor 3 on."""
    numbers = [sock.fileno() for sock in sockets]
    with (file.parent / f"{file.stem}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", _ACTIVATE, repr(numbers), *RUN, str(file)],
            env=environment({**KEY, **environ}),
            pass_fds=numbers,
            stderr=log,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


_ACTIVATE = """
import os, sys
numbers = eval(sys.argv[1])
for place, number in enumerate(numbers):
    os.dup2(number, 3 + place)
if numbers:
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(numbers)))
os.execv(sys.argv[2], sys.argv[2:])
"""


def high(sock: socket.socket) -> socket.socket:
    """Return the socket under a number that is none of those it is passed under."""
    import fcntl

    return socket.socket(fileno=fcntl.fcntl(sock.detach(), fcntl.F_DUPFD_CLOEXEC, 20))


def listening() -> socket.socket:
    """Return a listening socket on a free port."""
    return high(socket.create_server(("127.0.0.1", 0), backlog=1024))


def configured(file: Path, server: int, listen: str | list[str], admin: str, **keys: object) -> Path:
    """Write a configuration."""
    credential = {"preset": "static", "api_key": {"env": "MANAGED_KEY"}}
    whole = {"listen": listen, "admin": {"listen": admin}, "upstream": f"http://127.0.0.1:{server}", **keys}
    file.write_text(yaml.safe_dump({**whole, "credential": credential}))
    return file


async def test_it_is_told_what_happens(tmp_path: Path) -> None:
    """Ready, reloading with the time, ready again, a reload that is not taken, alive now and then, stopping."""
    told = Told(str(tmp_path / "notify"))
    port = free_port()
    file = configured(tmp_path / "sidecar.yaml", 9, f"127.0.0.1:{port}", f"127.0.0.1:{free_port()}")
    with started(file, {"NOTIFY_SOCKET": told.address, "WATCHDOG_USEC": "400000"}, []) as process:
        ready = await told.next()
        assert ready == {"READY": "1", "STATUS": f"serving on 127.0.0.1:{port}"}
        socket.create_connection(("127.0.0.1", port)).close()
        await told.alive()
        process.send_signal(signal.SIGHUP)
        reloading = await told.next()
        assert reloading["RELOADING"] == "1"
        assert 0 <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000 - int(reloading["MONOTONIC_USEC"]) < 10**7
        assert (await told.next())["READY"] == "1"
        file.write_text("listen: nowhere")
        process.send_signal(signal.SIGHUP)
        assert (await told.next())["RELOADING"] == "1"
        again = await told.next()
        assert again["READY"] == "1" and again["STATUS"].startswith("the old configuration stays: ")
        process.send_signal(signal.SIGTERM)
        assert (await told.next())["STOPPING"] == "1"
        assert process.wait(5) == 0
    told.close()


async def test_at_an_abstract_address() -> None:
    """Which has no file. The variables are gone afterwards, and a watchdog that is another process's is left alone."""
    told = Told(f"@sidecar-tests-{os.getpid()}")
    environ = {"NOTIFY_SOCKET": told.address, "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1", "HOME": "/"}
    manager = ServiceManager(environ)
    manager.ready("two\nlines " + "x" * 1000)
    status = (await told.next())["STATUS"]
    assert status.startswith("two lines xxx") and len(status) == 300
    assert environ == {"HOME": "/"}
    assert manager.alive_every_s is None
    told.close()


def test_nobody_listens_there(tmp_path: Path) -> None:
    """A manager that is gone, or a nonsense of an address, hurts nobody."""
    for address in ("", "@", str(tmp_path / "nobody"), "vsock:2:1", "x" * 200, "a\0b"):
        manager = ServiceManager({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "many"})
        assert manager.alive_every_s is None
        manager.ready("")
        manager.reloading()
        manager.stopping("")
        manager.alive()


@asynccontextmanager
async def load(port: int) -> AsyncIterator[list[int]]:
    """Ask all the time, on new connections and on kept ones that are replaced where they are closed."""
    statuses: list[int] = []
    over = asyncio.Event()
    client = Client(port)

    async def on_new_connections() -> None:
        while not over.is_set():
            statuses.append((await client.ask()).status)
            await asyncio.sleep(0.005)

    async def on_kept_connections() -> None:
        while not over.is_set():
            async with client.connected() as wire:
                answered = 0
                while not over.is_set():
                    try:
                        await wire.send(client.request())
                        answer = await wire.response()
                    except (ConnectionError, asyncio.IncompleteReadError) as error:
                        # Ended while it was idle, just before this was sent: every client asks again then.
                        assert answered and not getattr(error, "partial", b"")
                        break
                    answered += 1
                    statuses.append(answer.status)
                    if answer.value("connection") == b"close":
                        break
                    await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(on_new_connections())
        group.create_task(on_kept_connections())
        try:
            yield statuses
        finally:
            over.set()


@pytest.mark.timeout(RAN_S + 30)
async def test_one_takes_anothers_place_under_load(tmp_path: Path) -> None:
    """Again and again, by a socket that stays: no connection is refused, no request fails."""
    async with upstream(always(response())) as server:
        sock = listening()
        port = sock.getsockname()[1]
        async with load_after_start(tmp_path, server.port, sock) as (statuses, replace):
            until = time.monotonic() + RAN_S
            turns = 0
            while turns < 2 or time.monotonic() < until:
                await replace()
                turns += 1
        assert set(statuses) == {200} and len(statuses) > 20
        # Between two processes, who connects waits.
        with socket.create_connection(("127.0.0.1", port)):
            pass
        sock.close()


@asynccontextmanager
async def load_after_start(folder: Path, server: int, sock: socket.socket) -> AsyncIterator[tuple[list[int], Replace]]:
    """Run one sidecar at the socket, and ask it; yield the statuses, and what puts another in its place."""
    from contextlib import ExitStack

    port, count = sock.getsockname()[1], 0
    with ExitStack() as processes:

        async def start() -> subprocess.Popen[bytes]:
            nonlocal count
            count += 1
            admin = free_port()
            file = folder / f"{count}.yaml"
            configured(file, server, f"127.0.0.1:{port}", f"127.0.0.1:{admin}")
            process = processes.enter_context(started(file, {"LISTEN_FDNAMES": "listen"}, [sock]))
            await Client(admin).until_accepts()
            await Admin(admin).ready()
            return process

        running = await start()

        async def replace() -> None:
            nonlocal running
            old, running = running, await start()
            old.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(old.wait, 10) == 0

        async with load(port) as statuses:
            yield statuses, replace


async def test_sockets_by_name_and_over_reloads(tmp_path: Path) -> None:
    """One for apps, one for the admin listener; an address that goes and comes back is the same socket."""
    async with upstream(always(response())) as server:
        apps, admin, unix = listening(), listening(), high(socket.socket(socket.AF_UNIX))
        path = str(tmp_path / "app.sock")
        unix.bind(path)
        unix.listen()
        ports = [sock.getsockname()[1] for sock in (apps, admin)]
        file = tmp_path / "sidecar.yaml"
        both = [f"127.0.0.1:{ports[0]}", f"unix:{path}"]
        configured(file, server.port, both, f"127.0.0.1:{ports[1]}")
        with started(file, {"LISTEN_FDNAMES": "admin:sidecar.socket:listen"}, [admin, apps, unix]) as process:
            control = Admin(ports[1])
            await control.ready()
            assert (await Client(ports[0]).ask()).status == 200
            configured(file, server.port, f"unix:{path}", f"127.0.0.1:{ports[1]}")
            assert (await control.ask("POST", "/-/reload")).status == 200
            waiting = asyncio.create_task(Client(ports[0]).ask())
            await asyncio.sleep(0.05)
            assert not waiting.done(), "nobody serves it, and it is not refused"
            configured(file, server.port, both, f"127.0.0.1:{ports[1]}")
            assert (await control.ask("POST", "/-/reload")).status == 200
            assert (await waiting).status == 200
            assert {name for name in environ_of(process.pid) if name.startswith(("LISTEN_", "NOTIFY_"))} == {
                "LISTEN_PID",
                "LISTEN_FDS",
                "LISTEN_FDNAMES",
            }, "the kernel's own copy, which stays"
            process.send_signal(signal.SIGTERM)
            assert process.wait(5) == 0
        assert os.path.exists(path), "it is the manager's to remove"
        for sock in (apps, admin, unix):
            sock.close()


def environ_of(pid: int) -> list[str]:
    """Return the names of a process's variables, as it was started with them."""
    return [pair.partition("=")[0] for pair in Path(f"/proc/{pid}/environ").read_text().split("\0") if pair]


@pytest.mark.parametrize("case", ["no key names it", "under another name", "it does not listen"])
def test_a_socket_that_nobody_takes(tmp_path: Path, case: str) -> None:
    """Exit 1, and a sentence: who connects to it would wait for ever."""
    sock = listening() if case != "it does not listen" else high(socket.socket())
    port = sock.getsockname()[1]
    address = f"127.0.0.1:{port}" if case == "under another name" else f"127.0.0.1:{free_port()}"
    file = configured(tmp_path / "sidecar.yaml", 9, address, f"127.0.0.1:{free_port()}")
    names = {"LISTEN_FDNAMES": "admin"} if case == "under another name" else {}
    with started(file, names, [sock]) as process:
        assert process.wait(10) == 1
    said = (tmp_path / "sidecar.log").read_text()
    assert "Traceback" not in said
    assert ("LISTEN_FDS: " if case == "it does not listen" else f"127.0.0.1:{port}") in said
    sock.close()
