"""What an operator may order: refresh, reload, and, where it is allowed, quit."""

from __future__ import annotations

import asyncio

import pytest

from sidecar.errors import ConfigError, Mistake, NothingToReload, NoToken, StartError
from tests.admin.running import MadeUpProcess, credential, running
from tests.fakes import Wire, until


@pytest.mark.parametrize("path", ["/-/refresh", "/-/reload", "/-/quit", "/-/quit?x=y"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE"])
async def test_an_order_is_a_post(path: str, method: str) -> None:
    """Anything else is refused, whatever it says it stands for, and nothing happens."""
    process = MadeUpProcess()
    async with running(process, quit_enabled=True) as admin:
        answer = await admin.ask(path, "X-HTTP-Method-Override: POST", method=method)
    assert answer.status == 405 and "POST" in answer.headers["allow"]
    assert process.orders == []


@pytest.mark.parametrize(
    "path", ["/%2d/quit", "/-/%71uit", "//-/quit", "/./-/quit", "/-/quit/", "/x/../-/quit", "/-/QUIT"]
)
async def test_an_order_has_one_spelling(path: str) -> None:
    """So that whatever stands in front of it and forbids that, forbids it."""
    process = MadeUpProcess()
    async with running(process, quit_enabled=True) as admin:
        assert (await admin.ask(path, method="POST")).status == 404
    assert process.orders == []


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        ([], b""),
        (["Content-Type: application/json"], b'{"credential": "other"}'),
        (["Content-Type: text/plain"], b"x" * 70_000),
        (["Content-Type: application/x-www-form-urlencoded"], b"credential=other"),
        (["Content-Encoding: gzip"], b"not gzip"),
        (["Expect: 100-continue"], b"x"),
    ],
)
async def test_the_body_of_an_order_is_ignored(lines: list[str], body: bytes) -> None:
    """Whatever it is."""
    process = MadeUpProcess()
    async with running(process) as admin:
        head = ["POST /-/refresh HTTP/1.1", f"Host: 127.0.0.1:{admin.port}", f"Content-Length: {len(body)}", *lines]
        raw = "\r\n".join([*head, "Connection: close", "", ""]).encode() + body
        answer = await admin.raw(raw)
    assert answer.status in (100, 200)
    assert process.orders == ["refresh None"]


async def test_refresh_of_all_and_of_one() -> None:
    """It answers with how the credentials are afterwards."""
    process = MadeUpProcess([credential("a"), credential("b")])
    async with running(process) as admin:
        every = await admin.ask("/-/refresh", method="POST")
        one = await admin.ask("/-/refresh?credential=b", method="POST")
    assert [each["name"] for each in every.json["credentials"]] == ["a", "b"]
    assert [each["name"] for each in one.json["credentials"]] == ["b"]
    assert process.orders == ["refresh None", "refresh b"]


async def test_refresh_of_an_unknown_credential() -> None:
    """404, and nothing is exchanged."""
    process = MadeUpProcess()
    async with running(process) as admin:
        assert (await admin.ask("/-/refresh?credential=other", method="POST")).status == 404
    assert process.orders == []


async def test_refresh_that_brought_no_token() -> None:
    """502 that says whose, with the remedy."""
    statuses = [credential(state="stale", error="The endpoint is down.", failures=1)]
    process = MadeUpProcess(statuses, no_token=NoToken("The endpoint is down."))
    async with running(process) as admin:
        answer = await admin.ask("/-/refresh", method="POST")
    assert (answer.status, answer.headers["content-type"]) == (502, "application/problem+json")
    assert answer.json["detail"] == "The endpoint is down."
    assert answer.json["credentials"][0]["remedy"] == "Do what helps crm."


async def test_reload() -> None:
    """200 once the new configuration serves."""
    process = MadeUpProcess()
    async with running(process) as admin:
        assert (await admin.ask("/-/reload", method="POST")).json == {"reloaded": True}
    assert process.orders == ["reload"]


async def test_reload_of_a_wrong_configuration_names_every_mistake() -> None:
    """422, each mistake with its place."""
    mistakes = [
        Mistake("/etc/s.yaml", 3, 1, "lisen", "unknown key"),
        Mistake("/etc/s.yaml", 5, 3, "limits.head", "too big"),
    ]
    process = MadeUpProcess(wrong=ConfigError(mistakes))
    async with running(process) as admin:
        answer = await admin.ask("/-/reload", method="POST")
    assert answer.status == 422
    assert answer.json["mistakes"] == ["/etc/s.yaml:3:1: lisen: unknown key", "/etc/s.yaml:5:3: limits.head: too big"]


async def test_reload_that_asks_for_what_cannot_be_had() -> None:
    """422 with the sentence."""
    process = MadeUpProcess(wrong=StartError("listen: 127.0.0.1:80 is in use."))
    async with running(process) as admin:
        answer = await admin.ask("/-/reload", method="POST")
    assert (answer.status, answer.json["mistakes"]) == (422, ["listen: 127.0.0.1:80 is in use."])


async def test_reload_where_there_is_nothing_to_read() -> None:
    """409: nothing is wrong, and nothing to mend."""
    process = MadeUpProcess(wrong=NothingToReload("there is none"))
    async with running(process) as admin:
        answer = await admin.ask("/-/reload", method="POST")
    assert (answer.status, answer.json["title"], answer.json["detail"]) == (409, "Nothing to reload", "there is none")


async def test_quit_only_where_allowed() -> None:
    """403 unless the configuration says `admin.quit: true`."""
    process = MadeUpProcess()
    async with running(process) as admin:
        refused = await admin.ask("/-/quit", method="POST")
    assert (refused.status, process.orders) == (403, [])
    assert "admin.quit" in refused.json["detail"]
    async with running(process, quit_enabled=True) as admin:
        assert (await admin.ask("/-/quit", method="POST")).status == 200
    assert process.orders == ["quit"]


async def test_an_order_outlives_whoever_gave_it() -> None:
    """A reload that was begun is carried out, though its answer is not wanted any more; and the listener goes on."""
    process = MadeUpProcess(may_reload=asyncio.Event())
    async with running(process) as admin:
        wire = Wire(*await asyncio.open_connection(admin.address, admin.port))
        await wire.send(b"POST /-/reload HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % admin.port)
        await until(lambda: process.orders == ["reload"])
        wire.reset()
        assert (await admin.ask("/livez")).status == 200
        assert process.may_reload is not None
        process.may_reload.set()
        await until(lambda: process.orders == ["reload", "reloaded"])


async def test_what_an_order_s_body_holds_is_of_no_interest() -> None:
    """Neither a whole one nor one that is still coming changes the answer; the connection ends where it must."""
    process = MadeUpProcess()
    async with running(process) as admin:
        head = f"POST /-/reload HTTP/1.1\r\nHost: 127.0.0.1:{admin.port}\r\nContent-Length: "
        whole = await admin.raw(f"{head}2\r\nConnection: close\r\n\r\n{{}}".encode())
        partial = await admin.raw(f"{head}2000\r\n\r\n{{".encode())
    assert (whole.status, partial.status, partial.headers["connection"]) == (200, 200, "close")
