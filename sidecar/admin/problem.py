"""An error of the admin listener as an answer: `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from aiohttp import web

from sidecar.errors import Answerable


def answer(status: int, title: str, detail: str, extra: Mapping[str, object] | None = None) -> web.Response:
    """Return a problem.

    Args:
        status: 400 to 599.
        title, detail: what it is, and one sentence for a person.
        extra: further members.
    """
    members = {"type": "about:blank", "title": title, "status": status, "detail": detail, **(extra or {})}
    return web.Response(
        status=status,
        body=json.dumps(members, separators=(",", ":")).encode() + b"\n",
        content_type="application/problem+json",
    )


def of_error(error: Answerable) -> web.Response:
    """Return the answer to an error of ours."""
    response = answer(error.status, error.title, error.detail)
    response.headers["Proxy-Status"] = f"sidecar; error={error.code}"
    return response


def of_mistakes(mistakes: Sequence[str]) -> web.Response:
    """Return the answer to a configuration that was not taken."""
    detail = f"{len(mistakes)} mistake{'s' if len(mistakes) != 1 else ''}; the configuration before it stays in use."
    return answer(422, "Configuration not taken", detail, {"mistakes": mistakes})
