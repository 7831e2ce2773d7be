"""What goes upstream is for nginx, which nobody here wrote, the requests that were meant: no more, and no others."""

from __future__ import annotations

import os
import random
import socket

import pytest

from tests.fuzz.agreement import sent_upstream
from tests.fuzz.in_memory import Received, running
from tests.fuzz.other_parsers import h11_answer, h11_requests
from tests.fuzz.streams import damaged, requests, segments
from tests.servers.nginx import Nginx

# Each takes a port of its own for a minute.
STREAMS = min(int(os.environ.get("SIDECAR_STREAMS", "250")), 10_000)


def answers(port: int, upstream: Received) -> bytes:
    """Send what an upstream connection got, each request once the one before is answered; return what comes back."""
    got = bytearray()
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        for number, piece in enumerate(upstream.pieces, 1):
            sock.sendall(piece)
            if number == len(upstream.pieces):
                sock.shutdown(socket.SHUT_WR)
            while data := sock.recv(65536):
                got += data
                final = got.count(b"HTTP/1.1 ") - got.count(b"HTTP/1.1 100 ")
                if number < len(upstream.pieces) and final == number and got.endswith(b"\n"):
                    break
            if not data:
                break
    return bytes(got)


@pytest.mark.timeout(300)
def test_nginx_sees_the_same_requests(nginx: Nginx) -> None:
    """In order, with method and target; it may refuse one for its path, and end there."""
    agreed = 0
    with running() as runner:
        for seed in range(STREAMS):
            rng = random.Random(seed)
            for upstream in sent_upstream(runner, segments(rng, damaged(rng, requests(rng), most=1))):
                agreed += agrees(nginx.http_port, upstream)
    assert agreed > STREAMS / 2


def agrees(port: int, upstream: Received) -> int:
    """Compare what nginx answers with what was meant; return how many requests it served."""
    rest = answers(port, upstream)
    meant = h11_requests(upstream.data)
    for count, message in enumerate(meant):
        answer = h11_answer(rest, message.method, ended=True)
        if answer.status != 200:
            assert answer.status in (None, 400, 405, 501) or not message.whole, (answer, upstream)
            assert not answer.rest.startswith(b"HTTP/1.1 200"), "it went on after a refusal"
            return count
        if message.method != b"HEAD":
            assert answer.body == b"%b %b\n" % (message.method, message.target), upstream
        rest = answer.rest
    assert not rest, "nginx saw more requests than were sent"
    return len(meant)
