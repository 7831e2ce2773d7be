"""A reload that changes a credential: no request fails or waits for it, and its token goes nowhere new."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

from sidecar.config.values import CredentialConfig, KeyConfig
from sidecar.credentials.rules import RefreshRules
from sidecar.secret import Secret
from tests.fakes import Tokens, Wire, response, until, upstream
from tests.wire.running import Running, config, exchanging, route_to, sidecar
from tests.wire.test_reload import Loads


async def echo(wire: Wire) -> None:
    """Answer with the token that came."""
    while True:
        request = await wire.request()
        await wire.send(response(request.value("authorization") or b"none"))


def with_key(credential: CredentialConfig, key: str) -> CredentialConfig:
    """Return the same with another key."""
    return replace(credential, api_key=KeyConfig("value", value=Secret(key)))


async def answered(running: Running) -> bytes:
    """Ask once; the answer has to be there in much less than an exchange takes that hangs."""
    async with asyncio.timeout(2):
        answer = await running.ask()
    assert answer.status == 200, answer
    return answer.body


async def test_other_rules_for_its_renewal_keep_the_token() -> None:
    """Nothing is exchanged: the token is as good as before."""
    tokens = Tokens()
    async with upstream(tokens) as endpoint, upstream(echo) as server:
        route, old = route_to(server.port), exchanging(endpoint.port)
        loads = Loads(config(route, credential=replace(old, refresh=RefreshRules(window_s=5.0))))
        async with sidecar(route, credential=old, load=loads) as running:
            assert await answered(running) == b"Bearer token-1"
            await running.app.reload()
            assert await answered(running) == b"Bearer token-1"
            assert tokens.count == 1
            (status,) = running.app.credentials()
            assert (status.state, status.expires_at is not None) == ("fresh", True)


async def test_another_key_is_exchanged_behind_the_old_token() -> None:
    """Requests go on with the old one until the exchange has brought the new one."""
    may_answer = asyncio.Event()
    may_answer.set()
    tokens = Tokens(may_answer)
    async with upstream(tokens) as endpoint, upstream(echo) as server:
        route, old = route_to(server.port), exchanging(endpoint.port)
        loads = Loads(config(route, credential=with_key(old, "another-key")))
        async with sidecar(route, credential=old, load=loads) as running:
            assert await answered(running) == b"Bearer token-1"
            may_answer.clear()
            await running.app.reload()
            await until(lambda: tokens.count == 2)
            assert await answered(running) == b"Bearer token-1"
            may_answer.set()
            async with asyncio.timeout(2):
                while await answered(running) != b"Bearer token-2":
                    pass
            assert json.loads(endpoint.requests[-1].body) == {"key": "another-key"}


async def test_another_key_that_is_refused_leaves_the_old_token_in_use() -> None:
    """As in a rotation; the state says it."""

    async def particular(wire: Wire) -> None:
        while True:
            request = await wire.request()
            good = b"another" not in request.body
            body = json.dumps({"token": "token-1", "expires_in": 3600}).encode()
            await wire.send(response(body) if good else response(b"{}", status="401 Unauthorized"))

    async with upstream(particular) as endpoint, upstream(echo) as server:
        route, old = route_to(server.port), exchanging(endpoint.port)
        loads = Loads(config(route, credential=with_key(old, "another-key")))
        async with sidecar(route, credential=old, load=loads) as running:
            assert await answered(running) == b"Bearer token-1"
            await running.app.reload()
            await until(lambda: running.app.credentials()[0].state == "key_rejected")
            assert await answered(running) == b"Bearer token-1"
            assert running.app.credentials()[0].usable


async def test_a_token_does_not_go_to_another_vendor() -> None:
    """Exchange and upstream are others under the same name: the request waits for its own token."""
    async with (
        upstream(Tokens()) as endpoint,
        upstream(Tokens()) as other,
        upstream(echo) as one,
        upstream(echo) as two,
    ):
        old, new = exchanging(endpoint.port), exchanging(other.port)
        loads = Loads(config(route_to(two.port), credential=new))
        async with sidecar(route_to(one.port), credential=old, load=loads) as running:
            assert await answered(running) == b"Bearer token-1"
            other.script = Tokens()
            other.script.count = 10
            await running.app.reload()
            assert await answered(running) == b"Bearer token-11"
            assert [request.value("authorization") for request in two.requests] == [b"Bearer token-11"]


async def test_who_waits_for_the_first_token_gets_it() -> None:
    """Also where the credential that it waits for has been let go meanwhile."""
    may_answer = asyncio.Event()
    async with upstream(Tokens(may_answer)) as endpoint, upstream(echo) as server:
        route, old = route_to(server.port), exchanging(endpoint.port)
        loads = Loads(config(route, credential=replace(old, refresh=RefreshRules(window_s=5.0))))
        async with sidecar(route, credential=old, load=loads) as running:
            waiting = [asyncio.create_task(running.ask()) for _ in range(3)]
            await until(lambda: len(running.app_connections()) == 3 and endpoint.requests)
            await asyncio.sleep(0.02)
            await running.app.reload()
            waiting.append(asyncio.create_task(running.ask()))
            await asyncio.sleep(0.02)
            may_answer.set()
            async with asyncio.timeout(2):
                assert {(await one).status for one in waiting} == {200}
            # Nothing of the one that was let go stays behind.
            await until(lambda: all(task.done() for task in asyncio.all_tasks() if "_let_go" in repr(task)))


async def test_a_file_that_takes_long_holds_up_nobody() -> None:
    """It is read beside the requests; a stop meanwhile takes no part of it."""
    import threading

    go_on = threading.Event()

    async with upstream(echo) as server:
        route = route_to(server.port)
        loads = Loads(config(route))

        def slowly() -> object:
            go_on.wait(5)
            return config(route)

        loads.loaded = slowly  # type: ignore[assignment]  # it is a configuration in the end
        async with sidecar(route, load=loads) as running:
            reloading = asyncio.create_task(running.app.reload())
            await asyncio.sleep(0.02)
            assert await answered(running) == b"Bearer the-key"
            assert not reloading.done()
            go_on.set()
            await reloading
            assert running.app.gauges().reload_successful


async def test_a_token_that_is_rejected_after_the_reload_is_replaced() -> None:
    """The request was on its way before it: it gets the new token of the credential that is there now."""
    may_answer = asyncio.Event()

    async def script(wire: Wire) -> None:
        while True:
            request = await wire.request()
            token = request.value("authorization") or b"none"
            if request.target == b"/slow" and token == b"Bearer token-1":
                await may_answer.wait()
                await wire.send(response(b"no", status="401 Unauthorized"))
            else:
                await wire.send(response(token))

    tokens = Tokens()
    async with upstream(tokens) as endpoint, upstream(script) as server:
        route, old = route_to(server.port), exchanging(endpoint.port)
        loads = Loads(config(route, credential=replace(old, refresh=RefreshRules(window_s=5.0))))
        async with sidecar(route, credential=old, load=loads) as running:
            assert await answered(running) == b"Bearer token-1"
            let_go = running.app._tasks.named[running.app._parts.credentials["crm"].credential]
            asking = asyncio.create_task(running.ask("GET", "/slow"))
            await until(lambda: len(server.requests) == 2)
            await running.app.reload()
            await until(let_go.done)
            may_answer.set()
            async with asyncio.timeout(2):
                answer = await asking
            assert (answer.status, answer.body, tokens.count) == (200, b"Bearer token-2", 2)
            assert await answered(running) == b"Bearer token-2"


async def test_a_token_found_bad_after_the_reload_is_renewed() -> None:
    """Where nobody waits for the new one: the credential that is there now fetches it."""
    tokens = Tokens()
    async with upstream(tokens) as endpoint, upstream(echo) as server:
        route, old = route_to(server.port), exchanging(endpoint.port)
        loads = Loads(config(route, credential=replace(old, refresh=RefreshRules(window_s=5.0))))
        async with sidecar(route, credential=old, load=loads) as running:
            assert await answered(running) == b"Bearer token-1"
            credential = running.app._parts.credentials["crm"].credential
            token = credential.current()
            assert token is not None
            task = running.app._tasks.named[credential]
            await running.app.reload()
            await until(task.done)
            credential.renew_after(token)
            await until(lambda: tokens.count == 2)
            async with asyncio.timeout(2):
                while await answered(running) != b"Bearer token-2":
                    pass
