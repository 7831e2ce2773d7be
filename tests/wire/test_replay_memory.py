"""What is kept of bodies for a replay is bounded, and given back however a request ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from sidecar.dataplane.flow import ReplayMemory
from sidecar.dataplane.limits import Timeouts
from tests.fakes import Script, Tokens, Wire, always, response, silent, until, upstream
from tests.main_job.client import Admin, Client
from tests.main_job.configuration import ENVIRON, route, vendor_credential
from tests.main_job.process import running as running_process
from tests.wire.running import Running, in_front_of, with_tokens

MIB = 1024 * 1024
MOST_BYTES = 2 * MIB


def left_bytes(running: Running) -> int:
    """How much may be kept right now."""
    memory: ReplayMemory = running.app._paths._path._memory
    return memory._left


async def upload(running: Running, body: bytes = bytes(300_000), *, sent: int | None = None) -> Wire:
    """Begin an upload, and send the whole of it or only a part."""
    wire = await running.connect()
    wire.writer.write(running.ask_bytes("PUT", "/", "Connection: close", f"Content-Length: {len(body)}") + body[:sent])
    return wire


async def is_answered(running: Running) -> None:
    """The usual end."""
    assert (await (await upload(running)).response()).status == 200


async def is_chunked(running: Running) -> None:
    """In the other framing, and in pieces."""
    wire = await running.connect()
    await wire.send(running.ask_bytes("POST", "/", "Connection: close", "Transfer-Encoding: chunked"))
    for _ in range(10):
        await wire.send(b"7530\r\n", bytes(0x7530), b"\r\n")
    await wire.send(b"0\r\n\r\n")
    assert (await wire.response()).status == 200


async def is_too_large(running: Running) -> None:
    """More than a route keeps: what was kept until then is let go."""
    wire = await running.connect()
    await wire.send(running.ask_bytes("POST", "/", "Connection: close", "Transfer-Encoding: chunked"))
    await wire.send(b"200000\r\n", bytes(0x200000), b"\r\n0\r\n\r\n")
    assert (await wire.response()).status == 200


async def breaks_its_framing(running: Running) -> None:
    """Refused within the body."""
    wire = await running.connect()
    await wire.send(
        running.ask_bytes("POST", "/", "Connection: close", "Transfer-Encoding: chunked"), b"5\r\nhello\r\nnonsense\r\n"
    )
    assert (await wire.response()).status == 400


async def app_resets(running: Running) -> None:
    """The app leaves within its body."""
    wire = await upload(running, sent=200_000)
    await until(lambda: left_bytes(running) < MOST_BYTES)
    wire.reset()


async def app_closes(running: Running) -> None:
    """The same in the ordinary way."""
    wire = await upload(running, sent=200_000)
    await until(lambda: left_bytes(running) < MOST_BYTES)
    wire.close()


async def app_is_too_slow(running: Running) -> None:
    """408."""
    wire = await upload(running, sent=200_000)
    assert (await wire.response()).status == 408


async def is_not_answered_well(running: Running) -> None:
    """502, 504 or a cut: whatever the upstream does."""
    wire = await upload(running)
    await wire.ended()


async def leaves_before_the_answer(running: Running) -> None:
    """With all of the body sent."""
    wire = await upload(running)
    await until(lambda: left_bytes(running) == MOST_BYTES - 300_000)
    wire.reset()


async def nonsense(wire: Wire) -> None:
    """Answer with what is not HTTP."""
    await wire.request()
    await wire.send(b"nonsense nonsense nonsense\r\n\r\n")


async def cut_answer(wire: Wire) -> None:
    """Begin an answer, and leave."""
    await wire.request()
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")


async def no_answer(wire: Wire) -> None:
    """Leave without one."""
    await wire.request()


async def streams(wire: Wire) -> None:
    """Answer for a long time: from its first byte on there is no replay."""
    await wire.request()
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    await wire.ended()


FINE = always(response())


@pytest.mark.parametrize(
    ("script", "end"),
    [
        *((FINE, end) for end in (is_answered, is_chunked, is_too_large, breaks_its_framing, app_resets, app_closes)),
        (FINE, app_is_too_slow),
        *((script, is_not_answered_well) for script in (nonsense, cut_answer, no_answer, silent)),
        (silent, leaves_before_the_answer),
    ],
)
async def test_all_of_it_is_given_back(script: Script, end: Callable[[Running], Awaitable[None]]) -> None:
    """After every kind of end, several at a time."""
    limits = {"replay_memory_bytes": MOST_BYTES, "body_idle_timeout_s": 0.3}
    to = {"timeouts": Timeouts(head_s=0.3)}
    async with in_front_of(script, limits=limits, route={"upstream": to}) as (running, _):
        await asyncio.gather(*(end(running) for _ in range(1 if end is leaves_before_the_answer else 4)))
        await until(lambda: left_bytes(running) == MOST_BYTES and not running.pool().busy_count)
        await asyncio.sleep(0.05)
        assert left_bytes(running) == MOST_BYTES  # nor twice


async def test_it_is_given_back_when_the_answer_begins() -> None:
    """Not when it ends: a stream may go on for hours."""
    async with in_front_of(streams, limits={"replay_memory_bytes": MOST_BYTES}) as (running, _):
        wire = await upload(running)
        await wire.head()
        assert left_bytes(running) == MOST_BYTES
        wire.reset()
        await running.nothing_left()
        assert left_bytes(running) == MOST_BYTES


async def test_after_a_replay() -> None:
    """Sent twice, given back once."""
    answers = always(response(), response(status="401 Unauthorized"), response())
    async with with_tokens(answers, Tokens(), limits={"replay_memory_bytes": MOST_BYTES}) as (running, server):
        assert (await running.ask()).status == 200
        assert (await (await upload(running)).response()).status == 200
        assert [len(request.body) for request in server.requests] == [0, 300_000, 300_000]
        assert left_bytes(running) == MOST_BYTES


async def test_those_beyond_it_are_not_replayed(tmp_path: Path) -> None:
    """100 uploads of 1 MiB at once, with 32 MiB for all: each gets an answer; few are sent twice; memory is bounded."""
    rejected = asyncio.Event()

    async def script(wire: Wire) -> None:
        while True:
            request = await wire.request()
            if request.method == b"POST" and request.value("authorization") == b"Bearer token-1":
                uploads.append(request)
                if len(uploads) == 100:
                    rejected.set()
                await rejected.wait()
                await wire.send(response(status="401 Unauthorized"))
            else:
                await wire.send(response())

    uploads: list[object] = []
    async with upstream(Tokens()) as endpoint, upstream(script) as server:
        configuration = {
            "credentials": {"crm": vendor_credential(f"http://127.0.0.1:{endpoint.port}")},
            "routes": [route("crm", f"http://127.0.0.1:{server.port}", "crm")],
            "log": {"level": "info"},
        }
        async with running_process(tmp_path, configuration, ENVIRON) as process:
            app, admin = Client(process.port), Admin(process.admin_port)
            await admin.ready()
            assert (await app.ask("GET", "/crm/")).status == 200
            before = process.resident_bytes()
            process.forget_peak()
            body = bytes(MIB)
            answers = await asyncio.gather(*(app.ask("POST", "/crm/", body=body) for _ in range(100)))
            statuses = [answer.status for answer in answers]
            assert set(statuses) == {200, 401}
            # Bodies come in pieces and wait for one another: those that were given up on had kept a part for a while.
            assert 8 <= statuses.count(200) <= 32
            # 32 MiB for replays, and for each upload what is on its way between two sockets: 64 KiB, and a read.
            assert process.peak_bytes() - before < (32 + 100 * 0.35 + 10) * MIB
            server.script = always(response())
            assert (await app.ask("POST", "/crm/", body=body)).status == 200
