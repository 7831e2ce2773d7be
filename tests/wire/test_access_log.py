"""The access log: a record for each request that is done, and nothing in it that a request holds but its path."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sidecar import log
from sidecar.access import access_log
from sidecar.config.values import LogConfig
from sidecar.dataplane.client import ClientConnection
from sidecar.messages import Fields, RequestHead
from sidecar.trip import Trip
from tests.fakes import Wire, always, response, until
from tests.wire.running import in_front_of

ON = LogConfig(level="warning", access=True)


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Have the log write JSON here, at the level that ON says; put everything back in the end."""
    root, own, access = logging.getLogger(), logging.getLogger("sidecar"), logging.getLogger(log.ACCESS_LOGGER)
    kept = (list(root.handlers), root.level, own.level, access.level, logging.raiseExceptions)
    stream = io.StringIO()
    log.configure("warning", "json", stream)
    yield stream
    root.handlers[:], level, own_level, access_level, logging.raiseExceptions = kept
    for logger, before in ((root, level), (own, own_level), (access, access_level)):
        logger.setLevel(before)


def records(lines: io.StringIO) -> list[dict[str, Any]]:
    """Return the access log's records."""
    written = [json.loads(line) for line in lines.getvalue().splitlines()]
    return [record for record in written if record["logger"] == log.ACCESS_LOGGER]


async def test_one_record_for_each_request(lines: io.StringIO) -> None:
    """Method, path, route, status and times: no query, no field, no body."""
    async with in_front_of(always(response(b"s3cret-answer")), log=ON) as (running, _):
        await running.ask("POST", "/crm/a%0d%0ab?key=s3cret", "X-Api-Key: s3cret", body=b"s3cret")
        await running.ask("PROPFIND", "/")
    first, second = records(lines)
    assert (first["method"], first["path"], first["route"], first["status"]) == ("POST", "/crm/a%0d%0ab", "crm", 200)
    assert (first["level"], first["message"]) == ("info", "request")
    assert 0 < first["overhead_ms"] <= first["duration_ms"] < 5000
    assert (second["method"], second["status"]) == ("_OTHER", 200)
    assert "s3cret" not in lines.getvalue()


async def test_our_own_answers_are_recorded_too(lines: io.StringIO) -> None:
    """With the status that the app got; nothing was relayed, so there is no part of ours in it."""
    async with in_front_of(always(response()), log=ON, route={"path": "/crm/"}) as (running, _):
        await running.ask("GET", "/elsewhere")
        await running.ask("GET", "/crm/", "Origin: https://evil.example")
    assert [(record["status"], record["route"]) for record in records(lines)] == [(404, ""), (403, "")]
    assert not any("overhead_ms" in record for record in records(lines))


async def test_an_answer_that_was_cut_is_aborted(lines: io.StringIO) -> None:
    """Its head said 200, and its body never ended."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    async with in_front_of(script, log=ON) as (running, _):
        wire = await running.connect()
        await wire.send(running.ask_bytes())
        await wire.ended()
        await until(lambda: records(lines))
    assert records(lines)[0]["status"] == "aborted"


async def test_a_tunnel_is_one_request(lines: io.StringIO) -> None:
    """Recorded at its end; our part of it is counted as nothing, not as less than nothing."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")

    async with in_front_of(script, log=ON) as (running, _):
        wire = await running.connect()
        await wire.send(running.ask_bytes("GET", "/", "Connection: Upgrade", "Upgrade: echo"))
        assert (await wire.response()).status == 101
        assert await wire.ended() == b""
        wire.close()
        await until(lambda: records(lines))
        running.app.stats.count()
        assert running.app.stats.routes["crm"].overhead.total >= 0
    assert records(lines)[0]["status"] == 101


async def test_nothing_is_written_unasked(lines: io.StringIO) -> None:
    """It is off by default."""
    async with in_front_of(always(response())) as (running, _):
        assert (await running.ask()).status == 200
    assert records(lines) == []


async def test_no_request_makes_a_line_that_is_not_one(lines: io.StringIO) -> None:
    """Whatever its target, Host and fields hold, refused or not: each line is ASCII, one JSON object, and no secret."""
    odd = (
        "%0d%0a",
        "\r",
        "\n",
        "\x1b[31m",
        "\x85",
        "\u2028",
        "\xff",
        '"',
        "\\",
        "{}",
        "%s%n",
        "\t",
        "\x00",
        "\x7f",
        "../",
        "s3cret?",
    )
    async with in_front_of(always(response()), log=LogConfig(level="debug", access=True)) as (running, _):
        for piece in odd:
            for target in (
                f"/a{piece}b?key=s3cret",
                f"/{piece}",
                f"http://{running.host.decode()}{piece}/?s3cret",
                piece,
            ):
                for line in (
                    "Origin: http://s3cret",
                    "X: y",
                    f"Host: s3cret{piece}",
                    f"X-Api-Key: s3cret{piece}",
                    f"Cookie: s3cret{piece}",
                ):
                    wire = await running.connect()
                    raw = (
                        f"GET {target} HTTP/1.1\r\nHost: {running.host.decode()}\r\n{line}\r\nConnection: close\r\n\r\n"
                    )
                    await wire.send(raw.encode())
                    assert (await wire.response()).status in (200, 400, 403)
                    wire.close()
    written = lines.getvalue().splitlines()
    assert len(written) > len(odd) * 4
    for each in written:
        assert each.isascii() and each.isprintable() and isinstance(json.loads(each), dict)
    shown = [record for record in records(lines) if "s3cret" in record["path"]]
    assert {record["path"] for record in shown} <= {"/as3cret", "/s3cret"}  # which are paths
    assert "s3cret" not in "".join(each for each in written if json.loads(each)["logger"] != log.ACCESS_LOGGER)


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_path_cannot_end_the_line(lines: io.StringIO, format: log.Format) -> None:
    """Even if the reader of heads let such bytes through: CR, LF, ESC, C1, U+2028, and what is no UTF-8."""
    log.configure("warning", format, lines)
    target = b"/a\r\nb\x1b[2J\x85" + "\u2028".encode() + b"\xff\x00?q"
    head = RequestHead(b"", b"GET", target, False, Fields(b"\r\n"))
    access_log()(Trip(cast(ClientConnection, SimpleNamespace(body=None)), head))
    written = lines.getvalue()
    assert written.endswith("\n") and written[:-1].isprintable() and written.isascii()
    if format == "json":
        assert json.loads(written)["path"].startswith("/a\r\nb\x1b[2J\\x85")
