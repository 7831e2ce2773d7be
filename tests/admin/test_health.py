"""The health paths tell the truth, and say what to do."""

from __future__ import annotations

from dataclasses import replace

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
        (reason,) = before.json["reasons"]
        assert (reason["credential"], reason["state"], reason["remedy"]) == ("mail", "empty", "Wait.")
        process.statuses = [credential("crm"), credential("mail", "expired", usable=False)]
        assert (await admin.ask("/startupz")).status == 200
        process.statuses = [credential("added", "empty", usable=False)]
        assert (await admin.ask("/startupz")).status == 200


@pytest.mark.parametrize("path", ["/readyz", "/readyz?verbose", "/startupz"])
async def test_the_start_is_noted_by_whoever_looks(path: str) -> None:
    """A reload then adds a credential, and nobody had asked for the start before: it has been, all the same."""
    process = MadeUpProcess()
    async with running(process) as admin:
        await admin.ask(path)
        process.statuses = [credential(), credential("added", "empty", usable=False)]
        assert (await admin.ask("/startupz")).status == 200


async def test_a_reload_by_order_does_not_undo_the_start() -> None:
    """Nobody had looked before."""
    process = MadeUpProcess()
    async with running(process) as admin:
        await admin.ask("/-/reload", method="POST")
        process.statuses = [credential(), credential("added", "empty", usable=False)]
        assert (await admin.ask("/startupz")).status == 200


async def test_a_start_that_fails_says_why_and_what_to_do() -> None:
    """503, with the credential's own error and remedy."""
    process = MadeUpProcess([credential("crm", "key_rejected", usable=False, error="Refused.")])
    process.statuses = [replace(process.statuses[0], obtained_at=None)]
    async with running(process) as admin:
        answer = await admin.ask("/startupz")
    assert (answer.status, answer.json["started"]) == (503, False)
    (reason,) = answer.json["reasons"]
    assert (reason["reason"], reason["remedy"]) == ("Refused.", "Do what helps crm.")


async def test_a_refused_new_key_alarms_while_ready() -> None:
    """200, and in the details the state, the error and what to do."""
    process = MadeUpProcess([credential("crm", "key_rejected", error="The new key was refused.")])
    async with running(process) as admin:
        answer = await admin.ask("/readyz?verbose")
        alone = await admin.ask("/readyz/crm")
    assert (answer.status, alone.status) == (200, 200)
    for told in (answer.json, alone.json):
        (one,) = told["credentials"]
        assert (one["state"], one["usable"]) == ("key_rejected", True)
        assert (one["error"], one["remedy"]) == ("The new key was refused.", "Do what helps crm.")


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
