"""Python's HTTP clients, as they are installed: nothing of them is changed but the base URL."""

from __future__ import annotations

import asyncio
import io
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import aiohttp
import httpx
import pytest
import requests
import urllib3

from tests.clients.asks import ASKS, ONE_MIB, Ask, Got, assert_same, content, got
from tests.clients.mirror import TICKS, Mirror
from tests.clients.stand import Stand

# Given how an ask's URL is made, makes all of them, on as few connections as the client likes.
Client = Callable[[Sequence[Ask], Callable[[Ask], str]], list[Got]]
APPS_OWN = {"Authorization": "Bearer of-the-app"}


def of_the_app(ask: Ask) -> dict[str, str]:
    """Return the fields that the app sets."""
    return {**APPS_OWN, **dict(ask.fields)}


def by_requests(asks: Sequence[Ask], url: Callable[[Ask], str]) -> list[Got]:
    """A `requests.Session`."""
    answers = []
    with requests.Session() as session:
        session.trust_env = False
        for ask in asks:
            body = iter(ask.pieces) if ask.chunked else ask.body
            with session.request(ask.method, url(ask), headers=of_the_app(ask), data=body) as response:
                answers.append(
                    got(response.status_code, response.reason, response.raw.headers.items(), response.content)
                )
    return answers


def by_urllib3(asks: Sequence[Ask], url: Callable[[Ask], str]) -> list[Got]:
    """A `PoolManager`."""
    answers = []
    with urllib3.PoolManager(retries=urllib3.Retry(0, redirect=3, raise_on_redirect=False)) as pool:
        for ask in asks:
            body = ask.pieces if ask.chunked else ask.body
            response = pool.request(ask.method, url(ask), headers=of_the_app(ask), body=body, chunked=ask.chunked)
            answers.append(got(response.status, response.reason or "", response.headers.items(), response.data))
    return answers


def by_httpx(asks: Sequence[Ask], url: Callable[[Ask], str]) -> list[Got]:
    """A blocking `httpx.Client`."""
    answers = []
    with httpx.Client(follow_redirects=True, trust_env=False) as client:
        for ask in asks:
            body = iter(ask.pieces) if ask.chunked else ask.body
            response = client.request(ask.method, url(ask), headers=of_the_app(ask), content=body)
            answers.append(
                got(response.status_code, response.reason_phrase, response.headers.multi_items(), response.content)
            )
    return answers


async def pieces(ask: Ask) -> AsyncIterator[bytes]:
    """A body in pieces, for those who await it."""
    for piece in ask.pieces:
        yield piece


def by_httpx_async(asks: Sequence[Ask], url: Callable[[Ask], str]) -> list[Got]:
    """An `httpx.AsyncClient`."""

    async def run() -> list[Got]:
        answers = []
        async with httpx.AsyncClient(follow_redirects=True, trust_env=False) as client:
            for ask in asks:
                body = pieces(ask) if ask.chunked else ask.body
                response = await client.request(ask.method, url(ask), headers=of_the_app(ask), content=body)
                answers.append(
                    got(response.status_code, response.reason_phrase, response.headers.multi_items(), response.content)
                )
        return answers

    return asyncio.run(run())


def by_aiohttp(asks: Sequence[Ask], url: Callable[[Ask], str]) -> list[Got]:
    """An `aiohttp.ClientSession`; bodies with Expect, which it knows to wait for."""

    async def run() -> list[Got]:
        answers = []
        async with aiohttp.ClientSession() as session:
            for ask in asks:
                sized = None if ask.body is None else io.BytesIO(ask.body)
                async with session.request(
                    ask.method,
                    url(ask),
                    headers=of_the_app(ask),
                    data=pieces(ask) if ask.chunked else sized,
                    expect100=bool(ask.body_bytes),
                ) as response:
                    answers.append(
                        got(response.status, response.reason or "", response.headers.items(), await response.read())
                    )
        return answers

    return asyncio.run(run())


def by_urllib(asks: Sequence[Ask], url: Callable[[Ask], str]) -> list[Got]:
    """The standard library's `urllib.request`, which closes each connection after its answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    answers = []
    for ask in asks:
        body = iter(ask.pieces) if ask.chunked else ask.body
        request = urllib.request.Request(url(ask), body, of_the_app(ask), method=ask.method)
        try:
            response = opener.open(request)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            answers.append(got(response.status, response.reason, response.headers.items(), response.read()))
    return answers


CLIENTS: dict[str, Client] = {
    "urllib": by_urllib,
    "requests": by_requests,
    "urllib3": by_urllib3,
    "httpx": by_httpx,
    "httpx-async": by_httpx_async,
    "aiohttp": by_aiohttp,
}


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
def test_it_gets_through_the_sidecar_what_it_gets_directly(at: Stand, client: Client) -> None:
    """Status, fields in order, and content, of everything that apps ask for; upstream came our token alone."""
    direct = client(ASKS, at.direct)
    at.nginx.seen(at_least=sum(not ask.path.startswith("/mirror/") for ask in ASKS))
    at.nginx.forget()
    at.mirror.forget()
    through = client(ASKS, at.through)
    assert_same(ASKS, direct, through)
    at.assert_ours_alone()


# Streams, each piece once the one before has arrived


def ticks_by_requests(url: str, mirror: Mirror) -> list[str]:
    """`iter_lines` of a streamed response."""
    lines = []
    with requests.get(url + "/mirror/ticks", stream=True, timeout=5) as response:
        for line in filter(None, response.iter_lines()):
            lines.append(line.decode())
            mirror.go.release()
    return lines


def ticks_by_urllib3(url: str, mirror: Mirror) -> list[str]:
    """`read_chunked` of a response whose content was not preloaded."""
    lines = []
    with urllib3.PoolManager() as pool:
        response = pool.request("GET", url + "/mirror/ticks", preload_content=False, timeout=5)
        for chunk in response.read_chunked():
            lines.append(chunk.decode().strip())
            mirror.go.release()
    return lines


def ticks_by_httpx(url: str, mirror: Mirror) -> list[str]:
    """`iter_lines` of a stream."""
    lines = []
    with httpx.stream("GET", url + "/mirror/ticks", trust_env=False) as response:
        for line in filter(None, response.iter_lines()):
            lines.append(line)
            mirror.go.release()
    return lines


def ticks_by_aiohttp(url: str, mirror: Mirror) -> list[str]:
    """The content of a response, line by line."""

    async def run() -> list[str]:
        lines = []
        async with aiohttp.ClientSession() as session, session.get(url + "/mirror/ticks") as response:
            async for line in response.content:
                if line.strip():
                    lines.append(line.decode().strip())
                    mirror.go.release()
        return lines

    return asyncio.run(run())


@pytest.mark.parametrize("ticks", [ticks_by_requests, ticks_by_urllib3, ticks_by_httpx, ticks_by_aiohttp])
def test_events_arrive_one_by_one(at: Stand, ticks: Callable[[str, Mirror], list[str]]) -> None:
    """Each arrives before the next is sent: the upstream waits for the client to have had it."""
    assert ticks(at.url, at.mirror) == [f"data: tick {count}" for count in range(TICKS)]


def paced(mirror: Mirror) -> Iterator[bytes]:
    """Yield pieces, each once the upstream has the one before."""
    for count in range(3):
        assert mirror.wait_for_pieces(count), "a piece does not arrive before the next is sent"
        yield b"piece %d" % count


async def paced_async(mirror: Mirror) -> AsyncIterator[bytes]:
    """The same, for those who await it."""
    for count in range(3):
        assert await asyncio.to_thread(mirror.wait_for_pieces, count)
        yield b"piece %d" % count


def upload_by_requests(url: str, mirror: Mirror) -> bytes:
    """A generator as data."""
    return requests.post(url + "/mirror/up", data=paced(mirror), timeout=5).content


def upload_by_urllib3(url: str, mirror: Mirror) -> bytes:
    """A generator as body."""
    with urllib3.PoolManager() as pool:
        return pool.request("POST", url + "/mirror/up", body=paced(mirror), timeout=5).data


def upload_by_httpx(url: str, mirror: Mirror) -> bytes:
    """A generator as content."""
    return httpx.post(url + "/mirror/up", content=paced(mirror), trust_env=False).content


def upload_by_httpx_async(url: str, mirror: Mirror) -> bytes:
    """An asynchronous generator as content."""

    async def run() -> bytes:
        async with httpx.AsyncClient(trust_env=False) as client:
            return (await client.post(url + "/mirror/up", content=paced_async(mirror))).content

    return asyncio.run(run())


def upload_by_aiohttp(url: str, mirror: Mirror) -> bytes:
    """An asynchronous generator as data."""

    async def run() -> bytes:
        async with (
            aiohttp.ClientSession() as session,
            session.post(url + "/mirror/up", data=paced_async(mirror)) as response,
        ):
            return await response.read()

    return asyncio.run(run())


@pytest.mark.parametrize(
    "upload",
    [upload_by_requests, upload_by_urllib3, upload_by_httpx, upload_by_httpx_async, upload_by_aiohttp],
)
def test_an_upload_goes_out_piece_by_piece(at: Stand, upload: Callable[[str, Mirror], bytes]) -> None:
    """Each piece arrives before the next one is made."""
    assert json.loads(upload(at.url, at.mirror))["size"] == len(b"piece 0piece 1piece 2")


def file_by_httpx(socket: str) -> bytes:
    """A transport for the socket."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=socket)) as client:
        return client.get("http://localhost/files/one").content


def file_by_aiohttp(socket: str) -> bytes:
    """A connector for the socket."""

    async def run() -> bytes:
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(socket)) as session,
            session.get("http://localhost/files/one") as response,
        ):
            return await response.read()

    return asyncio.run(run())


@pytest.mark.parametrize("get", [file_by_httpx, file_by_aiohttp])
def test_a_unix_socket_serves_the_same(at: Stand, get: Callable[[str], bytes]) -> None:
    """Those that can use one get the file, and upstream came our token."""
    assert get(str(at.socket)) == content(ONE_MIB)
    at.assert_ours_alone()
