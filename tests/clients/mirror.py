"""An upstream that answers with what it was sent, on the standard library's server; and the token endpoint beside it.

| path | answers |
|---|---|
| `/token` | the next token: `token-1`, `token-2` and so on |
| `/mirror/moved` | 307 to `/mirror/landed` |
| `/mirror/ticks` | three events, each after the first once `/go` was asked for |
| `/go` | 200; lets one more event go |
| `/arrived/N` | 200 once N pieces of a body under way have arrived |
| anything else | 200, JSON: method, target, fields and trailers in order, size and SHA-256 of the body |

Fields that belong to one connection alone, and Authorization, are left out of the answer: they differ where a proxy
is in between. They are kept in `kept_back`. Host is one of them: a proxy puts it first, where RFC 9110 7.2 wants it.
"""

from __future__ import annotations

import hashlib
import json
import select
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

TICKS = 3
PATIENCE_S = 5.0
# RFC 9110 7.6.1, and RFC 7540 3.2.1; a sidecar drops them and puts its own token on.
OF_ONE_CONNECTION = frozenset("authorization connection host http2-settings keep-alive te upgrade".split())
POLL_S = 0.01


class Mirror(ThreadingHTTPServer):
    """The upstream and the token endpoint, in threads of this process, on a port of its own."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.kept_back: list[dict[str, str]] = []  # of each request, by lower-case name
        self.exchanges = 0
        self.go = threading.Semaphore(0)
        self.arrived = threading.Condition()
        self.pieces = 0
        self.left = threading.Event()

    def forget(self) -> None:
        """Begin anew, for the next test."""
        self.kept_back.clear()
        self.go = threading.Semaphore(0)
        self.pieces = 0
        self.left.clear()

    def note_piece(self) -> None:
        """A piece of a body has arrived."""
        with self.arrived:
            self.pieces += 1
            self.arrived.notify_all()

    def wait_for_pieces(self, count: int) -> bool:
        """Wait until so many pieces have arrived; return whether they did in time."""
        with self.arrived:
            return self.arrived.wait_for(lambda: self.pieces >= count, PATIENCE_S)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_one_request(self) -> None:
        """Any method will do."""
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True  # the client has left

    def __getattr__(self, name: str) -> object:
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    @property
    def mirror(self) -> Mirror:
        """The server."""
        return cast(Mirror, self.server)

    def _answer(self) -> None:
        mirror = self.mirror
        body = b"".join(self._body())
        if self.path == "/token":
            mirror.exchanges += 1
            self._send_json({"token": f"token-{mirror.exchanges}", "expires_in": 3600})
        elif self.path == "/go":
            mirror.go.release()
            self._send_json({})
        elif self.path.startswith("/arrived/"):
            assert mirror.wait_for_pieces(int(self.path.rpartition("/")[2])), "the body does not arrive piece by piece"
            self._send_json({})
        else:
            named = {name.lower(): value for name, value in self.headers.items()}
            mirror.kept_back.append({name: value for name, value in named.items() if name in OF_ONE_CONNECTION})
            self._answer_under_test(body)

    def _answer_under_test(self, body: bytes) -> None:
        if self.path == "/mirror/ticks":
            self._send_ticks()
        elif self.path == "/mirror/moved":
            self.send_response(307)
            self.send_header("Location", "/mirror/landed")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            fields = [pair for pair in self.headers.items() if pair[0].lower() not in OF_ONE_CONNECTION]
            seen = {
                "method": self.command,
                "target": self.path,
                "fields": fields,
                "trailers": self.trailers,
                "size": len(body),
                "sha256": hashlib.sha256(body).hexdigest(),
            }
            self._send_json(seen)

    trailers: tuple[str, ...] = ()

    def _body(self) -> Iterator[bytes]:
        self.trailers = ()
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            yield self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            yield self.rfile.read(size)
            assert self.rfile.readline() == b"\r\n"
            self.mirror.note_piece()
        while (line := self.rfile.readline()) != b"\r\n":
            self.trailers += (line.decode().strip(),)

    def _send_json(self, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(200, "Fine")
        self.send_header("Content-Type", "application/json")
        self.send_header("SET-cookie", "a=1; Path=/")
        self.send_header("Set-Cookie", "b=2; Path=/")
        self.send_header("x_odd.Name", "  kept  ")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send_ticks(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for count in range(TICKS):
            if count and not self._may_go_on():
                self.close_connection = True  # in the middle of the answer: the client sees a cut
                return
            event = b"data: tick %d\n\n" % count
            self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
        self.wfile.write(b"0\r\n\r\n")

    def _may_go_on(self) -> bool:
        """Wait for `/go`; False where the client has left, or nobody says so in time."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.mirror.go.acquire(timeout=POLL_S):
            readable, _, _ = select.select([self.connection], [], [], 0)
            if readable and not self.connection.recv(1, socket.MSG_PEEK):
                self.mirror.left.set()
                return False
            if time.monotonic() > deadline:
                return False
        return True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
