"""What the log says of a key: when it brought its first token, once, and that a new one was taken and works."""

from __future__ import annotations

import asyncio
import logging

import pytest

from sidecar.secret import Secret
from tests.credentials.kept import HOUR_S, REFUSED, FakeKeySource, Says, keeping
from tests.credentials.virtual_time import in_virtual_time

NEXT_KEY = Secret("next-key")
PROVED = "credential crm: the key from file /keys/key has brought its first token"


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was said of keys, at level info, and forget it."""
    messages = [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]
    caplog.clear()
    return [message for message in messages if "key" in message]


@in_virtual_time
async def test_each_key_is_proved_once(caplog: pytest.LogCaptureFixture) -> None:
    """Renewals say nothing; a new key is named when it is taken, and again when it has brought a token."""
    caplog.set_level(logging.INFO)
    async with keeping(then=Says(life_s=60)) as kept:
        await kept.credential.wait()
        assert told(caplog) == [PROVED]
        await asyncio.sleep(HOUR_S)
        assert told(caplog) == []
        kept.source.key = NEXT_KEY
        await asyncio.sleep(5)
        taken, proved = told(caplog)
        assert taken.endswith("file /keys/key holds a new key")
        assert proved == PROVED


@in_virtual_time
async def test_a_refused_key_is_not_proved(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is said for it; the next one speaks for itself."""
    caplog.set_level(logging.INFO)
    source = FakeKeySource(Secret("bad-key"))
    async with keeping(REFUSED, source=source):
        await asyncio.sleep(5)
        assert told(caplog) == []
        source.key = NEXT_KEY
        await asyncio.sleep(5)
        assert len(told(caplog)) == 2
