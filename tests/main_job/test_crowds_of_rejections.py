"""Crowds that the upstream turns away: few exchanges, and each request sent again once at most, whole."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.fakes import Message, Tokens, Wire, response, upstream
from tests.main_job.client import Admin, Client
from tests.main_job.configuration import ENVIRON, pocketbase_credential, route, vendor_credential
from tests.main_job.process import running
from tests.main_job.vendors import vendor
from tests.servers.nginx import Nginx
from tests.servers.pocketbase import PocketBase

CONNECTIONS = 20


async def ask_all(client: Client, targets: Iterable[str]) -> list[Message]:
    """Ask for each target, on a few connections that are kept; return the answers."""
    left = iter(targets)
    answers: list[Message] = []

    async def work() -> None:
        async with client.connected() as wire:
            for target in left:
                await wire.send(client.request("GET", target))
                answers.append(await wire.response())

    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return answers


async def test_a_crowd_with_a_revoked_token(tmp_path: Path) -> None:
    """200 uploads are rejected with one token: one exchange, each sent once more, byte for byte."""
    bodies = [bytes([number]) * (20_000 + number) for number in range(200)]
    tokens_flow, revoked = asyncio.Event(), False
    tokens_flow.set()

    async def script(wire: Wire) -> None:
        while True:
            request = await wire.request()
            if revoked and request.value("authorization") == b"Bearer token-1":
                await wire.send(response(status="401 Unauthorized"))
                # The exchange lasts until the whole crowd has been rejected.
                if len(server.requests) == 1 + len(bodies):
                    tokens_flow.set()
            else:
                await wire.send(response(hashlib.sha256(request.body).digest()))

    async with upstream(Tokens(wait_for=tokens_flow)) as endpoint, upstream(script) as server:
        configuration = {
            "credentials": {"crm": vendor_credential(f"http://127.0.0.1:{endpoint.port}")},
            "routes": [route("crm", f"http://127.0.0.1:{server.port}", "crm")],
        }
        async with running(tmp_path, configuration, ENVIRON) as sidecar:
            client, admin = Client(sidecar.port), Admin(sidecar.admin_port)
            assert (await client.ask("GET", "/crm/")).status == 200
            tokens_flow.clear()
            revoked = True
            answers = await asyncio.gather(*(client.ask("POST", "/crm/", body=body) for body in bodies))
            figures = await admin.figures()
    assert [answer.status for answer in answers] == [200] * len(bodies)
    assert [answer.body for answer in answers] == [hashlib.sha256(body).digest() for body in bodies]
    assert len(endpoint.requests) == 2
    sent = Counter((request.body, request.value("authorization")) for request in server.requests[1:])
    assert sent == Counter((body, token) for body in bodies for token in (b"Bearer token-1", b"Bearer token-2"))
    assert figures.sum("sidecar_rejections_total", route="crm", kind="revoked") == len(bodies)
    assert figures.sum("sidecar_replays_total", route="crm", outcome="ok") == len(bodies)


async def test_a_real_server_that_killed_the_token(tmp_path: Path) -> None:
    """PocketBase answers 401 to it; the app sees 200, from one exchange."""
    folder = tmp_path / "pocketbase"
    folder.mkdir()
    with PocketBase(folder, token_life_s=600) as server:
        configuration = {
            "credentials": {"records": pocketbase_credential(server)},
            "routes": [route("records", server.api_url, "records")],
        }
        async with running(tmp_path, configuration, ENVIRON) as sidecar:
            client, admin = Client(sidecar.port), Admin(sidecar.admin_port)
            before = await client.ask("GET", f"/records{server.protected_path}")
            await asyncio.to_thread(server.revoke_tokens)
            after = await client.ask("GET", f"/records{server.protected_path}")
            figures = await admin.figures()
    assert (before.status, after.status) == (200, 200)
    assert before.body == after.body
    assert figures.sum("sidecar_exchanges_total", outcome="ok", trigger="rejection") == 1
    assert figures.sum("sidecar_exchanges_total") == 2


async def test_forbidden_for_ever(tmp_path: Path, nginx: Nginx) -> None:
    """1,000 times 403 is relayed 1,000 times: no exchange, nothing sent again."""
    async with vendor() as endpoint:
        configuration = {
            "credentials": {"crm": vendor_credential(endpoint)},
            "routes": [route("crm", nginx.http_url, "crm")],
        }
        async with running(tmp_path, configuration, ENVIRON) as sidecar:
            client, admin = Client(sidecar.port), Admin(sidecar.admin_port)
            await admin.ready()
            answers = await ask_all(client, ["/crm/status/403"] * 1000)
            figures = await admin.figures()
        assert endpoint.journal.counters.exchanges == 1
    assert Counter((answer.status, answer.body) for answer in answers) == {(403, b"no\n"): 1000}
    assert len(nginx.seen(at_least=1000)) == 1000
    assert figures.sum("sidecar_rejections_total") == figures.sum("sidecar_replays_total") == 0


async def test_rejected_for_ever(tmp_path: Path, nginx: Nginx) -> None:
    """1,000 times 401 is relayed 1,000 times: three exchanges at most, and another route goes on as before."""
    async with vendor() as endpoint:
        configuration = {
            "credentials": {"crm": vendor_credential(endpoint)},
            "routes": [route("bad", nginx.http_url, "crm"), route("good", nginx.http_url, "crm")],
        }
        async with running(tmp_path, configuration, ENVIRON) as sidecar:
            client, admin = Client(sidecar.port), Admin(sidecar.admin_port)
            targets = [f"/good/{number}" if number % 10 == 0 else "/bad/status/401" for number in range(1111)]
            answers = await ask_all(client, targets)
            figures = await admin.figures()
            verbose = await admin.json("/readyz?verbose")
        renewals = endpoint.journal.counters.exchanges - 1
    assert Counter(answer.status for answer in answers) == {401: 999, 200: 112}
    assert all(answer.value("www-authenticate") is not None for answer in answers if answer.status == 401)
    assert 1 <= renewals <= 3
    # Each was sent twice at most, and only those were that were on their way before the hold-down.
    sent = [request.status for request in nginx.seen(at_least=1111)]
    assert sent.count(200) == 112
    assert sent.count(401) - 999 == figures.sum("sidecar_replays_total", route="bad") <= CONNECTIONS * renewals
    assert figures.sum("sidecar_rejections_total", route="bad") == 999
    assert [held["route"] for held in verbose["held_down"]] == ["bad"]
    assert "not help" in verbose["held_down"][0]["remedy"]
