"""A token endpoint that fails, lies or attacks: a typed failure each time, soon, and with bounded memory."""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
import struct
import time
import tracemalloc

import pytest

from sidecar.credentials.exchange import MOST_ANSWER_BYTES
from sidecar.credentials.rules import RejectedRules
from sidecar.errors import ExchangeFailed
from tests.credentials.endpoint import Script, answer, endpoint, repeats, says
from tests.credentials.exchanging import GOOD, KEY, exchange, exchanger, failed_exchange, failure_of, rules

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
A_CHUNK = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (answer(b"", status="401 Unauthorized"), "key_rejected"),
        (answer(b"<html>canary</html>", "Content-Type: text/html", status="403 Forbidden"), "key_rejected"),
        (answer(b"{}", status="429 Too Many Requests"), "rate_limited"),
        (answer(b"{}", status="500 canary"), "server_error"),
        (answer(b"<html>canary</html>", "Content-Type: text/html"), "bad_response"),
        (answer(b'{"token": "canary\\r\\nX-Evil: y"}'), "bad_response"),
        (b"canary canary canary\r\n\r\n", "bad_response"),
        (b"HTTP/1.1 200 OK\r\ncanary\r\n\r\n", "bad_response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "bad_response"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"canary" * 20_000 + b"\r\n\r\n", "bad_response"),
        (b"", "network"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "network"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"token": "canary"}', "network"),
        (CHUNKED + b'12\r\n{"token": "canary"', "network"),
        (CHUNKED + b"canary\r\n", "bad_response"),
    ],
)
async def test_each_fault_has_its_outcome(reply: bytes, outcome: str) -> None:
    """What comes back in place of a token is classified, and none of its bytes is told."""
    assert (await failure_of(reply)).outcome == outcome


async def test_a_body_without_a_length_ends_with_the_connection() -> None:
    """HTTP/1.0 endpoints exist."""
    async with endpoint(says(b'HTTP/1.0 200 OK\r\n\r\n{"token": "abc"}')) as server:
        assert (await exchange(rules(server.port))).secret.reveal() == b"abc"


async def test_retry_after_reaches_the_caller() -> None:
    """As seconds."""
    assert (await failure_of(answer(b"", "Retry-After: 17", status="503 x"))).retry_after_s == 17


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(status: int) -> None:
    """The key goes to the configured endpoint and to nobody whom that one names."""
    async with endpoint(says(GOOD)) as elsewhere:
        reply = answer(b"", f"Location: http://127.0.0.1:{elsewhere.port}/canary", status=f"{status} Moved")
        failed = await failure_of(reply)
        assert elsewhere.connections == 0
    assert failed.outcome == "bad_response"
    assert "redirect" in failed.detail


async def test_a_configured_text_is_looked_for_in_the_body() -> None:
    """The body of a refusal is read where it decides."""
    rejected = RejectedRules(statuses=(400,), body="invalid_key")
    for body, outcome in ((b'{"code": "invalid_key"}', "key_rejected"), (b'{"code": "other"}', "bad_response")):
        async with endpoint(says(answer(body, status="400 Bad Request"))) as server:
            assert (await failed_exchange(rules(server.port), rejected=rejected)).outcome == outcome


async def test_a_refusal_s_endless_body_is_not_read() -> None:
    """Where the status says it all, the answer is complete with its head."""
    head = b"HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert (await failure_of(repeats(head, b"1\r\nx\r\n", 0.01))).outcome == "key_rejected"


async def silence(writer: asyncio.StreamWriter) -> None:
    """Hold the connection and say nothing."""
    await writer.wait_closed()


@pytest.mark.parametrize(
    "script",
    [
        silence,
        repeats(b"HTTP/1.1 200 OK\r\nX: ", b"x", 0.01),
        repeats(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b" ", 0.01),
        repeats(CHUNKED, b"1\r\n \r\n", 0.01),
        repeats(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.01),
    ],
    ids=["silence", "head", "body", "chunks", "informational"],
)
async def test_an_endless_drip_ends_at_the_deadline(script: Script) -> None:
    """Bytes that keep coming do not extend the time that an exchange has."""
    started = time.monotonic()
    failed = await failure_of(script, timeout_s=0.3)
    assert failed.outcome == "timeout"
    assert 0.25 <= time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n", b" " * 65_536),
        (CHUNKED, A_CHUNK),
        (CHUNKED, b"1\r\n[\r\n" * 10_000),
        (b"HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 8000 + b"\r\n"),
        (CHUNKED + b"0\r\n", b"X: " + b"y" * 8000 + b"\r\n"),
        (CHUNKED + b"1;", b"y" * 65_536),
        (b"", b"HTTP/1.1 100 Continue\r\nX: " + b"y" * 8000 + b"\r\n\r\n"),
    ],
    ids=["sized", "chunked", "tiny chunks", "fields", "trailers", "extension", "informational"],
)
async def test_an_endless_answer_costs_little_memory(first: bytes, then: bytes) -> None:
    """However it is made, it fails in time and holds no more than a few limits' worth."""
    await failure_of(GOOD[:5])
    tracemalloc.start()
    try:
        failed = await failure_of(repeats(first, then), timeout_s=0.5)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert failed.outcome in {"bad_response", "timeout", "network"}
    assert peak < 5 * MOST_ANSWER_BYTES


async def test_the_longest_answer() -> None:
    """1 MiB is read; one byte more is malformed."""
    for extra, outcome in ((0, None), (1, "bad_response")):
        body = b'{"token": "abc"}'.ljust(MOST_ANSWER_BYTES + extra)
        async with endpoint(says(answer(body))) as server:
            if outcome is None:
                assert (await exchange(rules(server.port))).secret.reveal() == b"abc"
            else:
                assert (await failed_exchange(rules(server.port))).outcome == outcome


async def test_a_gzip_bomb_is_not_unpacked() -> None:
    """An encoding that was not asked for is malformed, and costs what came over the wire."""
    bomb = gzip.compress(b" " * 50_000_000)
    tracemalloc.start()
    try:
        failed = await failure_of(answer(bomb, "Content-Encoding: gzip"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert failed.outcome == "bad_response"
    assert "compressed" in failed.detail
    assert peak < MOST_ANSWER_BYTES


async def test_nobody_listens() -> None:
    """A refused connection says so."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        failed = await failed_exchange(rules(unused.getsockname()[1]))
    assert (failed.outcome, failed.detail) == ("network", "no connection to 127.0.0.1: Connection refused")


async def test_a_reset_connection() -> None:
    """A peer that slams the door is the network's fault."""

    async def reset(writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    assert (await failure_of(reset)).outcome == "network"


async def test_a_name_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is told, and nothing else of the URL."""

    def unknown(*_args: object, **_kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop().__class__, "getaddrinfo", unknown, raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    failed = await failed_exchange(rules(0, url="http://me:canary@endpoint.invalid/canary"))
    assert (failed.outcome, failed.detail) == ("network", "the name endpoint.invalid does not resolve")


async def test_cancelling_an_exchange_is_no_failure() -> None:
    """Whoever cancels it sees CancelledError, and the exchanger goes on to work."""
    replies = [silence, says(GOOD)]

    async def script(writer: asyncio.StreamWriter) -> None:
        await replies.pop(0)(writer)

    async with endpoint(script) as server, exchanger(rules(server.port)) as made:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await made.exchange(KEY)
        assert (await made.exchange(KEY)).secret.reveal() == b"abc"


async def test_closing_ends_a_running_exchange() -> None:
    """It fails with a typed error instead of waiting for its deadline."""
    async with endpoint(silence) as server, exchanger(rules(server.port)) as made:
        running = asyncio.create_task(made.exchange(KEY))
        await server.asked.wait()
        await made.close()
        with pytest.raises(ExchangeFailed) as failed:
            await running
    assert failed.value.outcome == "network"


async def test_nothing_of_an_exchange_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Not the key, not the body, not a cookie, at any level and by nobody."""
    caplog.set_level(logging.DEBUG)
    await failure_of(answer(b"canary", "Set-Cookie: canary", "X-Canary: canary", status="500 canary"))
    await failure_of(b"HTTP/1.1 200 canary\r\nSet-Cookie: canary\x01\r\nContent-Length: canary\r\n\r\n")
    await failure_of(answer(b"canary", "Set-Cookie: ca\x7fnary=canary;;=;", "Location: canary"))
    assert "canary" not in caplog.text.lower()
