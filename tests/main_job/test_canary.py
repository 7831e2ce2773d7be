"""The search for secrets finds them: a search that finds nothing proves nothing by itself."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, urlencode

import pytest

from tests.main_job.canary import found

SECRET = b"gct_Kz7/qP+canary==9Xw"


@pytest.mark.parametrize(
    "said",
    [
        SECRET,
        b"before" + SECRET + b"after",
        json.dumps({"apiKey": SECRET.decode()}).encode(),
        repr(SECRET).encode(),
        quote(SECRET, safe="").encode(),
        urlencode({"client_secret": SECRET}).encode(),
        base64.b64encode(SECRET),
        base64.b64encode(b"basic-client:" + SECRET),
        base64.b64encode(b"client:" + SECRET + b"\n"),
        base64.urlsafe_b64encode(b"a:" + SECRET),
        b"the key gct_Kz7/... is refused",
        b"the key that ends in ary==9Xw",
    ],
)
def test_a_secret_is_found(said: bytes) -> None:
    """Raw, quoted, encoded, or one end of it."""
    assert found([b"another-secret-here", SECRET], said)


def test_nothing_is_found_where_there_is_none() -> None:
    """Its fingerprint and the words around it are no finding."""
    assert found([SECRET], b"credential crm: gct_ key from environment variable CANARY, fingerprint 0a1b2c3d") == []
