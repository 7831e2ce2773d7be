"""An error of the admin listener as an answer: `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

from sidecar.admin.answer import Answer
from sidecar.errors import Answerable


def problem(
    status: int,
    title: str,
    detail: str,
    extra: Mapping[str, object] | None = None,
    fields: tuple[tuple[str, str], ...] = (),
) -> Answer:
    """Return a problem.

    Args:
        status: 400 to 599.
        title, detail: what it is, and one sentence for a person.
        extra: further members.
        fields: further fields of the answer.
    """
    members = {"type": "about:blank", "title": title, "status": status, "detail": detail, **(extra or {})}
    body = json.dumps(members, separators=(",", ":")).encode() + b"\n"
    return Answer(status, body, "application/problem+json", fields)


def of_error(error: Answerable) -> Answer:
    """Return the answer to an error of ours."""
    fields = [("Proxy-Status", f"sidecar; error={error.code}")]
    if error.retry_after_s is not None:
        fields.append(("Retry-After", f"{max(1, math.ceil(error.retry_after_s))}"))
    if error.status == 405:
        fields.append(("Allow", "GET, HEAD, POST"))
    return problem(error.status, error.title, error.detail, fields=tuple(fields))


def of_mistakes(mistakes: Sequence[str]) -> Answer:
    """Return the answer to a configuration that was not taken."""
    detail = f"{len(mistakes)} mistake{'s' if len(mistakes) != 1 else ''}; the configuration before it stays in use."
    return problem(422, "Configuration not taken", detail, {"mistakes": mistakes})
