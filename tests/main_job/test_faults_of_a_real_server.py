"""A token endpoint that nobody here wrote, with one fault after another: what each means, and that no token is lost."""

from __future__ import annotations

from pathlib import Path

from tests.main_job.client import Admin, Client
from tests.main_job.configuration import route
from tests.main_job.process import running
from tests.servers.nginx import Nginx
from tests.servers.oauth2_mock import Fault, OAuth2Mock

SECRET = "client-secret-of-the-mock"
# Each try of these tests is ordered; none comes by itself in between.
REFRESH = {"budget": "60/1m", "backoff": {"first": "1h", "most": "1h"}}


async def test_one_fault_after_another(tmp_path: Path, nginx: Nginx, oauth2_mock: OAuth2Mock) -> None:
    """A start into a 503 with Retry-After; then what is malformed, refused or short-lived, on top of a good token."""
    exchange = {"url": oauth2_mock.token_url, "basic": {"username": "a client: of theirs"}}
    credential = {"preset": "oauth2", "api_key": {"env": "SECRET"}, "exchange": exchange, "refresh": REFRESH}
    configuration = {"credentials": {"mock": credential}, "routes": [route("a", nginx.http_url, "mock")]}
    oauth2_mock.meet({"status": 503, "body": {"error": "temporarily_unavailable"}, "retry_after": "3600"})
    async with running(tmp_path, configuration, {"SECRET": SECRET}) as sidecar:
        client, admin = Client(sidecar.port), Admin(sidecar.admin_port)
        await sidecar.said("status 503; next try in 360")
        assert (await client.ask("GET", "/a/")).status == 503
        assert (await admin.ask("POST", "/-/refresh")).status == 200
        faults: list[tuple[Fault, str]] = [
            ({"body": "<html>"}, "bad_response"),
            ({"body": {"token_type": "Bearer"}}, "bad_response"),
            ({"body": {"access_token": "a\r\nb: c"}}, "bad_response"),
            ({"body": {"access_token": "abc", "expires_in": "soon"}}, "bad_response"),
            ({"status": 429, "body": {}, "retry_after": "3600"}, "rate_limited"),
            ({"status": 500, "body": {"error": "server_error"}}, "server_error"),
            ({"status": 400, "body": {"error": "invalid_grant"}}, "key_rejected"),
        ]
        before = await admin.figures()
        for number, (fault, outcome) in enumerate(faults):
            oauth2_mock.meet(*[fault] * 5)
            assert (await admin.ask("POST", "/-/refresh")).status == 502, fault
            (state,) = (await admin.json("/status"))["credentials"]
            assert state["last_exchange"]["outcome"] == outcome, (number, fault)
            assert (await client.ask("GET", "/a/")).status == 200
        oauth2_mock.meet({"expires_in": 1})
        assert (await admin.ask("POST", "/-/refresh")).status == 200
        # Renewed before its second is over, and worn: by now every fault has been met.
        ok = before.sum("sidecar_exchanges_total", outcome="ok")
        await admin.until(ok + 2, "sidecar_exchanges_total", outcome="ok")
        assert (await client.ask("GET", "/a/")).status == 200
    worn = {seen.authorization.removeprefix("Bearer ") for seen in nginx.seen(at_least=len(faults) + 1)}
    assert len(worn) == 2 and all(oauth2_mock.verify(token)["iss"] == oauth2_mock.issuer for token in worn)
