"""`healthcheck` and `wait` against a real admin listener, each in a process of its own."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sidecar import ask
from sidecar.admin.server import AdminServer
from tests.admin.running import MadeUpProcess, credential, endpoints, running
from tests.cli.command import environment, sidecar, sidecar_beside
from tests.ports import free_port
from tests.terminal import terminal


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[str]:
    """Run a server that gives one answer to everything; yield its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_healthcheck_of_one_that_lives_but_is_not_ready() -> None:
    """Alive is 0; ready is 1, with reason and remedy in one line."""
    process = MadeUpProcess([credential(state="key_rejected", usable=False, error="The API key was refused.")])
    async with running(process) as admin:
        alive = await sidecar_beside("healthcheck", "--admin", f"127.0.0.1:{admin.port}")
        ready = await sidecar_beside("healthcheck", "--ready", "--url", f"http://localhost:{admin.port}/")
    assert (alive.code, alive.out) == (0, "alive\n")
    assert (ready.code, ready.out) == (1, "not ready: crm: The API key was refused. What to do: Do what helps crm.\n")


async def test_healthcheck_of_a_ready_one_named_by_the_environment() -> None:
    """`SIDECAR_ADMIN_LISTEN` says where, also where it means all addresses."""
    async with running(MadeUpProcess()) as admin:
        environ = {"SIDECAR_ADMIN_LISTEN": f"0.0.0.0:{admin.port}"}
        assert (await sidecar_beside("healthcheck", "--ready", environ=environ)).code == 0


def test_healthcheck_where_nothing_listens() -> None:
    """Exit 1 and one line that says what to do."""
    ended = sidecar("healthcheck", "--admin", f"127.0.0.1:{free_port()}")
    assert ended.code == 1
    assert ended.out.count("\n") == 1
    assert "`sidecar run`" in ended.out


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\nServer: other\r\n\r\nok", b"SSH-2.0-x\r\n", b""])
async def test_another_program_is_not_called_a_sidecar(answer: bytes) -> None:
    """A 200 of something else is no proof of life."""
    async with answering(answer) as address:
        ended = await sidecar_beside("healthcheck", "--admin", address)
    assert ended.code == 1
    assert "not a sidecar's admin listener" in ended.out


async def test_over_a_unix_socket(tmp_path: Path) -> None:
    """`unix:` works for the listener and for whoever asks."""
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(tmp_path / "admin.sock"))
    sock.listen()
    server = AdminServer(endpoints(MadeUpProcess()), asyncio.create_task, loopback=True)
    await server.start(sock)
    try:
        ended = await sidecar_beside("status", "--admin", f"unix:{tmp_path}/admin.sock")
    finally:
        await server.stop()
    assert (ended.code, ended.out.splitlines()[0][2:]) == (0, "ready  Sidecar 9.9.9, up 1 h")
    gone = sidecar("healthcheck", "--admin", f"unix:{tmp_path}/other.sock")
    assert "No sidecar listens on unix:" in gone.out


async def test_wait_until_ready() -> None:
    """It returns as soon as the token is there, and writes no progress into a pipe."""
    process = MadeUpProcess([credential(state="empty", usable=False)])
    async with running(process) as admin:
        waiting = asyncio.ensure_future(sidecar_beside("wait", "--max", "15s", "--admin", f"127.0.0.1:{admin.port}"))
        for _look in range(3):
            await process.looked.acquire()
        process.statuses = [credential()]
        ended = await waiting
    assert ended.code == 0
    assert ended.out.startswith("ready after ")
    assert ended.err == ""


async def test_wait_in_vain_says_each_reason_and_remedy() -> None:
    """Exit 1 after the time given."""
    statuses = [credential(name, "expired", usable=False, error=f"{name} is down.") for name in ("crm", "mail")]
    async with running(MadeUpProcess(statuses)) as admin:
        ended = await sidecar_beside("wait", "--max", "200ms", "--admin", f"127.0.0.1:{admin.port}")
    assert ended.code == 1
    assert ended.out.splitlines() == [
        "Not ready after 200 ms:",
        "  crm: crm is down. What to do: Do what helps crm.",
        "  mail: mail is down. What to do: Do what helps mail.",
    ]


def test_wait_pauses_longer_each_time_and_never_past_the_end() -> None:
    """50 ms at first, half a second at most; progress for every pause, and a clean line at the end."""
    now = [0.0]
    pauses: list[float] = []
    shown: list[str] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    admin = ask.Admin("127.0.0.1", free_port())
    code = ask.wait(admin, 3.0, say=shown.append, progress=shown.append, clock=lambda: now[0], sleep=sleep)
    assert code == 1
    assert pauses[0] == 0.05
    assert max(pauses) == 0.5
    assert sum(pauses) == pytest.approx(3.0)
    assert shown[0].startswith("waiting for 0 s: No sidecar listens")
    assert shown[len(pauses)] == ""


def test_a_person_who_has_waited_long_enough() -> None:
    """Progress in one line of a terminal; Ctrl-C takes that away, and ends with 130."""
    argv = [sys.executable, "-m", "sidecar", "wait", "--admin", f"127.0.0.1:{free_port()}"]
    with terminal(argv, environment({"TERM": "xterm"})) as screen:
        screen.until("waiting for 0 s: No sidecar listens")
        screen.type("\x03")
        assert screen.end() == 130
    assert screen.raw.removesuffix("\r\n").endswith("\r\x1b[K")
    assert "\n" not in screen.raw.removesuffix("\r\n")


def test_a_slow_answer_is_given_up() -> None:
    """The time is for the whole answer, not for each part of it."""
    with socket.create_server(("127.0.0.1", 0)) as sock, pytest.raises(ask.Unanswered, match="did not answer within"):
        ask.ask(ask.Admin("127.0.0.1", sock.getsockname()[1]), "/livez", timeout_s=0.1)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (None, "127.0.0.1:8081"),
        ("127.0.0.1:9", "127.0.0.1:9"),
        ("9", "127.0.0.1:9"),
        (":9", "127.0.0.1:9"),
        ("http://localhost:9/", "localhost:9"),
        ("[::1]:9", "[::1]:9"),
        ("[::]:9", "[::1]:9"),
        ("0.0.0.0:9", "127.0.0.1:9"),
        ("unix:/run/a.sock", "unix:/run/a.sock"),
    ],
)
def test_addresses(given: str | None, meant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way to write an address that the configuration knows, and what a browser shows."""
    monkeypatch.delenv("SIDECAR_ADMIN_LISTEN", raising=False)
    assert str(ask.locate(given)) == meant


@pytest.mark.parametrize("given", ["x", "host:", "host:0", "host:65536", "::1:9", "unix:", "https://a:1", "a:\u0663"])
def test_what_is_no_address(given: str) -> None:
    """Refused with a sentence."""
    with pytest.raises(ValueError, match="is not an address"):
        ask.locate(given)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "200 ms"),
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3661, "1 h 1 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    """Two units at most."""
    assert ask.duration(seconds) == words
