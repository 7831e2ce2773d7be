"""`--inspect`: a line for each request, as it happens, that says what the credential did; off, it is not there."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest

from sidecar.config.values import LogConfig
from sidecar.log import ACCESS_LOGGER, INSPECT_LOGGER
from tests.fakes import Tokens, Wire, always, response, until, upstream
from tests.wire.running import exchanging, in_front_of, route_to, sidecar, with_tokens
from tests.wire.test_rejection import takes

OPEN = "each request: method, path, route, status, our part + the upstream's, what the credential did"
# The columns; times are decimals of a millisecond, or - where there was none.
LINE = re.compile(r"(\S+) +(\S+) +(\S+) +(\d+(?: ours)?|cut) +([\d.]+|-) \+ ([\d.]+|-) ms(?:  (.*))?")


@pytest.fixture(autouse=True)
def levels() -> Iterator[None]:
    """Put back what an inspection, or an access log, has its logger do."""
    loggers = [logging.getLogger(name) for name in (ACCESS_LOGGER, INSPECT_LOGGER)]
    yield
    for logger in loggers:
        logger.setLevel(logging.NOTSET)


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, ...]]:
    """Return the columns of each line that was written; the first is what is said before them."""
    first, *rest = [record.getMessage() for record in caplog.records if record.name == INSPECT_LOGGER]
    assert first == OPEN
    found = [LINE.fullmatch(line) for line in rest]
    assert all(found), rest
    return [one.groups(default="") for one in found if one]


async def test_a_line_says_what_went_where_and_how_long_it_took(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the log's level is; no query, no field, no body."""
    keys = {"log": LogConfig(level="error"), "route": {"path": "/crm/"}}
    async with in_front_of(always(response(b"s3cret")), inspect=True, **keys) as (running, _):
        await running.ask("POST", "/crm/a%0d?key=s3cret", "X-Key: s3cret", body=b"s3cret")
        await running.ask("GET", "/other")
        await running.ask("GET", "/crm/" + "x" * 300)
    first, second, third = lines(caplog)
    assert first[:4] == ("POST", "/crm/a%0d", "crm", "200") and first[6] == ""
    assert 0 <= float(first[4]) < 1000 and 0 <= float(first[5]) < 1000
    assert second == ("GET", "/other", "-", "404 ours", "-", "-", "")
    assert len(third[1]) == 200 and third[1].endswith("...")
    assert "s3cret" not in caplog.text


async def test_what_the_credential_did(caplog: pytest.LogCaptureFixture) -> None:
    """A request that waited, one that was replayed, and those of an account that may not."""
    tokens = Tokens()
    async with with_tokens(takes("token-1"), tokens, inspect=True) as (running, server):
        await running.ask("GET", "/taken")
        server.script = takes("token-2")
        running.leave()
        for connection in running.upstream_connections():
            connection.cut()
        await running.ask("GET", "/replayed")
        server.script = takes()
        for connection in running.upstream_connections():
            connection.cut()
        for path in ("/shut-out", "/again"):
            await running.ask("GET", path)
    found = [(line[1], line[3], line[6]) for line in lines(caplog)]
    assert found == [
        ("/taken", "200", ""),
        ("/replayed", "200", "replayed after 401"),
        ("/shut-out", "401", "forbidden: exchanging again will not help"),
        ("/again", "401", "forbidden: exchanging again will not help"),
    ]


async def test_a_request_that_waited_for_its_token(caplog: pytest.LogCaptureFixture) -> None:
    """The wait is neither our part nor the upstream's."""
    async with upstream(always(response())) as server, upstream(Tokens()) as endpoint:
        async with sidecar(route_to(server.port), credential=exchanging(endpoint.port), inspect=True) as running:
            await running.ask("GET", "/waits")
            await running.ask("GET", "/has-it")
    assert [line[6] for line in lines(caplog)] == ["refreshed", ""]


async def test_a_request_that_cannot_be_sent_again(caplog: pytest.LogCaptureFixture) -> None:
    """The next one has the new token; where none is to be had, that is said."""
    route = {"replay_body_bytes": 0}
    async with with_tokens(takes("token-2"), Tokens(), route=route, inspect=True) as (running, _):
        await running.ask("POST", "/posted", body=b"x")
    assert [line[6] for line in lines(caplog)] == ["refreshed for the next: this one is not whole in hand"]


async def test_no_other_token(caplog: pytest.LogCaptureFixture) -> None:
    """The key is the token, so exchanging it brings the same."""
    async with in_front_of(always(response(status="401 No")), inspect=True) as (running, _):
        await running.ask("GET", "/")
    assert [(line[3], line[6]) for line in lines(caplog)] == [("401", "no other token")]


async def test_an_answer_that_was_cut(caplog: pytest.LogCaptureFixture) -> None:
    """The app saw no end of it."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")

    async with in_front_of(script, inspect=True) as (running, _):
        wire = await running.connect()
        await wire.send(running.ask_bytes())
        await wire.ended()
        await until(lambda: INSPECT_LOGGER in [record.name for record in caplog.records[-1:]])
    assert [line[3] for line in lines(caplog)] == ["cut"]


async def test_beside_the_access_log(caplog: pytest.LogCaptureFixture) -> None:
    """Each gets its record."""
    async with in_front_of(always(response()), inspect=True, log=LogConfig(access=True)) as (running, _):
        await running.ask()
    assert len(lines(caplog)) == 1
    assert [record.getMessage() for record in caplog.records if record.name == ACCESS_LOGGER] == ["request"]


async def test_without_it_the_path_tells_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """Nor is there a note of what was done for a request for which nothing was."""
    async with in_front_of(always(response())) as (running, _):
        assert running.app._paths._path._access is None
        await running.ask()
    assert INSPECT_LOGGER not in {record.name for record in caplog.records}
