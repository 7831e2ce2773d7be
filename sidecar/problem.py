"""Our own answers: problem details (RFC 9457) with Proxy-Status (RFC 9209), to be told from the upstream's."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from http import HTTPStatus

from sidecar.errors import Answerable


def problem(error: Answerable, *, close: bool, without_body: bool = False) -> bytes:
    """Return the bytes of the whole answer to a request that could not be forwarded.

    Args:
        error: what happened; its texts are ours and hold nothing of the request.
        close: whether the connection ends after it.
        without_body: the request was a HEAD.
    """
    return rendered(error, content_of(error), "application/problem+json", close=close, without_body=without_body)


def content_of(error: Answerable) -> dict[str, object]:
    """Return the members of the problem."""
    content: dict[str, object] = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "reason": error.reason,
        # The names under which many SDKs look for an error's text.
        "message": error.detail,
        "code": error.code,
    }
    if error.remedy is not None:
        content["remedy"] = error.remedy
        # Whoever sees one text only, in an app's log, can act on that too.
        content["message"] = f"{error.detail}; what to do: {error.remedy}"
    if error.theirs:
        content["upstream"] = error.theirs
    return content


def rendered(
    error: Answerable, content: Mapping[str, object], media_type: str, *, close: bool, without_body: bool = False
) -> bytes:
    """Return the bytes of an answer with this content, as JSON, and the fields that go with the error."""
    body = json.dumps(content).encode() + b"\n"
    received = f"; received-status={error.received_status}" if error.received_status is not None else ""
    lines = [
        f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}",
        f"Content-Type: {media_type}",
        f"Content-Length: {len(body)}",
        f"Proxy-Status: sidecar; error={error.code}{received}",
        "Cache-Control: no-store",
    ]
    if error.status == 405:
        lines.append("Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
    if error.status == 407:
        lines.append('Proxy-Authenticate: Basic realm="sidecar"')
    if error.retry_after_s is not None:
        lines.append(f"Retry-After: {max(1, math.ceil(error.retry_after_s))}")
    if close:
        lines.append("Connection: close")
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"
    return head if without_body else head + body
