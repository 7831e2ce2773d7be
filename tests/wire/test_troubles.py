"""What is remembered of requests that were refused or failed: enough to act on, and nothing of the request."""

from __future__ import annotations

from sidecar.admin.advice import advice
from sidecar.errors import Refused
from sidecar.stats import FAILURE_PHASES, REASONS_BEFORE_A_ROUTE, REASONS_ON_A_ROUTE
from sidecar.troubles import MOST_KINDS, Troubles
from tests.fakes import Tokens, Wire, always, response
from tests.wire.running import in_front_of, route_to, sidecar, with_tokens

CANARY = "canary-4711"


async def cut_off(wire: Wire) -> None:
    """Begin an answer, and end it before it is whole."""
    await wire.request()
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")


async def test_refused_before_a_route_and_on_one() -> None:
    """The newest first, each with the method, the route, the status and why."""
    async with sidecar(route_to(9, "/crm/")) as running:
        assert (await running.ask("GET", "/nowhere")).status == 404
        assert (await running.ask("POST", "/crm/", body=b"x")).status == 502
        wire = await running.connect()
        await wire.send(b"\x16\x03\x01 no HTTP\r\n\r\n")
        await wire.ended()
        found = [(one.method, one.route, one.status, one.reason) for one in running.app.troubles.last()]
    assert found == [("", "", 400, "malformed"), ("POST", "crm", 502, "connect"), ("GET", "", 404, "no_route")]


async def test_an_answer_that_was_cut_has_no_status() -> None:
    """The app has seen one; that is not what is to be told."""
    async with in_front_of(cut_off) as (running, _):
        wire = await running.connect()
        await wire.send(running.ask_bytes())
        await wire.ended()
        (trouble,) = running.app.troubles.last()
    assert (trouble.status, trouble.reason, trouble.times) == (0, "body", 1)


async def test_a_rejection_that_reached_the_app_is_told_with_what_helps() -> None:
    """Nothing of it where the replay was taken; the administrator where exchanging again does not help."""
    rejected = response(b"no", status="401 Unauthorized")
    async with with_tokens(always(rejected, response()), Tokens()) as (running, _):
        assert (await running.ask()).status == 200
        assert running.app.troubles.last() == []
    async with with_tokens(always(rejected), Tokens()) as (running, _):
        assert (await running.ask()).status == 401
        (trouble,) = running.app.troubles.last()
    assert (trouble.status, trouble.reason, trouble.route) == (401, "rejected", "crm")
    assert trouble.remedy is not None and "administrator" in trouble.remedy


async def test_nothing_of_the_request_is_kept() -> None:
    """No path, query, field, body, Host, nor a method that is not one of ours."""
    async with sidecar(route_to(9, "/crm/")) as running:
        for target in (f"/{CANARY}?{CANARY}", f"/crm/{CANARY}?{CANARY}"):
            await running.ask("POST", target, f"X-{CANARY}: {CANARY}", body=CANARY.encode())
            await running.ask(CANARY.upper().replace("-", ""), target)
        wire = await running.connect()
        await wire.send(running.ask_bytes().replace(running.host, CANARY.encode()))
        assert (await wire.response()).status == 403
        told = running.app.troubles.last()
    assert {one.method for one in told} == {"POST", "_OTHER", "GET"}
    assert CANARY not in repr(told).lower()


def test_a_flood_takes_one_place() -> None:
    """Of the same kind it is counted, from when to when; and there are never more than fifty kinds."""
    now = [0.0]
    troubles = Troubles(lambda: now[0])
    troubles.note(Refused("rare"), method=b"GET", route="crm")
    for _ in range(1000):
        now[0] += 1
        troubles.note(Refused("often"), method=b"GET")
    often, rare = troubles.last()
    assert (often.times, often.first_at, often.last_at, rare.times) == (1000, 1.0, 1000.0, 1)
    troubles.note(Refused("rare"), method=b"GET", route="crm")
    assert [one.detail for one in troubles.last()] == ["rare", "often"]
    for number in range(2 * MOST_KINDS):
        troubles.note(Refused(f"kind {number}"))
    assert [one.detail for one in troubles.last()] == [f"kind {number}" for number in reversed(range(50, 100))]


def test_every_reason_has_its_advice() -> None:
    """Whatever the counters can name, a person is told what to do about."""
    for reason in (*REASONS_BEFORE_A_ROUTE, *REASONS_ON_A_ROUTE, *FAILURE_PHASES):
        assert advice(reason), reason
