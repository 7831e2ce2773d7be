"""The API: what it asks for, and what its endpoints answer."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from collections.abc import Awaitable

import aiohttp
import pytest

from sidecar.vendor.server import VendorOptions
from tests.vendor.customer import Answer, Clock, Customer, customer, raw


def assert_unauthorized(answer: Answer) -> None:
    """It is the API's 401."""
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert answer.json == {"message": "Invalid or expired token", "code": "UNAUTHORIZED"}


@pytest.mark.parametrize("path", ["/me", "/projects", "/nowhere", "/bytes/5", "/forbidden", "/", "//", "/echo/%2e%2e"])
async def test_nothing_is_told_without_a_token(path: str) -> None:
    """Any path is 401 without a token, and with one that was never signed."""
    async with customer() as asked:
        assert_unauthorized(await asked.ask("GET", path))
        assert_unauthorized(await asked.ask("GET", path, "made-up"))


async def test_a_token_dies_at_its_expiry() -> None:
    """Good a millisecond before, 401 at that instant."""
    clock = Clock()
    async with customer(VendorOptions(token_life_s=60), clock) as asked:
        token = await asked.token()
        clock.now += 59.999
        assert (await asked.ask("GET", "/me", token)).status == 200
        clock.now += 0.001
        assert_unauthorized(await asked.ask("GET", "/me", token))


async def test_another_scheme_is_no_token() -> None:
    """A token that is not shown as Bearer does not count; the scheme's case does not matter."""
    async with customer() as asked:
        token = await asked.token()
        assert_unauthorized(await asked.ask("GET", "/me", headers={"Authorization": f"Basic {token}"}))
        assert_unauthorized(await asked.ask("GET", "/me", headers={"Authorization": token}))
        assert (await asked.ask("GET", "/me", headers={"Authorization": f"bearer {token}"})).status == 200


async def test_two_authorizations_are_refused() -> None:
    """A proxy that adds its token beside the app's own is found out: 400."""
    async with customer() as asked:
        line = f"Authorization: Bearer {await asked.token()}\r\n"
        request = f"GET /me HTTP/1.1\r\nHost: v\r\nConnection: close\r\n{line}{line}\r\n"
        assert (await raw(asked.vendor, request.encode())).startswith(b"HTTP/1.1 400 ")


async def test_little_answers() -> None:
    """`/me` and `/projects` are JSON and name the token by its id, never show it."""
    async with customer() as asked:
        token = await asked.token()
        me, projects = await asked.ask("GET", "/me", token), await asked.ask("GET", "/projects", token)
        nowhere = await asked.ask("GET", "/nowhere", token)
    assert me.json["account"] == "acc_demo"
    assert me.json["token"]["id"] == projects.json["token"]["id"]
    assert len(projects.json["projects"]) == 2
    assert (nowhere.status, nowhere.json["code"]) == (404, "NOT_FOUND")


async def test_echo_tells_what_arrived_byte_by_byte() -> None:
    """Method, target, fields with case, order and doubles, and the body; the token is replaced by a hash everywhere."""
    async with customer() as asked:
        token = await asked.token()
        request = (
            f"PROPFIND /echo/a%2Fb/../c//?q=%20&t={token} HTTP/1.1\r\nhOST: v\r\nX-Two: 1\r\nConnection: close\r\n"
            f"authorization: Bearer {token}\r\nx-two: 2\r\nX-Copy: <{token}>\r\nContent-Length: 5\r\n\r\nhello"
        )
        answer = (await raw(asked.vendor, request.encode())).partition(b"\r\n\r\n")[2]
    told = json.loads(answer)
    hidden = f"sha256:{hashlib.sha256(token.encode()).hexdigest()[:16]}"
    whole = f"sha256:{hashlib.sha256(f'Bearer {token}'.encode()).hexdigest()[:16]}"
    assert told["method"] == "PROPFIND"
    assert told["target"] == f"/echo/a%2Fb/../c//?q=%20&t={hidden}"
    assert told["headers"] == [
        ["hOST", "v"],
        ["X-Two", "1"],
        ["Connection", "close"],
        ["authorization", whole],
        ["x-two", "2"],
        ["X-Copy", f"<{hidden}>"],
        ["Content-Length", "5"],
    ]
    assert told["body"] == {"bytes": 5, "sha256": hashlib.sha256(b"hello").hexdigest()}
    assert token.encode() not in answer


async def test_echo_keeps_bytes_that_are_no_text() -> None:
    """A field of any bytes comes back as their latin-1 characters."""
    async with customer() as asked:
        line = b"Authorization: Bearer " + (await asked.token()).encode()
        request = b"GET /echo HTTP/1.1\r\nHost: v\r\nConnection: close\r\n" + line + b"\r\nX-Odd: \xe9\xff\r\n\r\n"
        told = json.loads((await raw(asked.vendor, request)).partition(b"\r\n\r\n")[2])
    assert ["X-Odd", "éÿ"] in told["headers"]


async def test_stream_sends_events_as_they_happen() -> None:
    """The first event is there before the last one was sent."""
    loop = asyncio.get_running_loop()
    async with customer() as asked:
        headers = {"Authorization": f"Bearer {await asked.token()}"}
        url = f"{asked.vendor.url}/stream?count=3&interval_ms=100"
        async with asked.session.get(url, headers=headers) as response:
            assert response.content_type == "text/event-stream"
            assert await response.content.readline() == b"id: 1\n"
            first = loop.time()
            rest = await response.read()
    assert loop.time() - first >= 0.149  # the clock counts milliseconds
    assert rest.count(b"data: ") == 3
    assert rest.endswith(b"\n\n")


async def test_slow_takes_its_time() -> None:
    """The answer comes after the milliseconds that were asked for."""
    loop = asyncio.get_running_loop()
    async with customer() as asked:
        token = await asked.token()
        began = loop.time()
        assert (await asked.ask("GET", "/slow?ms=150", token)).status == 200
    assert loop.time() - began >= 0.149  # the clock counts milliseconds


@pytest.mark.parametrize("count", [0, 1, 251, 64_256, 64_257, 1_000_000])
async def test_bytes_are_always_the_same(count: int) -> None:
    """N bytes, each its place modulo 251; HEAD tells the length and sends none."""
    async with customer() as asked:
        token = await asked.token()
        answer = await asked.ask("GET", f"/bytes/{count}", token)
        head = await asked.ask("HEAD", f"/bytes/{count}", token)
    assert answer.body == (bytes(range(251)) * (count // 251 + 1))[:count]
    assert (head.headers["Content-Length"], head.body) == (str(count), b"")


@pytest.mark.parametrize("method", ["PUT", "POST"])
async def test_upload_counts_and_hashes(method: str) -> None:
    """What was uploaded is known by its length and SHA-256, also where its length was not announced."""
    body = bytes(range(256)) * 10_000

    async def chunks(asked: Customer) -> Answer:
        async def pieces() -> object:
            for place in range(0, len(body), 100_000):
                yield body[place : place + 100_000]

        return await asked.ask(method, "/upload", await asked.token(), data=pieces())

    async with customer() as asked:
        answers = [await asked.ask(method, "/upload", await asked.token(), data=io.BytesIO(body)), await chunks(asked)]
    for answer in answers:
        assert answer.json["bytes"] == len(body)
        assert answer.json["sha256"] == hashlib.sha256(body).hexdigest()


async def test_always_the_same_refusal() -> None:
    """`/forbidden` is 403 and `/always-401` is 401, however good the token."""
    async with customer() as asked:
        token = await asked.token()
        forbidden = await asked.ask("POST", "/forbidden", token)
        assert (forbidden.status, forbidden.json["code"]) == (403, "FORBIDDEN")
        assert_unauthorized(await asked.ask("DELETE", "/always-401", token))


@pytest.mark.parametrize("status", [200, 204, 301, 304, 401, 404, 418, 503, 599])
async def test_any_status(status: int) -> None:
    """`/status/NNN` answers NNN; where a body may not be there is none."""
    async with customer() as asked:
        answer = await asked.ask("GET", f"/status/{status}", await asked.token())
    assert answer.status == status
    assert bool(answer.body) is (status not in (204, 304))


@pytest.mark.parametrize(
    "path",
    ["/status/99", "/status/600", "/status/abc", "/bytes/-1", "/bytes/99999999999999", "/slow?ms=x", "/stream?count="],
)
async def test_a_number_out_of_range(path: str) -> None:
    """400 that says which numbers are possible."""
    async with customer() as asked:
        answer = await asked.ask("GET", path, await asked.token())
    assert (answer.status, answer.json["code"]) == (400, "BAD_REQUEST")
    assert "must be a number from" in answer.json["message"]


async def test_stopping_does_not_wait_for_what_is_slow() -> None:
    """A request of two minutes is cut off when the vendor stops."""
    loop = asyncio.get_running_loop()
    async with customer() as asked:
        token = await asked.token()
        async with asyncio.TaskGroup() as group:
            slow = group.create_task(_outcome(asked.ask("GET", "/slow?ms=120000", token)))
            async with asyncio.timeout(5):
                while (await asked.counters())["requests"] == 0:
                    pass
            began = loop.time()
            await asked.vendor.stop()
            assert loop.time() - began < 3
    assert slow.result() == "cut off"


async def _outcome(asking: Awaitable[Answer]) -> str:
    try:
        await asking
    except aiohttp.ClientError:
        return "cut off"
    return "answered"
