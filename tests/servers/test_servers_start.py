"""The real servers do what the other tests take for granted; all by urllib, nothing of ours in between."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.servers import programs
from tests.servers.certificates import Certificates
from tests.servers.nginx import Nginx
from tests.servers.oauth2_mock import OAuth2Mock
from tests.servers.oidc import OidcProvider
from tests.servers.openbao import OpenBao
from tests.servers.pocketbase import PocketBase
from tests.servers.prometheus import Prometheus, promtool_check


def call(
    url: str,
    data: bytes | None = None,
    headers: dict[str, str] | None = None,
    method: str | None = None,
    context: ssl.SSLContext | None = None,
) -> tuple[int, bytes]:
    """Make one request and return status and body, whatever the status."""
    request = urllib.request.Request(url, data, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10, context=context) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_nginx_answers_over_tls_and_logs_what_it_saw(nginx: Nginx, certificates: Certificates) -> None:
    """Target and Authorization are in the log exactly, and the token is in no answer."""
    target = "/a%2Fb/../c?x=%20"
    answer = call(nginx.https_url + target, None, {"Authorization": "Bearer t"}, context=certificates.client_context())
    assert answer == (200, f"GET {target}\n".encode())
    (seen,) = nginx.seen(at_least=1)
    assert (seen.target, seen.authorization, seen.status) == (target, "Bearer t", 200)
    assert (seen.server_name, seen.host) == ("localhost", f"localhost:{nginx.https_port}")
    assert 0 <= seen.duration_s and seen.started_at <= seen.ended_at


def test_nginx_is_not_trusted_without_its_authority(nginx: Nginx, certificates: Certificates) -> None:
    """A stranger's authority does not vouch for it."""
    context = ssl.create_default_context(cafile=str(certificates.other_ca_file))
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        call(nginx.https_url, context=context)


def test_nginx_asks_for_a_client_certificate(nginx: Nginx, certificates: Certificates) -> None:
    """Without one it refuses; with one it logs whose it was."""
    assert call(nginx.mtls_url, context=certificates.client_context())[0] == 400
    assert call(nginx.mtls_url, context=certificates.client_context(with_certificate=True))[0] == 200
    assert [bool(seen.client_certificate) for seen in nginx.seen(at_least=2)] == [False, True]


@pytest.mark.parametrize(("path", "length"), [("/files/two", str(2 * 1024 * 1024)), ("/chunked/two", None)])
def test_nginx_serves_files_sized_and_chunked(nginx: Nginx, path: str, length: str | None) -> None:
    """A download is the file, with and without a length."""
    nginx.make_file("two", 2 * 1024 * 1024)
    with urllib.request.urlopen(nginx.http_url + path, timeout=10) as response:
        assert response.headers["Content-Length"] == length
        assert response.read() == (nginx.files_directory / "two").read_bytes()


def test_nginx_stores_uploads_and_reads_posts(nginx: Nginx) -> None:
    """PUT keeps the body; POST to the sink is answered after the whole of it."""
    digest = nginx.make_file("three", 3 * 1024 * 1024)
    body = (nginx.files_directory / "three").read_bytes()
    assert call(f"{nginx.http_url}/upload/three", body, method="PUT")[0] in (201, 204)
    assert nginx.upload_sha256("three") == digest
    assert call(f"{nginx.http_url}/sink", body) == (200, b"read\n")
    assert nginx.seen(at_least=2)[1].request_bytes > len(body)


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_nginx_answers_any_status(nginx: Nginx, status: int) -> None:
    """The status paths answer their status."""
    assert call(f"{nginx.http_url}/status/{status}")[0] == status


def oidc_exchange(server: OidcProvider, secret: str) -> tuple[int, dict[str, Any]]:
    """Exchange a client secret, by Basic."""
    basic = base64.b64encode(f"{server.basic_client_id}:{secret}".encode()).decode()
    status, body = call(server.token_url, b"grant_type=client_credentials", {"Authorization": f"Basic {basic}"})
    return status, json.loads(body)


def test_oidc_provider_issues_signed_tokens(oidc: OidcProvider) -> None:
    """The answer says how long the token lives, and the token verifies against the published keys."""
    before = len(oidc.answered())
    status, answer = oidc_exchange(oidc, oidc.client_secret)
    assert (status, answer["token_type"], answer["expires_in"]) == (200, "Bearer", oidc.token_life_s)
    claims = oidc.verify(answer["access_token"])
    assert claims["aud"] == oidc.audience
    assert [answered.status for answered in oidc.answered()[before:]] == [200]


def test_oidc_provider_takes_form_credentials(oidc: OidcProvider) -> None:
    """Its other client authenticates in the form."""
    form = {"grant_type": "client_credentials", "client_id": oidc.post_client_id, "client_secret": oidc.client_secret}
    status, body = call(oidc.token_url, urllib.parse.urlencode(form).encode())
    assert status == 200 and oidc.verify(json.loads(body)["access_token"])


def test_oidc_provider_rejects_a_bad_secret(oidc: OidcProvider) -> None:
    """A bad secret is 401, with the error of RFC 6749."""
    status, answer = oidc_exchange(oidc, "wrong")
    assert (status, answer["error"]) == (401, "invalid_client")


def test_oauth2_mock_fails_on_demand(oauth2_mock: OAuth2Mock) -> None:
    """Each fault once, in their order, and a token that verifies before and after them."""
    form = urllib.parse.urlencode({"grant_type": "client_credentials"}).encode()
    oauth2_mock.meet({"status": 503, "body": {"error": "down"}, "retry_after": "7"}, {"expires_in": 1})
    with pytest.raises(urllib.error.HTTPError) as failed:
        urllib.request.urlopen(oauth2_mock.token_url, form, timeout=10)
    with failed.value as answer:
        assert (answer.code, answer.headers["Retry-After"], answer.read()) == (503, "7", b'{"error":"down"}')
    short, usual = (json.loads(call(oauth2_mock.token_url, form)[1]) for _ in range(2))
    claims = oauth2_mock.verify(short["access_token"])
    assert short["expires_in"] == 1 == int(str(claims["exp"])) - int(str(claims["iat"]))
    assert usual["expires_in"] > 60 and oauth2_mock.verify(usual["access_token"])


def test_openbao_logs_in_and_out(openbao: OpenBao) -> None:
    """A login's token reads the secret until it is revoked (403); a secret id logs in until it is destroyed (400)."""
    secret_id = openbao.secret_id()
    fields = {"X-Vault-Token": openbao.login(secret_id)}
    assert call(openbao.url + openbao.secret_path, headers=fields)[0] == 200
    openbao.revoke_tokens()
    assert call(openbao.url + openbao.secret_path, headers=fields)[0] == 403
    openbao.destroy(secret_id)
    body = json.dumps({"role_id": openbao.role_id, "secret_id": secret_id}).encode()
    assert call(openbao.url + openbao.login_path, body)[0] == 400


def test_pocketbase_puts_the_expiry_into_the_token_alone(pocketbase: PocketBase) -> None:
    """The answer has no field for it; the JWT's `exp` is `token_life_s` away."""
    body = json.dumps({"identity": pocketbase.identity, "password": pocketbase.password}).encode()
    status, answer = call(pocketbase.exchange_url, body, {"Content-Type": "application/json"})
    fields = json.loads(answer)
    assert status == 200 and set(fields) == {"token", "record"}
    claims = jwt.decode(fields["token"], options={"verify_signature": False})
    assert set(claims) >= {"exp"} and "iat" not in claims
    assert pocketbase.verify(fields["token"])


def test_pocketbase_answers_400_to_a_bad_password(pocketbase: PocketBase) -> None:
    """Not 401."""
    body = json.dumps({"identity": pocketbase.identity, "password": "wrong"}).encode()
    assert call(pocketbase.exchange_url, body, {"Content-Type": "application/json"})[0] == 400


def test_pocketbase_kills_tokens_at_once(tmp_path: Path) -> None:
    """After a revocation and after another password, an older token is dead and a new one lives."""
    with PocketBase(tmp_path, token_life_s=60) as server:
        first = server.exchange()
        assert server.verify(first)
        server.revoke_tokens()
        assert not server.verify(first)
        second = server.exchange()
        server.change_password("another-password-of-the-tests")
        assert not server.verify(second)
        assert server.verify(server.exchange())


class Target(BaseHTTPRequestHandler):
    """Something to scrape."""

    def do_GET(self) -> None:
        """Answer with one counter."""
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b'# TYPE cups_total counter\ncups_total{size="big"} 3\n')

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def test_prometheus_scrapes_a_target(start_prometheus: Callable[[str], Prometheus]) -> None:
    """A counter arrives with its label; a target that answers no longer is down."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Target) as target:
        serving = threading.Thread(target=target.serve_forever)
        serving.start()
        try:
            prometheus = start_prometheus(f"127.0.0.1:{target.server_port}")
            ((labels, value),) = prometheus.wait_for("cups_total")
        finally:
            target.shutdown()
            serving.join()
    assert (labels["size"], value) == ("big", 3.0)
    assert prometheus.wait_for("up == 0") and prometheus.target()["health"] == "down"


def test_promtool_has_an_opinion() -> None:
    """Good metrics pass in silence, bad ones do not."""
    assert promtool_check("# HELP a_total Things.\n# TYPE a_total counter\na_total 1\n") == ""
    assert "help text" in promtool_check("# TYPE a_total counter\na_total 1\n")


def test_a_stopped_server_comes_back_on_its_address(tmp_path: Path, certificates: Certificates) -> None:
    """For tests of outages: refused while stopped, answered after the next start."""
    with Nginx(tmp_path, certificates) as server:
        server.stop()
        with pytest.raises(urllib.error.URLError):
            call(server.http_url)
        server.start()
        assert call(server.http_url)[0] == 200


def test_a_missing_server_skips_here_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """A skipped real server must not pass for a tested one in continuous integration."""
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception):
        programs.require("no-such-program")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception):
        programs.require("no-such-program")
