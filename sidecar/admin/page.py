"""The page for people at `/`: one self-contained document, put together from page.html, page.css and the scripts.

The files are read when somebody first looks, not at a start. The values come as JSON, first inside the
document and then by `/events`; the scripts write them as text and never as markup. The rule: the
Content-Security-Policy lets nothing run, look or load but what is in the document, by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import pkgutil
from functools import cache
from typing import Final

from sidecar.admin.snapshot import Snapshot

# In the order in which they are run, as one script.
SCRIPTS: Final = ("page_words.js", "page_drawing.js", "page.js", "page_charts.js", "page_live.js")
# Inside a script element, what could end it or begin a comment (the HTML standard, 13.2.5.20); it is JSON all the same.
_ESCAPES: Final = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}


def render(snapshot: Snapshot) -> bytes:
    """Return the document.

    Args:
        snapshot: what it shows at first.
    """
    before, _, after = _document().partition("{first}")
    return (before + snapshot.all.translate(_ESCAPES) + after).encode()


@cache
def policy() -> str:
    """Return the value of Content-Security-Policy: an icon made by the script is the only thing that is looked at."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src 'sha256-{_hash(_style())}'",
            f"script-src 'sha256-{_hash(_script())}'",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )


@cache
def _document() -> str:
    return _read("page.html").replace("{style}", _style()).replace("{script}", _script())


def _style() -> str:
    return _read("page.css")


def _script() -> str:
    return f"(() => {{\n{''.join(map(_read, SCRIPTS))}}})();\n"  # a page's own names are many: `status`, `name`, `top`


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _read(name: str) -> str:
    data = pkgutil.get_data("sidecar.admin", name)
    assert data is not None  # noqa: S101  # it lies beside this file
    return data.decode()
