"""The second line of defence: a key, a token or the gate's token that a text holds by mistake is masked in the log."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar import log
from sidecar.config.values import CredentialConfig, GateConfig, KeyConfig
from sidecar.secret import Secret
from tests.fakes import always, response, upstream
from tests.wire.running import exchanging, in_front_of

KEY = "gct_canary_of_the_key"
TOKEN = "canary-of-the-token"
GATE_TOKEN = "canary-of-the-gate"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Have the log write here; put everything back in the end."""
    root, own = logging.getLogger(), logging.getLogger("sidecar")
    kept = (list(root.handlers), root.level, own.level, logging.raiseExceptions)
    stream = io.StringIO()
    log.configure("info", "json", stream)
    yield stream
    root.handlers[:], level, own_level, logging.raiseExceptions = kept
    root.setLevel(level)
    own.setLevel(own_level)


async def test_whatever_is_read_or_exchanged_is_masked(written: io.StringIO, tmp_path: Path) -> None:
    """From the moment it is there."""
    file = tmp_path / "key"
    file.write_text(KEY)
    answer = response(json.dumps({"token": TOKEN, "expires_in": 3600}).encode(), "Content-Type: application/json")
    gate = GateConfig(require_token=KeyConfig("value", value=Secret(GATE_TOKEN)))
    async with upstream(always(answer)) as endpoint:
        rules = exchanging(endpoint.port).exchange
        credential = CredentialConfig("crm", KeyConfig("file", str(file)), exchange=rules)
        async with in_front_of(always(response()), credential=credential, gate=gate) as (running, _):
            await running.app.refresh(None)
            logging.getLogger("somebody").warning("a mistake: %s, %s and %s", KEY, TOKEN, GATE_TOKEN)
    assert "a mistake: ***, *** and ***" in written.getvalue()
    assert "canary" not in written.getvalue()
