"""Answers that several of the vendor's endpoints give, the bad ones among them.

Not the good answers: each endpoint makes its own. The rule: an error is
`{"message", "code"}`, as the real vendor's are.
"""

from __future__ import annotations

import socket
import struct

from aiohttp import web

_CODES = {
    400: ("BAD_REQUEST", "Invalid request"),
    401: ("UNAUTHORIZED", "Invalid or expired token"),
    403: ("FORBIDDEN", "Insufficient permissions"),
    404: ("NOT_FOUND", "Not found"),
    405: ("METHOD_NOT_ALLOWED", "Method not allowed"),
    409: ("CONFLICT", "Conflict"),
    429: ("RATE_LIMITED", "Too many requests"),
    500: ("INTERNAL_ERROR", "Internal error"),
}
_RESET_AT_ONCE = struct.pack("ii", 1, 0)


def error(status: int, message: str | None = None, *, headers: dict[str, str] | None = None) -> web.Response:
    """Return an error as the vendor words it.

    Args:
        status: 400 to 599.
        message: instead of the usual one for this status.
        headers: further fields.
    """
    code, usual = _CODES.get(status, ("ERROR", "Error"))
    return web.json_response({"message": message or usual, "code": code}, status=status, headers=headers)


def unauthorized() -> web.Response:
    """Return the API's 401 (RFC 6750 3)."""
    return error(401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


def rate_limited(retry_after_s: int) -> web.Response:
    """Return a 429 with Retry-After."""
    return error(429, headers={"Retry-After": str(retry_after_s)})


def reset(request: web.Request) -> web.Response:
    """Reset the connection under a request; what is returned is never sent."""
    transport = request.transport
    if transport is not None:
        # SO_LINGER with zero time turns the close into a reset, whatever was or was not read.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_ONCE)
        transport.abort()
    return web.Response()


async def cut_short(request: web.Request, body: bytes) -> web.StreamResponse:
    """Announce the whole JSON body, send the first half of it, and close."""
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
