"""Credentials beside each other: what befalls one is not the other's affair. And what the log says of a start."""

from __future__ import annotations

import logging

import pytest

from sidecar.app import App
from sidecar.config.values import CredentialConfig
from sidecar.credentials.rules import AnswerPointers, ExchangeRules
from sidecar.errors import NoToken
from tests.fakes import Tokens, always, response, upstream
from tests.wire.running import KEY, config, route_to


def credential(name: str, port: int) -> CredentialConfig:
    """Return a credential of this name that exchanges its key at this port."""
    answer = AnswerPointers("/token", expires_in="/expires_in")
    rules = ExchangeRules(f"http://127.0.0.1:{port}/token", json="{api_key}", response=answer)
    return CredentialConfig(name, KEY, exchange=rules)


async def test_a_refresh_of_all_reaches_those_after_one_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    """The failure is told when all are done. At the start, the log names both listeners and each first token."""
    tokens = Tokens()
    down = response(b"down", status="500 Down")
    async with upstream(always(down)) as bad, upstream(tokens) as good:
        both = (credential("bad", bad.port), credential("good", good.port))
        app = App(config(route_to(1, credential="good"), credentials=both))
        with caplog.at_level(logging.INFO):
            await app.start()
        try:
            await app.refresh("good")
            before = tokens.count
            with pytest.raises(NoToken, match="credential bad"):
                await app.refresh(None)
            assert tokens.count == before + 1
            assert f"listening on 127.0.0.1:{app.addresses[0][1]}" in caplog.messages
            assert f"admin listener on 127.0.0.1:{app.admin_address[1]}" in caplog.messages
        finally:
            await app.stop()
