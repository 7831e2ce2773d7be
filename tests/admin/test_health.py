"""The health paths tell the truth, and say what to do."""

from __future__ import annotations

import pytest

from sidecar.admin.view import RouteView
from tests.admin.running import MadeUpProcess, credential, running


@pytest.mark.parametrize("path", ["/livez", "/healthz"])
async def test_alive_without_any_token(path: str) -> None:
    """Being alive never depends on a token, nor on whether it is stopping."""
    process = MadeUpProcess([credential(state="key_rejected", usable=False)], draining=True)
    async with running(process) as admin:
        assert (await admin.ask(path)).status == 200


async def test_started_once_every_credential_had_a_token() -> None:
    """503 that names who waits; then 200, for good."""
    process = MadeUpProcess([credential("crm"), credential("mail", "empty", usable=False)])
    async with running(process) as admin:
        before = await admin.ask("/startupz")
        assert (before.status, before.json["waiting_for"]) == (503, ["mail"])
        process.statuses = [credential("crm"), credential("mail", "expired", usable=False)]
        assert (await admin.ask("/startupz")).status == 200
        process.statuses = [credential("added", "empty", usable=False)]
        assert (await admin.ask("/startupz")).status == 200


async def test_ready_while_a_refresh_fails() -> None:
    """An unexpired token is enough, whatever the last exchange said."""
    process = MadeUpProcess([credential(state="stale", error="The token endpoint is down.", failures=7)])
    async with running(process) as admin:
        answer = await admin.ask("/readyz")
    assert (answer.status, answer.json) == (200, {"ready": True, "reasons": []})


async def test_not_ready_names_each_reason_and_its_remedy() -> None:
    """One entry per credential without a token, with its own remedy, and one for the drain."""
    rejected = credential("crm", "key_rejected", usable=False, error="The API key was refused.")
    process = MadeUpProcess([rejected, credential("fine"), credential("cold", "empty", usable=False)], draining=True)
    async with running(process) as admin:
        answer = await admin.ask("/readyz")
    assert answer.status == 503
    assert answer.headers["content-type"].startswith("application/json")
    reasons = {reason["credential"]: reason for reason in answer.json["reasons"]}
    assert reasons["crm"]["reason"] == "The API key was refused."
    assert reasons["crm"]["remedy"] == "Do what helps crm."
    assert reasons["cold"]["state"] == "empty"
    assert reasons[None]["state"] == "draining"
    assert "fine" not in reasons
    assert all(reason["remedy"] for reason in reasons.values())


async def test_verbose_lists_every_credential_also_when_ready() -> None:
    """`?verbose` shows the good ones too, and the routes on which exchanging again will not help."""
    held = RouteView("crm", "/crm/", None, "https://api.example.com", "crm", held_down_for_s=12.34)
    process = MadeUpProcess([credential("a"), credential("b")], routes=[held])
    async with running(process) as admin:
        answer = await admin.ask("/readyz?verbose")
    assert answer.status == 200
    assert [each["name"] for each in answer.json["credentials"]] == ["a", "b"]
    assert answer.json["held_down"][0]["route"] == "crm"
    assert "will not help" in answer.json["held_down"][0]["remedy"]


async def test_one_credential_alone() -> None:
    """`/readyz/{credential}` is about that one; an unknown one is 404."""
    process = MadeUpProcess([credential("good"), credential("bad", "expired", usable=False)])
    async with running(process) as admin:
        assert (await admin.ask("/readyz/good")).status == 200
        bad = await admin.ask("/readyz/bad")
        unknown = await admin.ask("/readyz/other")
    assert (bad.status, [reason["credential"] for reason in bad.json["reasons"]]) == (503, ["bad"])
    assert (unknown.status, unknown.headers["content-type"]) == (404, "application/problem+json")


async def test_head_is_get_without_a_body() -> None:
    """A probe may use HEAD."""
    async with running(MadeUpProcess()) as admin:
        answer = await admin.ask("/readyz", method="HEAD")
    assert (answer.status, answer.body) == (200, b"")
