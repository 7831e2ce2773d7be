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


@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized", "404 Not Found"])
async def test_a_refusal_s_reason_is_looked_for_in_its_body(status: str) -> None:
    """A code of RFC 6749 is told, and nothing else that stands there."""
    failed = await failure_of(answer(b'{"error": "invalid_scope", "error_description": "canary"}', status=status))
    assert (failed.outcome, failed.cause) == ("key_rejected", "settings")
    assert "invalid_scope" in failed.detail


@pytest.mark.parametrize(
    "reply",
    [
        answer(b'{"error": "invalid_scope", "x": "' + b"y" * 20_000 + b'"}', status="401 No"),
        b'HTTP/1.1 401 No\r\nContent-Length: 500\r\n\r\n{"error": "invalid_scope"}',
    ],
    ids=["too long", "cut short"],
)
async def test_a_refusal_is_one_without_its_body_too(reply: bytes) -> None:
    """The status has said it; a body that cannot be had changes nothing."""
    failed = await failure_of(reply)
    assert (failed.outcome, failed.cause) == ("key_rejected", "key")


async def test_a_refusal_in_the_last_moment_is_no_time_out() -> None:
    """Its body drips on past the exchange's deadline: what the head said counts."""

    async def late(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        await repeats(b"HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 0.01)(writer)

    started = time.monotonic()
    assert (await failure_of(late, timeout_s=0.6)).outcome == "key_rejected"
    assert time.monotonic() - started < 2


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


async def test_interim_answers_are_passed_over() -> None:
    """100, 103: the final answer counts."""
    async with endpoint(
        says(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n" + GOOD)
    ) as server:
        assert (await exchange(rules(server.port, json={"k": "{api_key}"}))).secret.reveal() == b"abc"


@pytest.mark.parametrize("reply", [GOOD, answer(b"", status="401 No")], ids=["token", "refusal"])
async def test_an_answer_that_comes_before_the_request_was_read(reply: bytes) -> None:
    """A server that talks first: what it says to nobody's question is not taken for an answer that can be trusted."""

    async def eager(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        await writer.drain()
        await asyncio.sleep(0.2)
        writer.close()

    server = await asyncio.start_server(eager, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        try:
            assert (await exchange(rules(port, json={"k": "x" * 100_000}))).secret.reveal() == b"abc"
        except ExchangeFailed as failed:
            assert failed.outcome in {"network", "bad_response", "key_rejected"}
            assert (failed.outcome == "key_rejected") <= (reply is not GOOD)


async def test_a_second_answer_behind_the_first_is_not_read() -> None:
    """One question, one answer."""
    async with endpoint(says(answer(b'{"token": "abc"}') + answer(b'{"token": "canary"}'))) as server:
        try:
            assert (await exchange(rules(server.port))).secret.reveal() == b"abc"
        except ExchangeFailed as failed:
            assert failed.outcome == "bad_response"


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "dns"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), "dns"),
        (UnicodeError("label too long"), "dns"),
        (OSError(24, "Too many open files"), "unreachable"),
    ],
)
async def test_a_look_up_that_fails(monkeypatch: pytest.MonkeyPatch, fault: Exception, cause: str) -> None:
    """It is the network's fault, with a cause of its own."""

    async def fails(*_args: object, **_kwargs: object) -> None:
        raise fault

    monkeypatch.setattr(asyncio.get_running_loop().__class__, "getaddrinfo", fails, raising=False)
    failed = await failed_exchange(rules(0, url="http://endpoint.invalid/"))
    assert (failed.outcome, failed.cause) == ("network", cause)


async def test_a_look_up_that_hangs_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that does not answer takes no longer than an endpoint that does not."""

    async def hangs(*_args: object, **_kwargs: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(asyncio.get_running_loop().__class__, "getaddrinfo", hangs, raising=False)
    started = time.monotonic()
    failed = await failed_exchange(rules(0, url="http://endpoint.invalid/", timeout_s=0.3))
    assert failed.outcome == "timeout"
    assert time.monotonic() - started < 2


async def test_nobody_listens() -> None:
    """A refused connection says so."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        failed = await failed_exchange(rules(unused.getsockname()[1]))
    assert (failed.outcome, failed.detail) == ("network", "no connection to 127.0.0.1: Connection refused")
    assert failed.cause == "refused"


async def test_a_reset_connection() -> None:
    """A peer that slams the door is the network's fault."""

    async def reset(writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    failed = await failure_of(reset)
    assert (failed.outcome, failed.cause) == ("network", "cut")


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
