"""Routes that share a credential: what one of them does not take is no verdict for the others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.fakes import Message, Script, Tokens, Wire, response, until, upstream
from tests.wire.running import Running, exchanging, route_to, sidecar
from tests.wire.test_rejection import CHALLENGE, tokens_of

FIRST, SECOND, THIRD = b"token-1", b"token-2", b"token-3"


class Api:
    """Takes the tokens that are good, but for some paths none."""

    def __init__(self, *, forbidden: tuple[bytes, ...]) -> None:
        self.good = {FIRST, SECOND, THIRD}
        self.requests: list[Message] = []
        self._forbidden = forbidden

    async def __call__(self, wire: Wire) -> None:
        while True:
            request = await wire.request()
            self.requests.append(request)
            taken = request.target not in self._forbidden and tokens_of([request])[0] in self.good
            await wire.send(response() if taken else CHALLENGE)


@asynccontextmanager
async def two_routes(api: Script, tokens: Script, replay_body_bytes: int = 2**20) -> AsyncIterator[Running]:
    """Run a sidecar with the routes `/a/` and `/b/`, one credential, and its first token."""
    async with upstream(tokens) as endpoint, upstream(api) as server:
        routes = [
            route_to(server.port, f"/{name}/", name=name, replay_body_bytes=replay_body_bytes) for name in ("a", "b")
        ]
        async with sidecar(*routes, credential=exchanging(endpoint.port)) as running:
            await running.app.refresh(None)
            yield running


async def statuses(running: Running, *targets: str, body: bytes = b"") -> list[int]:
    """Ask for each in turn; return the answers' statuses."""
    return [(await running.ask("POST" if body else "GET", target, body=body)).status for target in targets]


async def test_a_token_that_is_revoked_while_another_route_is_held_down() -> None:
    """`/b/` took it, whatever `/a/` says of it: one exchange for the whole crowd, and no app sees a 401."""
    tokens, api = Tokens(), Api(forbidden=(b"/a/",))
    async with two_routes(api, tokens) as running:
        assert await statuses(running, "/b/", "/a/", "/b/") == [200, 401, 200]
        assert tokens.count == 2
        api.good.remove(SECOND)
        crowd = await asyncio.gather(*(running.ask("GET", "/b/") for _ in range(27)))
        assert {answer.status for answer in crowd} == {200}
        assert await statuses(running, "/a/", "/b/") == [401, 200]
        assert tokens.count == 3


async def test_the_same_where_the_request_cannot_be_sent_again() -> None:
    """It gets its 401, and the next one the new token: the exchange does not wait for it."""
    tokens, api = Tokens(), Api(forbidden=(b"/a/",))
    async with two_routes(api, tokens, replay_body_bytes=1) as running:
        assert await statuses(running, "/a/", "/b/") == [401, 200]
        api.good.remove(SECOND)
        assert await statuses(running, "/b/", body=b"large") == [401]
        await until(lambda: tokens.count == 3)
        assert await statuses(running, "/b/", body=b"large") == [200]
        assert tokens.count == 3


async def test_a_token_that_the_other_route_has_never_taken() -> None:
    """Nothing says that it was ever good there: no exchange in the hold-down."""
    tokens, api = Tokens(), Api(forbidden=(b"/a/", b"/b/"))
    async with two_routes(api, tokens) as running:
        assert await statuses(running, *["/a/", "/b/"] * 5) == [401] * 10
        assert tokens.count == 2


async def test_routes_that_take_a_token_here_and_reject_it_there() -> None:
    """They do not make each other exchange on and on: one exchange each in a hold-down."""
    tokens, api = Tokens(), Api(forbidden=(b"/a/no", b"/b/no"))
    async with two_routes(api, tokens) as running:
        asked = await statuses(running, *["/a/", "/b/", "/a/no", "/b/no"] * 10)
        assert asked == [200, 200, 401, 401] * 10
        assert tokens.count == 3


async def test_an_endpoint_that_has_no_other_token() -> None:
    """An exchange has shown it: the routes that took the token cause no more of them in a hold-down than others."""
    api = Api(forbidden=(b"/a/",))
    exchanges = 0

    async def the_same_again(wire: Wire) -> None:
        nonlocal exchanges
        while True:
            await wire.request()
            exchanges += 1
            body = json.dumps({"token": "token-1", "expires_in": 3600}).encode()
            await wire.send(response(body, "Content-Type: application/json"))

    async with two_routes(api, the_same_again) as running:
        assert await statuses(running, "/b/", "/a/", "/b/") == [200, 401, 200]
        assert exchanges == 2
        api.good.remove(FIRST)
        assert await statuses(running, *["/b/"] * 10) == [401] * 10
        assert exchanges == 2
