"""Without uvloop: the main job on asyncio's own loop, and on a system that has less than Linux."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.errors import ConfigError
from sidecar.event_loop import event_loop_factory
from sidecar.vendor.server import Vendor
from tests.attack.test_hostile_answers import server_context
from tests.cli.command import environment, sidecar
from tests.exec.executing import ENVIRON as EXEC_ENVIRON
from tests.exec.executing import command_line, configured, done, long_only
from tests.fakes import Message, Wire, upstream
from tests.main_job.client import Admin, Client
from tests.main_job.configuration import ENVIRON, Section, route, tls_upstream, vendor_credential
from tests.main_job.process import SidecarProcess, running
from tests.main_job.vendors import vendor
from tests.servers.certificates import Certificates

CROWD = 30


def configuration(server: Vendor) -> Section:
    """Return one that forwards `/crm/` with a token of the pretend vendor."""
    return {"credentials": {"crm": vendor_credential(server)}, "routes": [route("crm", server.url, "crm")]}


async def crowd(client: Client) -> list[Message]:
    """Ask for the same many times at once."""
    return await asyncio.gather(*(client.ask("GET", "/crm/me") for _ in range(CROWD)))


async def assert_main_job(process: SidecarProcess, server: Vendor) -> None:
    """Tokens for a crowd, a stream, an upload, and nothing lost when every token is revoked."""
    client, admin = Client(process.port), Admin(process.admin_port)
    assert {answer.status for answer in await crowd(client)} == {200}
    assert server.journal.counters.exchanges == 1
    streamed = await client.ask("GET", "/crm/stream")
    assert streamed.status == 200 and streamed.value("transfer-encoding") == b"chunked"
    upload = await client.ask("POST", "/crm/upload", body=b"x" * 300_000)
    assert upload.status == 200 and json.loads(upload.body)["bytes"] == 300_000
    server.issuer.revoke_tokens()
    assert {answer.status for answer in await crowd(client)} == {200}
    assert server.journal.counters.exchanges == 2
    assert (await admin.json("/status"))["ready"]


async def test_the_main_job(tmp_path: Path) -> None:
    """SIDECAR_LOOP=asyncio: the same answers, a reload, a drain, and an end with 0."""
    async with vendor() as server:
        async with running(tmp_path, configuration(server), ENVIRON, preload={"SIDECAR_LOOP": "asyncio"}) as process:
            await assert_main_job(process, server)
            if (maps := Path(f"/proc/{process.pid}/maps")).exists():
                assert "uvloop" not in maps.read_text()
            process.signal(signal.SIGHUP)
            await process.said("the configuration is taken")
            slow = asyncio.create_task(Client(process.port).ask("GET", "/crm/slow?ms=500"))
            await Admin(process.admin_port).until(1, "sidecar_requests_in_flight")
            process.signal(signal.SIGTERM)
            assert (await slow).status == 200
            assert await process.ended(within_s=5.0) == 0


async def test_an_end_that_tls_has_not_announced_ends_no_body(tmp_path: Path, certificates: Certificates) -> None:
    """RFC 9112 9.8: it may be an attacker's. This loop tells of it as of an announced one; the app sees a cut."""

    async def cut(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\n\r\nall there is")
        await asyncio.sleep(0.02)
        wire.writer.transport.abort()

    async with upstream(cut, tls=server_context(certificates)) as server:
        url = f"https://127.0.0.1:{server.port}"
        content = {
            "credentials": {"crm": {"preset": "static", "api_key": {"env": "VENDOR_KEY"}}},
            "routes": [route("crm", tls_upstream(url, certificates), "crm")],
        }
        async with running(tmp_path, content, ENVIRON, preload={"SIDECAR_LOOP": "asyncio"}) as process:
            client = Client(process.port)
            async with client.connected() as wire:
                await wire.send(client.request("GET", "/crm/"))
                assert b" 200 " in await wire.head()
                assert not (await wire.ended()).endswith(b"0\r\n\r\n")


@long_only  # SIDECAR_LONG
async def test_a_command_with_a_sidecar_of_its_own(tmp_path: Path) -> None:
    """`sidecar exec` as well."""
    async with configured(tmp_path) as (file, _):
        words = command_line(file, "sh", "-c", 'curl -sf "$SIDECAR_URL/me" >/dev/null && exit 7')
        ended = await done(words, {**EXEC_ENVIRON, "SIDECAR_LOOP": "asyncio"})
    assert ended == (7, "", "")


# What Windows, or an older macOS, does not have. What asyncio itself uses of it here is kept for asyncio.
LESS = """
import asyncio, os, select, signal, socket, sys
pair = socket.socketpair
socket.socketpair = lambda: pair(1)  # AF_UNIX
def none(*arguments):
    raise NotImplementedError
asyncio.unix_events._UnixSelectorEventLoop.add_signal_handler = none
for module, names in {
    select: ("poll", "POLLRDHUP"),
    os: ("geteuid", "getuid", "killpg", "O_NONBLOCK", "posix_spawn"),
    socket: ("AF_UNIX", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_KEEPIDLE", "MSG_DONTWAIT", "SO_PEERCRED"),
    signal: ("SIGHUP", "SIGQUIT", "pthread_sigmask", "sigwaitinfo"),
}.items():
    for name in names:
        delattr(module, name)
sys.modules["resource"] = sys.modules["uvloop"] = None
sys.platform = "less"
from sidecar.cli import main
sys.exit(main(sys.argv[1:]))
"""


class Lesser(SidecarProcess):
    """A sidecar that finds less than Linux has."""

    def __init__(self, directory: Path, content: Section) -> None:
        super().__init__(directory, content, dict(ENVIRON))
        self.command = [sys.executable, "-c", LESS, "run", "-c", str(self.file)]


@pytest.mark.skipif(sys.platform != "linux", reason="takes away what Linux has")
async def test_the_main_job_where_there_is_less(tmp_path: Path) -> None:
    """Everything but what a key file's mode would say; and it drains."""
    async with vendor() as server:
        key = tmp_path / "key"
        key.write_text(ENVIRON["VENDOR_KEY"])
        content = configuration(server)
        content["credentials"]["crm"]["api_key"] = {"file": str(key)}
        process = Lesser(tmp_path, content)
        await asyncio.to_thread(process.start)
        try:
            await assert_main_job(process, server)
            process.signal(signal.SIGTERM)
            assert await process.ended(within_s=5.0) == 0
        finally:
            await asyncio.to_thread(process.stop)
    output = process.output()
    assert "listening on" in output and "Traceback" not in output and "please report" not in output


@pytest.mark.skipif(sys.platform != "linux", reason="takes away what Linux has")
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["check", "--listen", "unix:/tmp/a.sock"], 2, "this system has no unix sockets: give a host and a port"),
        (["healthcheck", "--admin", "unix:/tmp/a.sock"], 1, "this system has no unix sockets"),
        (["exec", "--", "true"], 1, "exec needs a Unix system; start `sidecar run`"),
    ],
)
def test_what_is_not_there_is_told_in_words(words: list[str], code: int, said: str) -> None:
    """With what to do instead."""
    environ = environment({"SIDECAR_API_KEY": "a-key", "SIDECAR_PRESET": "giantcontext"})
    ended = subprocess.run([sys.executable, "-c", LESS, *words], env=environ, capture_output=True, text=True)
    assert ended.returncode == code
    assert said in ended.stdout + ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("wanted", "module"), [("asyncio", "asyncio.events"), ("uvloop", "uvloop"), ("", "uvloop"), (None, "uvloop")]
)
def test_which_loop(wanted: str | None, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """uvloop's where it exists, unless another is asked for."""
    if wanted is None:
        monkeypatch.delenv("SIDECAR_LOOP", raising=False)
    else:
        monkeypatch.setenv("SIDECAR_LOOP", wanted)
    pytest.importorskip("uvloop")
    make: Callable[[], asyncio.AbstractEventLoop] = event_loop_factory()
    assert make.__module__ == module


def test_uvloop_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncio's loop in its place; an error in words where uvloop was asked for."""
    monkeypatch.setitem(sys.modules, "uvloop", None)
    monkeypatch.delenv("SIDECAR_LOOP", raising=False)
    assert event_loop_factory() is asyncio.new_event_loop
    monkeypatch.setenv("SIDECAR_LOOP", "uvloop")
    with pytest.raises(ConfigError, match="SIDECAR_LOOP: uvloop is not installed"):
        event_loop_factory()


def test_a_loop_that_nobody_knows() -> None:
    """Exit 2, in a sentence."""
    environ = {"SIDECAR_LOOP": "trio", "SIDECAR_API_KEY": "a-key", "SIDECAR_PRESET": "giantcontext"}
    for words in (["run", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"], ["vendor"]):
        ended = sidecar(*words, environ=environ)
        assert ended.code == 2
        assert ended.err.endswith("SIDECAR_LOOP: expected asyncio or uvloop\n")
