"""The upstream's 401 to a token of ours: one exchange, one exact replay, or else the original answer."""

from __future__ import annotations

import asyncio
import hashlib
import json

import pytest

from sidecar.dataplane.client import ClientConnection
from tests.fakes import Message, Script, Tokens, Wire, response, until
from tests.wire.running import Running, in_front_of, with_tokens

CHALLENGE = response(b"who are you?", "WWW-Authenticate: Bearer", "X-Y: 1", status="401 Who  are you")


def takes(*tokens: str, otherwise: bytes = CHALLENGE, gather: int = 0) -> Script:
    """Answer 200 to these tokens, with the SHA-256 of the body, and `otherwise` to all others.

    Args:
        gather: hold `otherwise` back until this many requests have come.
    """
    waiting: list[object] = []
    all_there = asyncio.Event()

    async def script(wire: Wire) -> None:
        while True:
            request = await wire.request()
            if request.value("authorization") in [f"Bearer {token}".encode() for token in tokens]:
                await wire.send(response(hashlib.sha256(request.body).hexdigest().encode()))
                continue
            if gather:
                waiting.append(wire)
                if len(waiting) >= gather:
                    all_there.set()
                await all_there.wait()
            await wire.send(otherwise)

    return script


def tokens_of(requests: list[Message]) -> list[bytes]:
    """The tokens that an upstream saw."""
    return [(request.value("authorization") or b"").removeprefix(b"Bearer ") for request in requests]


@pytest.mark.parametrize("framing", ["none", "sized", "chunked"])
async def test_a_rejected_request_is_replayed_once_with_a_new_token(framing: str) -> None:
    """The same request, with the same body; the app sees the 200 and nothing of the 401."""
    tokens = Tokens()
    body = b"" if framing == "none" else bytes(range(256)) * 1000
    async with with_tokens(takes("token-2"), tokens) as (sidecar, upstream):
        wire = await sidecar.connect()
        if framing == "chunked":
            half = len(body) // 2
            await wire.send(sidecar.ask_bytes("POST", "/a?b", "X-Z: 1", "Transfer-Encoding: chunked"))
            for piece in (body[:half], body[half:]):
                await wire.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            await wire.send(b"0\r\nX-Sum: 1\r\n\r\n")
        else:
            await wire.send(sidecar.ask_bytes("POST", "/a?b", "X-Z: 1", body=body))
        answer = await wire.response()
        assert (answer.status, answer.body) == (200, hashlib.sha256(body).hexdigest().encode())
        assert answer.values("www-authenticate") == []
        first, second = upstream.requests
        assert tokens_of([first, second]) == [b"token-1", b"token-2"]
        assert second.head == first.head.replace(b"token-1", b"token-2")
        assert (second.body, second.trailers) == (first.body, first.trailers) == (body, first.trailers)
        assert tokens.count == 2
        await wire.send(sidecar.ask_bytes())
        assert (await wire.response()).status == 200
        assert len(upstream.requests) == 3


async def test_a_rejection_while_the_body_is_still_coming() -> None:
    """What has come is sent again, and the rest follows it."""

    async def script(wire: Wire) -> None:
        head = Message(await wire.head())
        if head.value("authorization") == b"Bearer token-1":
            await wire.exactly(5)
            await wire.send(CHALLENGE)
            await wire.ended()
            return
        await wire.send(response(await wire.exactly(10)))

    tokens = Tokens()
    async with with_tokens(script, tokens) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", "/", "Content-Length: 10"), b"first")
        await until(lambda: tokens.count == 2)
        await wire.send(b"later")
        answer = await wire.response()
        assert (answer.status, answer.body) == (200, b"firstlater")


async def test_a_second_rejection_is_relayed_as_it_is() -> None:
    """Byte for byte; and in the hold-down that follows, a rejection costs no exchange and no replay."""
    tokens = Tokens()
    async with with_tokens(takes("nothing"), tokens) as (sidecar, upstream):
        wire = await sidecar.connect()
        for count in (2, 3, 4):
            await wire.send(sidecar.ask_bytes())
            assert await wire.exactly(len(CHALLENGE)) == CHALLENGE
            assert len(upstream.requests) == count
        assert tokens.count == 2
        assert sidecar.app.stats.route("crm").rejections["forbidden"] == 3


async def test_a_hold_down_ends() -> None:
    """Then a rejection is worth an exchange again."""
    tokens = Tokens()
    async with with_tokens(takes("token-3"), tokens, refresh={"hold_down_s": 0.2}) as (sidecar, _):
        assert (await sidecar.ask()).status == 401
        assert (await sidecar.ask()).status == 401
        await asyncio.sleep(0.25)
        assert (await sidecar.ask()).status == 200
        assert tokens.count == 3


async def test_a_token_that_was_good_and_is_revoked_is_replaced_in_a_hold_down_too() -> None:
    """One that was taken and never rejected: a revocation heals, whatever is forbidden on the same route."""
    tokens = Tokens()
    good = {b"token-1", b"token-3"}

    async def script(wire: Wire) -> None:
        while True:
            request = await wire.request()
            taken = request.target != b"/forbidden" and tokens_of([request])[0] in good
            await wire.send(response() if taken else CHALLENGE)

    async with with_tokens(script, tokens) as (sidecar, _):
        assert (await sidecar.ask()).status == 200
        assert (await sidecar.ask(target="/forbidden")).status == 401
        await sidecar.app.refresh(None)
        assert (await sidecar.ask()).status == 200
        good.add(b"token-4")
        good.remove(b"token-3")
        assert (await sidecar.ask()).status == 200
        assert tokens.count == 4


async def test_a_body_that_outgrows_what_is_kept_during_the_exchange_gets_the_original_answer() -> None:
    """It could be sent again when the exchange began, and not in part when that has brought a token."""
    exchanging, first = asyncio.Event(), b"5\r\nfirst\r\n"
    seen: list[bytes | None] = []

    async def script(wire: Wire) -> None:
        seen.append(Message(await wire.head()).value("authorization"))
        await wire.exactly(len(first))
        await wire.send(CHALLENGE)
        await wire.ended()

    tokens = Tokens(exchanging)
    exchanging.set()
    async with with_tokens(script, tokens, route={"replay_body_bytes": 1000}) as (sidecar, _):
        await until(lambda: tokens.count == 1)
        exchanging.clear()
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", "/", "Transfer-Encoding: chunked"), first)
        await until(lambda: tokens.count == 2)
        (connection,) = sidecar.app_connections()
        assert isinstance(connection, ClientConnection)
        assert connection.body is not None and connection.body.replayable
        await wire.send(b"1388\r\n" + b"x" * 5000 + b"\r\n")
        await until(lambda: connection.body is not None and not connection.body.replayable)
        exchanging.set()
        answer = await wire.response()
        assert (answer.status, answer.body) == (401, b"who are you?")
        assert seen == [b"Bearer token-1"]


async def test_a_body_too_large_to_keep_gets_the_original_answer() -> None:
    """And the token is renewed for the next request."""
    tokens = Tokens()
    async with with_tokens(takes("token-2"), tokens, route={"replay_body_bytes": 1000}) as (sidecar, upstream):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", "/", body=b"x" * 5000))
        assert await wire.exactly(len(CHALLENGE)) == CHALLENGE
        assert len(upstream.requests) == 1
        await until(lambda: tokens.count == 2)
        assert (await sidecar.ask("POST", "/", body=b"x" * 5000)).status == 200


async def test_rejections_that_cannot_be_replayed_hold_the_route_down_too(caplog: pytest.LogCaptureFixture) -> None:
    """Other requests are welcome on the route: without a hold-down each large one would cost an exchange."""
    tokens = Tokens()

    async def script(wire: Wire) -> None:
        while True:
            request = await wire.request()
            await wire.send(CHALLENGE if request.body else response())

    async with with_tokens(script, tokens, route={"replay_body_bytes": 10}) as (sidecar, upstream):
        for _ in range(6):
            assert (await sidecar.ask()).status == 200
            answer = await sidecar.ask("POST", "/", body=b"x" * 500)
            assert answer.head + answer.body == CHALLENGE
            await asyncio.sleep(0.05)
        assert tokens.count == 2
        assert len(upstream.requests) == 12
        rejections = sidecar.app.stats.route("crm").rejections
        assert (rejections["revoked"], rejections["forbidden"]) == (1, 5)
        assert sidecar.app.routes[0].held_down_for_s > 25
    said = [record.getMessage() for record in caplog.records if "held down" in record.getMessage()]
    assert len(said) == 1, "once, and with what to do"
    assert "administrator" in said[0]


async def test_a_second_revocation_long_after_the_first_is_no_reason_to_hold_down() -> None:
    """Both times by a request that cannot be sent again: what was renewed long ago has helped."""
    tokens = Tokens()
    good = {b"token-2"}

    async def script(wire: Wire) -> None:
        while True:
            await wire.send(response() if tokens_of([await wire.request()])[0] in good else CHALLENGE)

    keys: dict[str, dict[str, object]] = {"route": {"replay_body_bytes": 10}, "refresh": {"hold_down_s": 0.2}}
    async with with_tokens(script, tokens, **keys) as (sidecar, _):
        assert (await sidecar.ask("POST", "/", body=b"x" * 500)).status == 401
        await until(lambda: tokens.count == 2)
        assert (await sidecar.ask("POST", "/", body=b"x" * 500)).status == 200
        await asyncio.sleep(0.25)
        good.clear()
        good.add(b"token-3")
        assert (await sidecar.ask("POST", "/", body=b"x" * 500)).status == 401
        await until(lambda: tokens.count == 3)
        assert (await sidecar.ask("POST", "/", body=b"x" * 500)).status == 200
        assert sidecar.app.stats.route("crm").rejections["forbidden"] == 0


async def test_a_crowd_that_starts_a_hold_down_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    """Each of their replays is rejected."""
    async with with_tokens(takes("nothing", gather=20), Tokens()) as (sidecar, _):
        answers = await asyncio.gather(*(sidecar.ask() for _ in range(20)))
        assert {answer.status for answer in answers} == {401}
    assert sum("held down" in record.getMessage() for record in caplog.records) == 1


async def test_an_old_token_s_late_rejection_in_a_hold_down_is_replayed_with_the_current_one() -> None:
    """Where that has not been rejected: it came after what led to the hold-down."""
    tokens = Tokens()
    late = asyncio.Event()

    async def script(wire: Wire) -> None:
        while True:
            request = await wire.request()
            if tokens_of([request])[0] == b"token-3":
                await wire.send(response())
                continue
            if request.target == b"/late":
                await late.wait()
            await wire.send(CHALLENGE)

    async with with_tokens(script, tokens) as (sidecar, upstream):
        first = asyncio.create_task(sidecar.ask(target="/late"))
        await until(lambda: len(upstream.requests) == 1)
        assert (await sidecar.ask()).status == 401  # token-1, token-2: the hold-down begins
        second = asyncio.create_task(sidecar.ask(target="/late"))
        await until(lambda: len(upstream.requests) == 4)
        await sidecar.app.refresh(None)
        late.set()
        assert (await first).status == (await second).status == 200
        assert tokens.count == 3
        assert sidecar.app.routes[0].held_down_for_s > 25


async def test_an_old_token_s_late_rejection_in_a_hold_down_is_relayed_where_the_current_one_is_no_better() -> None:
    """It is what was rejected: not one request more goes upstream."""
    tokens = Tokens()
    late = asyncio.Event()

    async def script(wire: Wire) -> None:
        while True:
            request = await wire.request()
            if request.target == b"/late":
                await late.wait()
            await wire.send(CHALLENGE)

    async with with_tokens(script, tokens) as (sidecar, upstream):
        slow = asyncio.create_task(sidecar.ask(target="/late"))
        await until(lambda: len(upstream.requests) == 1)
        assert (await sidecar.ask()).status == 401
        late.set()
        answer = await slow
        assert answer.head + answer.body == CHALLENGE
        assert len(upstream.requests) == 3
        assert tokens.count == 2


async def test_a_verdict_is_told_wherever_one_looks() -> None:
    """Status, readiness, metrics and page say for how long, why, and whom to ask; it is ready all the same."""
    async with with_tokens(takes("nothing"), Tokens()) as (sidecar, _):
        assert b'sidecar_route_held_down{route="crm"} 0.0' in await asked(sidecar, "/metrics")
        assert (await sidecar.ask()).status == 401
        ready = json.loads(await asked(sidecar, "/readyz?verbose"))
        status = json.loads(await asked(sidecar, "/status"))
        page = (await asked(sidecar, "/")).decode()
        metrics = await asked(sidecar, "/metrics")
    assert (ready["ready"], ready["reasons"]) == (True, [])
    for told in (ready, status):
        (held,) = told["held_down"]
        verdict = told["credentials"][0]["verdict"]
        assert 20 < held["hold_down_s"] <= 30 and 20 < verdict["ends_in_s"] <= 30
        assert held["reason"] == verdict["reason"] and held["remedy"] == verdict["remedy"]
        assert "administrator" in verdict["remedy"]
        assert told["credentials"][0]["error"] is None
    # Of the route, of the credential's token, and of the request that was answered 401.
    assert page.count("administrator") == 3
    assert b'sidecar_route_held_down{route="crm"} 1.0' in metrics


async def asked(sidecar: Running, path: str) -> bytes:
    """Return the body of an answer of the admin listener."""
    host, port = sidecar.app.admin_address
    wire = Wire(*await asyncio.open_connection(host, port, limit=2**20))
    await wire.send(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    answer = await wire.response()
    wire.close()
    assert answer.status == 200
    return answer.body


async def test_replay_memory_bounds_all_requests_together() -> None:
    """Where it is used up the original answer is relayed; it is given back afterwards."""
    tokens = Tokens()
    used = set()

    async def takes_each_once(wire: Wire) -> None:
        while True:
            (token,) = tokens_of([await wire.request()])
            await wire.send(CHALLENGE if token in used else response())
            used.add(token)

    async with with_tokens(takes_each_once, tokens, limits={"replay_memory_bytes": 1000}) as (sidecar, _):
        for count in range(1, 6):
            assert (await sidecar.ask("POST", "/", body=b"x" * 900)).status == 200
            assert tokens.count == count
        assert (await sidecar.ask("POST", "/", body=b"x" * 1001)).status == 401
        await until(lambda: tokens.count == 6)


async def test_an_expectation_is_replayed_too() -> None:
    """A 401 before the body was sent: the app hears "go on" once, and sends its body once."""

    async def script(wire: Wire) -> None:
        head = Message(await wire.head())
        if head.value("authorization") == b"Bearer token-1":
            await wire.send(CHALLENGE)
            await wire.ended()
            return
        await wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await wire.send(response(await wire.exactly(4)))

    async with with_tokens(script, Tokens()) as (sidecar, _):
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes("POST", "/", "Expect: 100-continue", "Content-Length: 4"))
        assert Message(await wire.head()).status == 100
        await wire.send(b"body")
        answer = await wire.response()
        assert (answer.status, answer.body) == (200, b"body")


async def test_a_403_is_relayed_and_costs_no_exchange() -> None:
    """It says that this account may not; another token would not change that."""
    tokens = Tokens()
    forbidden = response(b"no", status="403 Forbidden")
    async with with_tokens(takes(otherwise=forbidden), tokens) as (sidecar, upstream):
        wire = await sidecar.connect()
        for count in range(1, 101):
            await wire.send(sidecar.ask_bytes())
            assert await wire.exactly(len(forbidden)) == forbidden
            assert len(upstream.requests) == count
        assert tokens.count == 1


async def test_two_hundred_rejections_at_once_make_one_exchange() -> None:
    """Each request is replayed once, with its own body."""
    tokens = Tokens()

    async with with_tokens(takes("token-2", gather=200), tokens) as (sidecar, upstream):

        async def one(number: int) -> None:
            body = b"%d " % number * 500
            answer = await sidecar.ask("POST", f"/{number}", body=body)
            assert (answer.status, answer.body) == (200, hashlib.sha256(body).hexdigest().encode())

        await asyncio.gather(*(one(number) for number in range(200)))
        assert tokens.count == 2
        seen = sorted((request.target, tokens_of([request])[0]) for request in upstream.requests)
        assert seen == sorted((b"/%d" % n, token) for n in range(200) for token in (b"token-1", b"token-2"))


async def test_a_late_rejection_of_an_older_token_makes_no_exchange() -> None:
    """The current one is taken instead."""
    tokens = Tokens()
    late = asyncio.Event()

    async def script(wire: Wire) -> None:
        while True:
            request = await wire.request()
            if tokens_of([request]) == [b"token-2"]:
                await wire.send(response())
                continue
            if request.target == b"/late":
                await late.wait()
            await wire.send(CHALLENGE)

    async with with_tokens(script, tokens) as (sidecar, upstream):
        slow = asyncio.create_task(sidecar.ask(target="/late"))
        await until(lambda: len(upstream.requests) == 1)
        assert (await sidecar.ask()).status == 200
        late.set()
        assert (await slow).status == 200
        assert tokens.count == 2


async def test_an_app_that_leaves_during_the_exchange_does_not_end_it() -> None:
    """It belongs to the credential, and the next app has its token."""
    exchanging = asyncio.Event()
    tokens = Tokens(exchanging)
    exchanging.set()
    async with with_tokens(takes("token-2"), tokens) as (sidecar, upstream):
        exchanging.clear()
        wire = await sidecar.connect()
        await wire.send(sidecar.ask_bytes())
        await until(lambda: tokens.count == 2)
        wire.reset()
        await until(lambda: not sidecar.app_connections())
        exchanging.set()
        assert (await sidecar.ask()).status == 200
        assert tokens.count == 2
        assert tokens_of(upstream.requests) == [b"token-1", b"token-2"]


async def test_where_no_other_token_can_be_had_the_original_answer_is_relayed() -> None:
    """The token endpoint fails, or the key is the token."""
    failing = False

    class Failing(Tokens):
        async def __call__(self, wire: Wire) -> None:
            if not failing:
                await super().__call__(wire)
            await wire.request()
            await wire.send(response(b"", status="500 Down"))

    async with with_tokens(takes("nothing"), Failing()) as (sidecar, _):
        failing = True
        assert (await sidecar.ask()).head + b"who are you?" == CHALLENGE
    async with in_front_of(takes("nothing")) as (sidecar, upstream):
        assert (await sidecar.ask()).status == 401
        assert len(upstream.requests) == 1


async def test_a_401_without_a_token_of_ours_is_an_ordinary_answer() -> None:
    """A route without a credential, whatever the app sent itself."""
    async with in_front_of(takes("mine"), route={"credential": None}) as (sidecar, upstream):
        assert (await sidecar.ask("GET", "/", "Authorization: Bearer other")).status == 401
        assert (await sidecar.ask("GET", "/", "Authorization: Bearer mine")).status == 200
        assert len(upstream.requests) == 2


async def test_a_large_rejected_answer_is_not_waited_for() -> None:
    """What is not wanted is not read to its end; the replay takes another connection."""

    async def script(wire: Wire) -> None:
        request = await wire.request()
        if tokens_of([request]) == [b"token-2"]:
            await wire.send(response())
        await wire.send(b"HTTP/1.1 401 No\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 300_000)
        await wire.ended()

    async with with_tokens(script, Tokens()) as (sidecar, upstream):
        assert (await sidecar.ask()).status == 200
        assert len(upstream.connections) == 2


async def test_what_a_replay_waits_for_is_not_our_own_time() -> None:
    """Neither the first answer nor the exchange counts as overhead; only what we did between them."""

    async def script(wire: Wire) -> None:
        while True:
            request = await wire.request()
            await asyncio.sleep(0.1)
            await wire.send(response() if request.value("authorization") == b"Bearer token-2" else CHALLENGE)

    async with with_tokens(script, Tokens()) as (sidecar, _):
        assert (await sidecar.ask()).status == 200
        stats = sidecar.app.stats.routes["crm"]
        stats.count()
        assert stats.duration.total >= 0.199
        assert stats.overhead.total < 0.05
