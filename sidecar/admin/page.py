"""The status as one HTML page: self-contained, no script, every value escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape

from sidecar.admin.describe import timestamp
from sidecar.admin.health import Reason, why_not_ready
from sidecar.admin.view import View
from sidecar.credentials.remedies import NO_HELP_REASON, NO_HELP_REMEDY
from sidecar.credentials.status import CredentialStatus

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884; }
.good { color: #187a3c; } .bad { color: #c22f2f; }
@media (prefers-color-scheme: dark) { .good { color: #5bd086; } .bad { color: #ff8080; } }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_LINKS = ("/livez", "/startupz", "/readyz?verbose", "/metrics", "/status")


def render(view: View, now: float) -> str:
    """Return the page.

    Args:
        now: wall-clock seconds.
    """
    credentials = view.credentials()
    reasons = why_not_ready(view.draining, credentials)
    links = " · ".join(f'<a href="{link}">{link}</a>' for link in _LINKS)
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="5">
<title>Sidecar</title><style>{_STYLE}</style></head>
<body>
<h1>Sidecar {escape(view.version)}: {_verdict(reasons)}</h1>
<p>Since {timestamp(view.started_at)}. Listens on {escape(", ".join(view.listeners))}.
Configured by {escape(view.config_source or "flags and environment")}.</p>
<p>{links}</p>
<h2>Credentials</h2>
{_table(("Name", "State", "Token", "Last exchange", "What to do"), (_credential(each, now) for each in credentials))}
<h2>Routes</h2>
{_table(("Name", "Matches", "Upstream", "Credential"), _routes(view))}
</body>
</html>
"""


def _verdict(reasons: Sequence[Reason]) -> str:
    return '<span class="bad">not ready</span>' if reasons else '<span class="good">ready</span>'


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; the cells are HTML already."""
    lines = ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
    return f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>\n" + "\n".join(lines) + "\n</table>"


def _credential(status: CredentialStatus, now: float) -> Sequence[str]:
    kind = "good" if status.usable and not status.error else "bad"
    if status.expires_at is None:
        token = "does not expire" if status.usable else "none"
    else:
        left = round(status.expires_at - now)
        moment = timestamp(status.expires_at) or "no moment that can be named"
        token = f"{'expires' if left > 0 else 'expired'} {moment} ({left} s)"
    last = status.last_exchange
    exchange = "none yet" if last is None else f"{last.outcome}, {timestamp(last.at)}, for {last.trigger}"
    parts = [status.error, status.remedy]
    if status.hopeless_for_s > 0:
        parts += [NO_HELP_REASON, NO_HELP_REMEDY]
    wanted = [escape(part) for part in parts if part]
    return (
        escape(status.name),
        f'<span class="{kind}">{status.state}</span>',
        escape(token),
        escape(exchange),
        "<br>".join(wanted) or "nothing",
    )


def _routes(view: View) -> Iterable[Sequence[str]]:
    for route in view.routes:
        matches = escape(f"{route.host or 'any host'} {route.path}")
        credential = escape(route.credential or "none")
        if route.held_down_for_s > 0:
            credential += f' <span class="bad">held down for {route.held_down_for_s:.0f} s</span>'
            credential += f"<br>{escape(NO_HELP_REASON)}<br>{escape(NO_HELP_REMEDY)}"
        yield escape(route.name), matches, escape(route.upstream), credential
