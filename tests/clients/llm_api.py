"""An API that answers as two vendors of language models do, on the standard library's server.

`POST /v1/chat/completions` and `/v1/files` speak as OpenAI's, `POST /v1/messages` as Anthropic's. An answer comes
whole or, with `"stream": true`, event by event, each word after the first once `go` was released. A prompt of `429` is
answered so.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

WORDS = ("one ", "two ", "three")
PATIENCE_S = 5.0


class LlmApi(ThreadingHTTPServer):
    """The API, in threads of this process.

    It lets in a token that is not dead, in Authorization alone, or the key, in X-Api-Key alone.

    Args:
        key: the key.
    """

    def __init__(self, key: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.go = threading.Semaphore(0)
        self.seen: list[tuple[str | None, str | None]] = []  # Authorization and X-Api-Key of each request
        self.dead: set[str] = set()
        self._key = key

    def forget(self) -> None:
        """Begin anew, for the next test."""
        self.go = threading.Semaphore(0)
        self.seen.clear()

    def lets_in(self, authorization: str | None, key: str | None) -> bool:
        """Whether a request with these two fields is let in."""
        if authorization is None:
            return key == self._key
        return key is None and authorization.startswith("Bearer token-") and authorization not in self.dead

    @contextmanager
    def serving(self) -> Iterator[LlmApi]:
        """Run it."""
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join()
            self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Let in whoever may come in, and answer."""
        api = cast(LlmApi, self.server)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        who = (self.headers["Authorization"], self.headers["X-Api-Key"])
        api.seen.append(who)
        if not api.lets_in(*who):
            self._send(401, {"error": {"message": "this key is not valid", "type": "authentication_error"}})
        elif self.path == "/v1/files":
            self._send(200, {"id": "file-1", "object": "file", "bytes": len(body), "purpose": "batch"} | FILE)
        else:
            asked = json.loads(body)
            if asked["messages"][0]["content"] == "429":
                self._send(429, {"error": {"message": "not so fast", "type": "rate_limit_error"}})
                return
            vendor = {"/v1/chat/completions": _openai, "/v1/messages": _anthropic}[self.path]
            whole, events = vendor(asked["model"])
            if asked.get("stream"):
                self._stream(events)
            else:
                self._send(200, whole)

    def _send(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, events: list[str]) -> None:
        """Send events as chunks: words wait until the client has had the one before."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        words = 0
        for event in events:
            if any(json.dumps(word) in event for word in WORDS):
                words += 1
                if words > 1 and not cast(LlmApi, self.server).go.acquire(timeout=PATIENCE_S):
                    self.close_connection = True  # in the middle of the answer: the client sees a cut
                    return
            self.wfile.write(b"%x\r\n%b\r\n" % (len(event.encode()), event.encode()))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


FILE = {"created_at": 1, "filename": "batch.jsonl", "status": "processed"}


def _openai(model: str) -> tuple[dict[str, Any], list[str]]:
    """Return a chat completion, whole and as events."""
    common = {"id": "chatcmpl-1", "created": 1, "model": model}
    message = {"role": "assistant", "content": "".join(WORDS)}
    whole = {
        **common,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4},
    }
    deltas: list[tuple[dict[str, str], str | None]] = [({"content": word}, None) for word in WORDS]
    chunks = [
        {
            **common,
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
        }
        for delta, reason in [*deltas, ({}, "stop")]
    ]
    return whole, [*(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks), "data: [DONE]\n\n"]


def _anthropic(model: str) -> tuple[dict[str, Any], list[str]]:
    """Return a message, whole and as events."""
    usage = {"input_tokens": 1, "output_tokens": 3}
    empty = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "stop_sequence": None}
    whole = {
        **empty,
        "content": [{"type": "text", "text": "".join(WORDS)}],
        "stop_reason": "end_turn",
        "usage": usage,
    }
    start: dict[str, Any] = {**empty, "content": [], "stop_reason": None, "usage": usage}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}} for word in WORDS),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": usage},
        {"type": "message_stop"},
    ]
    return whole, [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]
