"""`sidecar status`: a screen of what a running sidecar tells, with what to do where something is wrong."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from sidecar.admin.describe import describe
from sidecar.admin.view import Reload, RouteView
from sidecar.ask import locate
from sidecar.credentials.status import CredentialStatus, ExchangeRecord
from sidecar.status.screen import draw
from sidecar.status.show import look
from sidecar.status.style import Style
from tests.admin.running import NOW, MadeUpProcess, credential, running
from tests.cli.command import environment, sidecar, sidecar_beside
from tests.ports import free_port
from tests.terminal import terminal

REMEDY = "Put another key into /etc/keys/mail and it is taken up within two seconds, or ask the vendor what is wrong."


def drawn(*credentials: CredentialStatus, width: int = 80, **process: object) -> list[str]:
    """Return the screen of a process with these credentials."""
    told = describe(MadeUpProcess(list(credentials), **process), NOW)  # type: ignore[arg-type]
    return draw(told, Style(width, encoding="utf-8"))


@asynccontextmanager
async def answering(body: bytes) -> AsyncIterator[str]:
    """Run what calls itself a sidecar and gives one answer to everything; yield its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nServer: sidecar\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_the_whole_screen() -> None:
    """In a pipe: no colour, 80 columns. Each credential with state, expiry in words, what comes next and what to do."""
    process = MadeUpProcess(
        [
            credential(),
            replace(credential("mail", "key_rejected", usable=False, error="The key was refused."), remedy=REMEDY),
        ],
        last_reload=Reload(NOW - 90, "1 mistake"),
        routes=[RouteView("crm", "/crm/", "crm.local", "https://api.example.com", "crm", held_down_for_s=12.0)],
    )
    async with running(process) as admin:
        ended = await sidecar_beside(
            "status", "--admin", f"127.0.0.1:{admin.port}", environ={"PYTHONIOENCODING": "utf-8"}
        )
    assert ended.code == 0
    assert ended.out == (
        "● not ready  Sidecar 9.9.9, up 1 h\n"
        "  listens on  127.0.0.1:8080\n"
        "  configured  by /etc/sidecar/config.yaml; NOT reloaded 1 min 30 s ago: 1\n"
        "              mistake\n"
        f"  page        http://127.0.0.1:{admin.port}/\n"
        "\n"
        "● crm  fresh\n"
        "  token       expires in 9 min              ━━━─────────────────────────┃───\n"
        "  refresh     in 8 min\n"
        "  exchange    ok 1 min ago in 120 ms, at the start\n"
        "  API key     environment variable CRM_KEY, fingerprint 0a1b2c3d\n"
        "\n"
        "● mail  API key refused\n"
        "  token       expires in 9 min              ━━━─────────────────────────┃───\n"
        "  refresh     in 8 min\n"
        "  exchange    ok 1 min ago in 120 ms, at the start\n"
        "  API key     environment variable CRM_KEY, fingerprint 0a1b2c3d\n"
        "  ✗ The key was refused.\n"
        "  → Put another key into /etc/keys/mail and it is taken up within two seconds,\n"
        "    or ask the vendor what is wrong.\n"
        "\n"
        "  ROUTE  MATCHES         UPSTREAM                 CREDENTIAL\n"
        "  crm    crm.local/crm/  https://api.example.com  crm (held down for 12 s)\n"
    )


def test_a_failure_that_is_over() -> None:
    """The last one is told: a person asks what happened."""
    records = (
        ExchangeRecord(NOW - 900, "expiry", "server_error", 0.1, "status 500"),
        ExchangeRecord(NOW - 600, "expiry", "timeout", 10.0, "no answer within 10 s"),
        ExchangeRecord(NOW - 60, "expiry", "ok", 0.1),
    )
    assert "  failure     timed out 10 min ago: no answer within 10 s" in drawn(replace(credential(), recent=records))
    assert not any("failure" in line for line in drawn(credential()))


def test_what_comes_next() -> None:
    """The next try where one has failed; nothing for a key that is the token."""
    assert "  next try    in 8 min" in drawn(credential(failures=2))
    fixed = replace(credential(), expires_at=None, next_refresh_at=None)
    assert "  token       does not expire" in drawn(fixed)
    assert not any(line.startswith(("  refresh", "  next")) for line in drawn(fixed))
    assert "  token       expired 1 min ago" in " ".join(drawn(replace(credential(), expires_at=NOW - 60)))
    assert "  token       none" in drawn(credential(state="empty", usable=False))


@pytest.mark.parametrize(
    ("age_s", "left_s", "refresh_s", "line"),
    [
        (0, 320, 160, "────────────────┃───────────────"),
        (160, 160, 0, "━━━━━━━━━━━━━━━━┃───────────────"),
        (319, 1, None, "━" * 32),
        (300, -10, None, "━" * 32),
        (0, 320, 319.9, "─" * 31 + "┃"),
    ],
)
def test_the_line_of_a_life(age_s: float, left_s: float, refresh_s: float | None, line: str) -> None:
    """From the exchange to the expiry: what is gone, what is left, and where it is renewed."""
    at = replace(
        credential(),
        obtained_at=NOW - age_s,
        expires_at=NOW + left_s,
        next_refresh_at=None if refresh_s is None else NOW + refresh_s,
    )
    (shown,) = (each for each in drawn(at) if each.startswith("  token"))
    assert shown[44:] == line


@pytest.mark.parametrize("width", [40, 60, 80, 120, 300])
def test_it_fits_the_terminal(width: int) -> None:
    """Words are wrapped, tables shrink; no line is longer than the terminal or 120."""
    routes = [RouteView("a" * 30, "/p/" + "b" * 50, "crm.example.com", "https://" + "c" * 80, "crm", 12.0)]
    lines = drawn(replace(credential(error="e " * 80), remedy=REMEDY * 2), width=width, routes=routes)
    assert max(map(len, lines)) <= min(width, 120)


async def test_draining() -> None:
    """It says so first."""
    assert drawn(credential(), draining=True)[0].startswith("● stopping")


def test_without_the_signs() -> None:
    """A terminal that knows ASCII alone gets that."""
    told = describe(MadeUpProcess([credential(error="x")]), NOW)
    assert "\n".join(draw(told, Style(encoding="latin-1"))).isascii()
    assert "\n".join(draw(told, Style())).isascii()


async def test_beyond_loopback_it_shows_what_there_is() -> None:
    """`/status` is not served there; the credentials are, by `/readyz?verbose`."""
    async with running(MadeUpProcess(), loopback=False) as admin:
        ended = await sidecar_beside("status", "--admin", f"127.0.0.1:{admin.port}")
    assert ended.code == 0
    assert ended.out.partition("\n")[0][2:] == "ready  Sidecar"
    assert "expires in 9 min" in ended.out
    told = " ".join(ended.out.split())
    assert "by /readyz?verbose: beyond loopback, the admin listener tells health and metrics alone" in told
    assert "beyond" not in "\n".join(drawn(credential()))


async def test_as_json() -> None:
    """The JSON as it comes."""
    async with running(MadeUpProcess()) as admin:
        ended = await sidecar_beside("status", "--json", "--admin", f"127.0.0.1:{admin.port}")
    assert json.loads(ended.out)["version"] == "9.9.9"


@pytest.mark.parametrize(
    ("environ", "painted"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"NO_COLOR": ""}, True)],
)
async def test_colour_on_a_terminal_alone(environ: dict[str, str], painted: bool) -> None:
    """Unless NO_COLOR, or a terminal that has none, says not to."""
    async with running(MadeUpProcess()) as admin:
        argv = [sys.executable, "-m", "sidecar", "status", "--admin", f"127.0.0.1:{admin.port}"]
        with terminal(argv, environment({"TERM": "xterm", **environ})) as screen:
            assert await asyncio.to_thread(screen.end) == 0
        assert ("\x1b[32m" in screen.raw) is painted
        assert ("\x1b" in screen.raw) is painted


async def test_it_cannot_steer_a_terminal() -> None:
    """Control characters in what was answered are shown as escapes."""
    async with answering(b'{"credentials": [], "version": "\\u001b[2J\\u2028"}') as address:
        ended = await sidecar_beside("status", "--admin", address)
    assert ended.code == 0
    assert r"\x1b[2J\u2028" in ended.out


def test_nothing_that_was_told_can() -> None:
    """Wherever it stands."""
    evil = "a\x1b[2J\x07b\u202ec"
    records = (ExchangeRecord(NOW, evil, evil, 1.0, evil),)  # type: ignore[arg-type]
    statuses = [
        replace(credential(evil, error=evil), remedy=evil, source=evil, fingerprint=evil, last_exchange=records[0]),
        replace(credential(state=evil), recent=records, hopeless_for_s=9.0),  # type: ignore[arg-type]
    ]
    routes = [RouteView(evil, evil, evil, evil, evil)]
    reload = Reload(NOW, evil)
    lines = drawn(*statuses, version=evil, config_source=evil, listeners=[evil], last_reload=reload, routes=routes)
    assert all(line.isprintable() for line in lines), lines
    assert sum(line.count("a\\x1b[2J") for line in lines) >= 15


_ENDLESS = b'{"credentials": [{"name": "a", "state": "fresh", "expires_in_s": 1e999}]}'


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{}",
        b"<html>",
        b'{"credentials": [1]}',
        b'{"credentials": [{}]}',
        pytest.param(_ENDLESS, id="endless"),
        pytest.param(b'{"credentials": ' + b"[" * 100_000, id="deep"),
    ],
)
async def test_another_version(body: bytes) -> None:
    """A sentence, and no traceback."""
    async with answering(body) as address:
        found = await asyncio.to_thread(look, locate(address), Style(), raw=False)
    assert not found.answered
    (line,) = found.lines
    assert re.search(r"no status to show|another version; see its status with --json", line)


def test_where_nothing_listens() -> None:
    """Exit 1, the sentence on standard error, nothing for a pipe."""
    ended = sidecar("status", "--json", "--admin", f"127.0.0.1:{free_port()}")
    assert (ended.code, ended.out) == (1, "")
    assert "`sidecar run`" in ended.err


@pytest.mark.parametrize("pause", ["0", "-1", "x", "1e3", "0.05", "99999999"])
def test_a_pause_that_is_none(pause: str) -> None:
    """Exit 2 and a sentence."""
    ended = sidecar("status", f"--watch={pause}")
    assert (ended.code, "--watch" in ended.err) == (2, True)


async def test_watch_on_a_terminal() -> None:
    """It is drawn over, with the values of now; Ctrl-C gives the terminal back, with the last look below."""
    process = MadeUpProcess()
    async with running(process) as admin:
        argv = [sys.executable, "-m", "sidecar", "status", "--admin", f"127.0.0.1:{admin.port}", "--watch", "0.1"]
        with terminal(argv, environment({"TERM": "xterm", "PYTHONIOENCODING": "utf-8"})) as screen:
            await asyncio.to_thread(screen.until, "● ready")
            assert screen.raw.startswith("\x1b[?1049h\x1b[?25l")
            process.draining = True
            await asyncio.to_thread(screen.until, "● stopping")
            assert "Ctrl-C ends" in screen.shown
            screen.type("\x03")
            assert await asyncio.to_thread(screen.end) == 0
    drawn_over, _, after = screen.raw.partition("\x1b[?25h\x1b[?1049l")
    assert drawn_over.count("\x1b[H") > 1
    assert "● stopping" in re.sub(r"\x1b\[[0-9;]*m", "", after)
    assert "Traceback" not in screen.shown


async def test_watch_waits_for_one_that_is_gone() -> None:
    """It may come back."""
    port = free_port()
    argv = [sys.executable, "-m", "sidecar", "status", "--admin", f"127.0.0.1:{port}", "--watch", "0.1"]
    with terminal(argv, environment({"TERM": "xterm"}), size=(5, 60)) as screen:
        await asyncio.to_thread(screen.until, "No sidecar listens")
        screen.process.terminate()
        assert await asyncio.to_thread(screen.end) == 0
    assert "\x1b[?1049l" in screen.raw


async def test_a_terminal_that_is_not_high_enough() -> None:
    """The top is shown, and that there is more."""
    async with running(MadeUpProcess()) as admin:
        argv = [sys.executable, "-m", "sidecar", "status", "--admin", f"127.0.0.1:{admin.port}", "--watch", "0.1"]
        with terminal(argv, environment({"TERM": "xterm"}), size=(6, 80)) as screen:
            shown = await asyncio.to_thread(screen.until, "Ctrl-C ends")
    assert "(more below" in shown
    assert shown.count("\n") <= 6


async def test_watch_in_a_pipe() -> None:
    """One look after the other: with --json one a line, for another program."""
    async with running(MadeUpProcess()) as admin:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "sidecar", "status", "--json", "--watch", "0.1"),
            *("--admin", f"127.0.0.1:{admin.port}"),
            env=environment(),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        versions = [json.loads(await process.stdout.readline())["version"] for _ in range(3)]
        process.terminate()
        assert await process.wait() == 0
    assert versions == ["9.9.9"] * 3


def test_the_reader_of_a_watch_leaves() -> None:
    """It ends, without a traceback."""
    import subprocess

    line = f"{sys.executable} -m sidecar status --watch 0.1 --admin 127.0.0.1:{free_port()} | head -1"
    done = subprocess.run(["sh", "-c", line], env=environment(), capture_output=True, text=True, timeout=20)
    assert done.stdout.startswith("No sidecar listens")
    assert done.stderr == ""
