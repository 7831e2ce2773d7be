"""A request that two servers could read as two different ones is answered 400, and no byte of it reaches a real one."""

from __future__ import annotations

import json
from pathlib import Path

from tests.main_job.client import Admin, Client
from tests.main_job.configuration import route
from tests.main_job.process import running
from tests.servers.nginx import Nginx

SMUGGLED = b"GET /crm/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
# After the start line and Host; what follows the head is what an upstream might take for another request.
AMBIGUOUS = [
    b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + SMUGGLED,
    b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nxxxxx" + SMUGGLED,
    b"Content-Length: 5, 6\r\n\r\nxxxxx" + SMUGGLED,
    b"Content-Length: +5\r\n\r\nxxxxx" + SMUGGLED,
    b"Content-Length: -1\r\n\r\n" + SMUGGLED,
    b"Content-Length: 0x5\r\n\r\nxxxxx" + SMUGGLED,
    b"Content-Length : 5\r\n\r\nxxxxx" + SMUGGLED,
    b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    b"X: a\r\n b\r\n\r\n" + SMUGGLED,
    b"X: a\nY: b\r\n\r\n" + SMUGGLED,
    b"X: a\rY: b\r\n\r\n" + SMUGGLED,
    b"X: a\x00b\r\n\r\n" + SMUGGLED,
    b"Host: other.example.com\r\n\r\n" + SMUGGLED,
]


async def test_nothing_of_it_goes_upstream(tmp_path: Path, nginx: Nginx) -> None:
    """400, the connection's end, and silence at the upstream; the next connection is served as ever."""
    configuration = {
        "credentials": {"crm": {"preset": "static", "api_key": {"env": "CRM_KEY"}}},
        "routes": [route("crm", nginx.http_url, "crm")],
    }
    async with running(tmp_path, configuration, {"CRM_KEY": "crm-key-of-the-tests"}) as sidecar:
        client, admin = Client(sidecar.port), Admin(sidecar.admin_port)
        start = b"POST /crm/ambiguous HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % sidecar.port
        for tail in AMBIGUOUS:
            async with client.connected() as wire:
                await wire.send(start + tail)
                head, _, body = (await wire.ended()).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 400 "), (tail, head)
            assert b"Connection: close" in head, tail
            assert json.loads(body)["status"] == 400, "one answer, and nothing after it"
        assert (await client.ask("GET", "/crm/after")).status == 200
        figures = await admin.figures()
    assert [request.target for request in nginx.seen(at_least=1)] == ["/after"]
    assert figures.sum("sidecar_refused_total") == len(AMBIGUOUS)
