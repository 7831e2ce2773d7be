"""Two WebSocket servers that do the same: greet, send every message back, and close with 4001 when asked to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import websockets.sync.server
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from tests.ports import free_port
from tests.servers import programs
from tests.servers.process import ServerProcess, accepts

CHAT = Subprotocol("chat")
MOST_BYTES = 2**22


class PythonServer:
    """A server of the `websockets` library, in a thread: says who knocked, echoes, closes when it is asked to."""

    def __init__(self) -> None:
        self.dead: set[str] = set()
        self._server = websockets.sync.server.serve(
            self._serve,
            "127.0.0.1",
            0,
            subprotocols=[CHAT],
            process_request=self._admit,
            max_size=MOST_BYTES,
        )
        self.port = self._server.socket.getsockname()[1]

    def _admit(self, connection: websockets.sync.server.ServerConnection, request: Request) -> Response | None:
        if request.headers.get("Authorization") in self.dead:
            return connection.respond(HTTPStatus.UNAUTHORIZED, "who?\n")
        if request.path.endswith("/closed"):
            return connection.respond(HTTPStatus.FORBIDDEN, "not here\n")
        return None

    def _serve(self, connection: websockets.sync.server.ServerConnection) -> None:
        assert connection.request is not None
        connection.send(f"welcome, {connection.request.headers.get('Authorization', 'stranger')}")
        for message in connection:
            if message == "close":
                connection.close(4001, "as asked")
                return
            connection.send(message)

    @contextmanager
    def serving(self) -> Iterator[PythonServer]:
        """Run it."""
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()


class NodeServer(ServerProcess):
    """A server of npm's `ws`, which does the same."""

    def __init__(self, directory: Path) -> None:
        if not (programs.WS_DIRECTORY / "node_modules").is_dir():
            programs.unavailable("ws is not installed (python -m tests.servers.install)")
        self.port = free_port()
        command: list[str | Path] = [programs.node(), programs.WS_DIRECTORY / "server.mjs", str(self.port)]
        super().__init__(command, directory, ready=lambda: accepts(self.port))
