"""File descriptors run out: what needs one is told so, what must not wait keeps some, and it passes by itself."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.fakes import Message, Tokens, Wire, always, response, until, upstream
from tests.main_job.client import Admin, Client
from tests.main_job.process import SidecarProcess

LIMIT = 64
ENVIRON = {"FEW_KEY": "key-of-the-descriptor-tests"}


@asynccontextmanager
async def with_few(directory: Path, configuration: Mapping[str, object]) -> AsyncIterator[SidecarProcess]:
    """Run a sidecar that may have 64 file descriptors."""
    process = SidecarProcess(directory, {"log": {"level": "info"}, **configuration}, ENVIRON)
    process.command = ["sh", "-c", f'ulimit -n {LIMIT}; exec "$@"', "sh", *process.command]
    await asyncio.to_thread(process.start)
    try:
        yield process
    finally:
        await asyncio.to_thread(process.stop)
    assert "Traceback" not in process.output() and "please report this" not in process.output()


def cpu_s(process: SidecarProcess) -> float:
    """Return how much processor time it has taken."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def served(app: Client, within_s: float) -> None:
    """Ask until it is answered as it should be."""
    async with asyncio.timeout(within_s):
        while True:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                if (await app.ask()).status == 200:
                    return
            await asyncio.sleep(0.05)


async def test_more_connections_than_descriptors(tmp_path: Path) -> None:
    """`limits.connections` beyond what the process may have: told 503; probes are answered; it ends with the crowd."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await asyncio.sleep(60)

    async with upstream(script) as server:
        configuration = {
            "upstream": f"http://127.0.0.1:{server.port}",
            "credential": {"preset": "static", "api_key": {"env": "FEW_KEY"}},
            "limits": {"connections": 500},
        }
        async with with_few(tmp_path, configuration) as process:
            app, admin = Client(process.port), Admin(process.admin_port)
            crowd = []
            for _ in range(120):
                with suppress(ConnectionError):  # it may be cut before it is quite made
                    crowd.append(Wire(*await asyncio.open_connection("127.0.0.1", process.port)))
                    crowd[-1].writer.write(app.request())
            await asyncio.sleep(0.2)
            told = [bytes(wire.reader._buffer) for wire in crowd]  # type: ignore[attr-defined]
            assert sum(answer.startswith(b"HTTP/1.1 503 ") for answer in told) >= 4
            assert any(b'"reason": "descriptors"' in answer for answer in told)
            before_s = cpu_s(process)
            for _ in range(5):
                began_s = time.monotonic()
                assert (await admin.ask("GET", "/readyz")).status == 200
                assert time.monotonic() - began_s < 0.1
                await asyncio.sleep(0.1)
            assert cpu_s(process) - before_s < 0.2
            server.script = always(response())
            for wire in crowd:
                wire.writer.transport.abort()
            await served(app, within_s=2.0)
            assert process.output().count("\n") < 80


async def test_upstream_connections_take_none_of_the_last(tmp_path: Path) -> None:
    """503 for the request that would need one, which says why; the next to find a free connection is served."""
    free = asyncio.Event()

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await free.wait()
            await wire.send(response())

    async with upstream(script) as server:
        configuration = {
            "upstream": f"http://127.0.0.1:{server.port}",
            "credential": {"preset": "static", "api_key": {"env": "FEW_KEY"}},
        }
        async with with_few(tmp_path, configuration) as process:
            app = Client(process.port)
            wires = [Wire(*await asyncio.open_connection("127.0.0.1", process.port)) for _ in range(28)]
            await Admin(process.admin_port).until(len(wires), "sidecar_connections")
            for wire in wires:
                wire.writer.write(app.request())
            asked = [asyncio.create_task(wire.response()) for wire in wires]
            await until(lambda: len(server.connections) + sum(task.done() for task in asked) == len(wires))
            early = [task.result() for task in asked if task.done()]
            assert {(answer.status, answer.reason) for answer in early} == {(503, "descriptors")}
            assert (await Admin(process.admin_port).ask("GET", "/livez")).status == 200
            free.set()
            answers: list[Message] = await asyncio.gather(*asked)
            assert 0 < sum(answer.status == 200 for answer in answers) < len(wires)
            for wire in wires:  # one after the other, on few upstream connections
                await wire.send(app.request())
                assert (await wire.response()).status == 200
                wire.writer.transport.abort()


async def test_not_one_descriptor_for_a_while(tmp_path: Path) -> None:
    """Neither a key can be read nor a token fetched; the credential's task outlives it, and all comes back."""
    key_file = tmp_path / "key"
    key_file.write_text("the-first-key-of-the-tests")
    key_file.chmod(0o600)
    tokens = Tokens()
    async with upstream(tokens) as endpoint, upstream(always(response(b"fine", "Connection: close"))) as server:
        exchange = {
            "url": f"http://127.0.0.1:{endpoint.port}/token",
            "json": {"key": "{api_key}"},
            "response": {"token": "/token"},
        }
        configuration = {
            "upstream": f"http://127.0.0.1:{server.port}",
            "credential": {"api_key": {"file": str(key_file)}, "exchange": exchange},
        }
        async with with_few(tmp_path, configuration) as process:
            app, admin = Client(process.port), Admin(process.admin_port)
            await admin.ready()
            async with admin.connected() as probe, app.connected() as kept:
                await kept.send(app.request())
                assert (await kept.response()).status == 200
                for connection in endpoint.connections:
                    connection.close()
                await probe.send(admin.request("GET", "/livez"))
                assert (await probe.response()).status == 200
                _, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
                resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (3, hard))
                key_file.write_text("the-second-key-of-the-tests")
                await probe.send(admin.request("POST", "/-/refresh"))
                assert (await probe.response()).status == 502
                await kept.send(app.request())
                answer = await kept.response()
                assert (answer.status, answer.reason) == (503, "descriptors")
                await asyncio.sleep(1.2)  # more than one look at the key's file
                await probe.send(admin.request("GET", "/livez"))
                assert (await probe.response()).status == 200
                resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (LIMIT, hard))
                await served(app, within_s=2.0)
                await until(lambda: tokens.count >= 2, within_s=5.0)
                await admin.ready()
            assert process.output().count("\n") < 40
