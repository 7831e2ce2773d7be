"""`/events`: who looks hears what changes, at a bounded cost, and holds nothing up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import pytest

from sidecar.admin.events import MOST_SUBSCRIBERS
from tests.admin.running import NOW, Asked, MadeUpProcess, credential, running
from tests.fakes import Wire
from tests.wire.running import route_to, sidecar


@asynccontextmanager
async def looking(port: int) -> AsyncIterator[Wire]:
    """Ask for the events; the head is not read yet."""
    wire = Wire(*await asyncio.open_connection("127.0.0.1", port, limit=2**20))
    await wire.send(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % port)
    try:
        yield wire
    finally:
        wire.close()


async def event(wire: Wire) -> tuple[str, Any]:
    """Read one event: its name and its data."""
    async with asyncio.timeout(5):
        text = (await wire.reader.readuntil(b"\n\n")).decode()
    name, data = text.strip().split("\n")
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks that follow each other in hundredths of a second."""
    monkeypatch.setattr("sidecar.admin.events.TICK_S", 0.01)
    monkeypatch.setattr("sidecar.admin.events._REST", 0)


async def test_the_first_events_tell_everything() -> None:
    """The configuration, then what moves; as a stream that nobody keeps."""
    async with running(MadeUpProcess()) as admin, looking(admin.port) as wire:
        head = (await wire.head()).lower()
        assert b" 200 " in head and b"content-type: text/event-stream" in head and b"cache-control: no-store" in head
        assert b"content-length" not in head and b"connection: close" in head
        assert await event(wire) == (
            "settings",
            [{"key": "listen", "value": "127.0.0.1:8080", "origin": "default", "credential": ""}],
        )
        name, status = await event(wire)
        assert (name, status["now"], status["version"]) == ("status", NOW, "9.9.9")
        (one,) = status["credentials"]
        assert (one["obtained_at"], one["expires_at"], one["exchanges"][0]["outcome"]) == (NOW - 60, NOW + 540, "ok")


async def test_only_changes_are_sent(quick: None) -> None:
    """Nothing while nothing moves; then what has moved, once."""
    process = MadeUpProcess()
    async with running(process) as admin, looking(admin.port) as wire:
        await wire.head()
        for _ in range(2):
            await event(wire)
        for _ in range(5):
            await process.looked.acquire()
        process.statuses = [credential(error="down", failures=1)]
        name, status = await event(wire)
        assert (name, status["credentials"][0]["error"]) == ("status", "down")


async def test_silence_is_broken(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a page that is gone is noticed, and one that is there knows that the sidecar is."""
    monkeypatch.setattr("sidecar.admin.events.SILENCE_S", 0.03)
    async with running(MadeUpProcess()) as admin, looking(admin.port) as wire:
        await wire.head()
        for _ in range(2):
            await event(wire)
        assert await event(wire) == ("alive", {})


async def test_pages_that_look_are_bounded_and_whoever_leaves_makes_room(quick: None) -> None:
    """The ninth is told to come back; the health of the process is told meanwhile."""
    async with running(MadeUpProcess()) as admin:
        held = [looking(admin.port) for _ in range(MOST_SUBSCRIBERS)]
        wires = [await each.__aenter__() for each in held]
        for wire in wires:
            assert b" 200 " in await wire.head()
        over = await admin.ask("/events")
        assert (over.status, over.headers["retry-after"]) == (503, "10")
        assert (await admin.ask("/livez")).status == 200
        wires[0].close()
        assert await _comes_in(admin)
        for each in held:
            await each.__aexit__(None, None, None)


async def _comes_in(admin: Asked) -> bool:
    """Ask until there is room."""
    async with asyncio.timeout(5):
        while True:
            async with looking(admin.port) as wire:
                if b" 200 " in await wire.head():
                    return True


async def test_the_end_is_told_and_holds_nothing_up() -> None:
    """While it drains, pages hear so; when the admin listener closes, they hear that too, and the stop is quick."""
    async with sidecar(route_to(9)) as running, looking(running.app.admin_address[1]) as wire:
        await wire.head()
        for _ in range(2):
            await event(wire)
        began_at = monotonic()
        await running.app.stop()
        assert monotonic() - began_at < 0.4
        rest = (await wire.rest()).decode()
        assert rest.endswith("event: end\ndata: {}\n\n")


async def test_what_breaks_ends_the_events_and_nothing_else(quick: None, caplog: pytest.LogCaptureFixture) -> None:
    """No word of what broke is in them; before they have begun it is a 500 like any other."""
    process = MadeUpProcess()
    async with running(process) as admin, looking(admin.port) as wire:
        await wire.head()
        process.broken = True
        assert b"HTTP/1.1" not in await wire.ended()
        assert (await admin.ask("/events")).status == 500
        process.broken = False
        assert (await admin.ask("/livez")).status == 200
    assert "RuntimeError" in caplog.text


async def test_a_page_that_reads_nothing_is_not_written_to_for_ever(quick: None) -> None:
    """What it does not take waits in the kernel; the process stops making more."""
    process = MadeUpProcess()
    async with running(process) as admin, looking(admin.port) as wire:
        await wire.head()
        wire.stop_reading()
        looks = 0
        for number in range(40):
            process.statuses = [credential(error=f"{number:03}" * 100_000, failures=number)]
            try:
                async with asyncio.timeout(0.2):
                    await process.looked.acquire()
            except TimeoutError:
                break
            looks += 1
        assert looks < 40


async def test_strangers_hear_nothing() -> None:
    """Neither a page of another origin nor another Host; and beyond loopback there are no events, and no page."""
    async with running(MadeUpProcess()) as admin:
        for fields in (("Origin: http://evil.example",), ("Sec-Fetch-Site: cross-site",)):
            for path in ("/", "/events"):
                assert (await admin.ask(path, *fields)).status == 403
        assert (await admin.ask("/events", host="evil.example")).status == 403
        assert (await admin.ask("/events", method="POST")).status == 405
        assert (await admin.ask("/events", method="HEAD")).headers["content-type"].startswith("text/event-stream")
    async with running(MadeUpProcess(), loopback=False) as admin:
        assert [(await admin.ask(path)).status for path in ("/", "/events")] == [404, 404]
