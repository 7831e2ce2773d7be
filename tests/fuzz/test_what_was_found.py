"""What the differential tests and the fuzzer have found: each once, so that it stays mended."""

from __future__ import annotations

import pytest

from sidecar.dataplane.http1 import RequestReader, read_response
from sidecar.errors import BadRequest, UpstreamProtocol
from sidecar.stats import BATCH, RouteStats
from tests.fakes import Wire, always, response
from tests.fuzz.agreement import PLAIN, check_requests, check_response
from tests.fuzz.heads import check_before
from tests.fuzz.in_memory import running
from tests.wire.running import in_front_of

REST = b" HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /\n" + REST,
        b"GET /a?\nX-Evil:y" + REST,  # llhttp: an HTTP/0.9 request line, and a field
        b"GET /a\nHost:evil" + REST,
        b"GET http://a/\nhttp://b/" + REST,
        b"\nGET /" + REST,
        b"\rGET /" + REST,
        b"\n\r\n\nGET /" + REST,
        b"GET /a\r" + REST,
    ],
)
def test_a_line_feed_never_travels_in_a_request_line(raw: bytes) -> None:
    """llhttp skips CR and LF before a request line and takes a bare LF for its end; we would send it on as it is.

    RFC 9112 2.2 and 3: whoever reads that upstream with lenient line ends sees another request.
    """
    with pytest.raises(BadRequest):
        RequestReader(100).read(raw)
    with running() as runner:
        assert check_requests(runner, [raw]) == 0


@pytest.mark.parametrize("value", [b"close", b"Close, x", b"keep-alive", b"Upgrade"])
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_proxy_connection_has_no_effect_on_whoever_comes_next(value: bytes, version: bytes) -> None:
    """llhttp takes it for a Connection; a parser of it that was kept refused the next head, of whoever that was."""
    reader = RequestReader(100)
    reader.read(
        b"GET / HTTP/%b\r\nConnection: keep-alive\r\nHost: a\r\nProxy-Connection: %b\r\n\r\n" % (version, value)
    )
    assert reader.read(PLAIN).target == b"/plain"


@pytest.mark.parametrize("size", range(1, 9))
def test_the_first_segment_of_a_request_may_have_any_size(size: int) -> None:
    """Three bytes that hold no end of a head were taken for a whole one."""
    with running() as runner:
        assert check_requests(runner, [PLAIN[:size], PLAIN[size:]], honest=True) == 1
        assert check_requests(runner, [PLAIN, PLAIN[:size], PLAIN[size:]], honest=True) == 2


@pytest.mark.parametrize("reason", [b"\x00", b"O\x00K", b"OK\x0b", b"O\x7fK", b"\x1b[2J"])
@pytest.mark.parametrize("status", [b"100", b"200"])
def test_a_control_character_in_a_reason_is_not_relayed(status: bytes, reason: bytes) -> None:
    """RFC 9112 4: HTAB, SP, VCHAR and obs-text only. llhttp takes all but line ends."""
    head = b"HTTP/1.1 " + status + b" " + reason + b"\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(UpstreamProtocol):
        read_response(head, b"GET")
    with running() as runner:
        assert not check_response(runner, b"GET", [head + response()], end="stay")


@pytest.mark.parametrize("status", [b"000", b"001", b"099"])
def test_a_status_below_100_is_no_answer(status: bytes) -> None:
    """It was passed on as an interim one."""
    with pytest.raises(UpstreamProtocol):
        read_response(b"HTTP/1.1 " + status + b" X\r\nContent-Length: 0\r\n\r\n", b"GET")


@pytest.mark.parametrize("status", [600, 700, 999])
def test_a_status_beyond_599_is_relayed_and_counts_as_5xx(status: int) -> None:
    """RFC 9110 15: treated as a 5xx. It broke the counting of the 255 requests before it."""
    with running() as runner:
        head = b"HTTP/1.1 %d Odd\r\nContent-Length: 0\r\n\r\n" % status
        assert check_response(runner, b"GET", [head], end="stay", honest=True)
    stats = RouteStats()
    for _ in range(BATCH):
        stats.note((b"GET", status, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    assert stats.requests[b"GET"] == [0, 0, 0, BATCH, 0]


async def test_a_connection_that_carried_trailers_carries_no_other_request() -> None:
    """aiohttp 3.14's parser in C hands them to the next request on its connection, which is somebody else's.

    RFC 9110 6.5.1: trailers must not be merged into fields; that next request would have had its own.
    """
    ask = b"POST / HTTP/1.1\r\nHost: %b\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n%b\r\n"
    async with in_front_of(always(response())) as (sidecar, upstream):

        async def post(trailers: bytes) -> None:
            wire: Wire = await sidecar.connect()
            await wire.send(ask % (sidecar.host, trailers))
            assert (await wire.response()).status == 200

        await post(b"")
        await post(b"X-User: admin\r\n")
        assert len(upstream.connections) == 1
        await post(b"")
        assert len(upstream.connections) == 2


@pytest.mark.parametrize("other", [b"chunked", b"Chunked"])
def test_a_response_with_two_transfer_encodings_is_not_relayed(other: bytes) -> None:
    """Chunked twice, to those who read the two lines as one list (RFC 9112 6.1). llhttp takes it."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: " + other + b"\r\n\r\n"
    with running() as runner:
        for http_10 in (False, True):
            assert not check_response(runner, b"GET", [head + b"0\r\n\r\n"], end="stay", http_10=http_10)


def test_what_an_http_10_request_may_not_ask_for_the_next_one_may() -> None:
    """The same lines on the same connection: an Upgrade is to be ignored in the first, and not in the second."""
    lines = b"Host: a\r\nConnection: Upgrade, keep-alive\r\nUpgrade: websocket\r\n\r\n"
    with running() as runner:
        check_before(runner, b"GET / HTTP/1.0\r\n" + lines, b"GET / HTTP/1.1\r\n" + lines)
