"""Clients that know `http_proxy`, as they are installed: the URL is the API's own, and nothing resolves its name.

The upstream is nginx by TLS; the proxy asks for a token, which each client takes from the proxy's URL.
"""

from __future__ import annotations

import asyncio
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import httpx
import pytest
import requests

from tests.clients.asks import ONE_MIB, content
from tests.clients.stand import KEY, TOKEN, credential, discreet, serving
from tests.clients.test_curl import TIMEOUT_S
from tests.main_job.process import SidecarProcess
from tests.ports import free_port
from tests.servers import programs
from tests.servers.certificates import Certificates
from tests.servers.nginx import Nginx

PASSWORD = "let-the-app-in"
# One that resolves nowhere: who asks for it without the proxy gets nothing.
API = "http://api.test"
# Gets a megabyte, posts one, and returns both statuses and what it got.
Client = Callable[[], tuple[int, int, bytes]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, shared_nginx: Nginx, certificates: Certificates) -> Iterator[str]:
    """A proxy in front of nginx; its address."""
    (shared_nginx.files_directory / "one").write_bytes(content(ONE_MIB))
    address = f"127.0.0.1:{free_port()}"
    with serving() as issuer:
        upstream = {"url": shared_nginx.https_url, "tls": {"ca_file": str(certificates.ca_file)}}
        configuration = {
            "listen": {"address": address, "mode": "forward"},
            "gate": {"require_token": {"env": "PROXY_TOKEN"}},
            "credentials": {"app": credential(issuer.url)},
            "routes": [{"name": "api", "match": {"host": "api.test"}, "upstream": upstream, "credential": "app"}],
        }
        environ = {"CLIENTS_KEY": KEY, "PROXY_TOKEN": PASSWORD}
        with discreet(SidecarProcess(tmp_path_factory.mktemp("proxy"), configuration, environ)) as sidecar:
            yield address
        assert PASSWORD not in sidecar.output()


@pytest.fixture
def proxied(place: str, shared_nginx: Nginx, monkeypatch: pytest.MonkeyPatch) -> str:
    """The proxy's URL, also in the environment; nginx's log is empty."""
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://any:{PASSWORD}@{place}")
    shared_nginx.forget()
    return f"http://any:{PASSWORD}@{place}"


def by_requests() -> tuple[int, int, bytes]:
    """A session, which trusts the environment."""
    with requests.Session() as session:
        got = session.get(f"{API}/files/one")
        return got.status_code, session.post(f"{API}/sink", data=content(ONE_MIB)).status_code, got.content


def by_httpx() -> tuple[int, int, bytes]:
    """A client, which trusts the environment."""
    with httpx.Client() as client:
        got = client.get(f"{API}/files/one")
        return got.status_code, client.post(f"{API}/sink", content=content(ONE_MIB)).status_code, got.content


def by_urllib() -> tuple[int, int, bytes]:
    """What Python has of its own."""
    urlopen = urllib.request.build_opener().open  # the shared one remembers the environment of before
    with urlopen(f"{API}/files/one") as got, urlopen(f"{API}/sink", content(9)) as posted:
        return got.status, posted.status, got.read()


def by_aiohttp() -> tuple[int, int, bytes]:
    """A session that was told to trust the environment."""

    async def run() -> tuple[int, int, bytes]:
        async with aiohttp.ClientSession(trust_env=True) as session:
            async with session.get(f"{API}/files/one") as got, session.post(f"{API}/sink", data=b"x" * 9) as posted:
                return got.status, posted.status, await got.read()

    return asyncio.run(run())


def curl(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run curl as a person does, with the environment's proxy but nobody's configuration."""
    command = [str(programs.require("curl")), "-q", "-sS", "--max-time", "10", *arguments]
    return subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)


def by_curl() -> tuple[int, int, bytes]:
    """With the environment."""
    got = curl("-w", "%{http_code}", f"{API}/files/one").stdout
    posted = curl("-w", "%{http_code}", "-o", "/dev/null", "--data-binary", "x" * 9, f"{API}/sink").stdout
    return int(got[-3:]), int(posted), got[:-3]


@pytest.mark.parametrize("client", [by_requests, by_httpx, by_urllib, by_aiohttp, by_curl])
@pytest.mark.usefixtures("proxied")
def test_a_client_with_nothing_but_http_proxy(client: Client, shared_nginx: Nginx) -> None:
    """It gets what is there; upstream came our token, by TLS, and the API's own Host."""
    assert client() == (200, 200, content(ONE_MIB))
    seen = shared_nginx.seen(at_least=2)
    assert {(one.authorization, one.host) for one in seen} == {(TOKEN, f"localhost:{shared_nginx.https_port}")}


PROGRAM = """\
import java.net.Authenticator;
import java.net.HttpURLConnection;
import java.net.PasswordAuthentication;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;

public class ProxyClient {
    public static void main(String[] arguments) throws Exception {
        var authenticator = new Authenticator() {
            protected PasswordAuthentication getPasswordAuthentication() {
                return new PasswordAuthentication("any", arguments[1].toCharArray());
            }
        };
        var request = HttpRequest.newBuilder(URI.create(arguments[0])).build();
        var client = HttpClient.newBuilder().authenticator(authenticator).build();
        System.out.println(client.send(request, BodyHandlers.ofByteArray()).body().length);
        Authenticator.setDefault(authenticator);
        var connection = (HttpURLConnection) URI.create(arguments[0]).toURL().openConnection();
        System.out.println(connection.getInputStream().readAllBytes().length);
    }
}
"""


def test_java_with_nothing_but_its_properties(place: str, shared_nginx: Nginx, tmp_path: Path) -> None:
    """Both of its clients send the token only when they are asked for it, which a 403 would not do."""
    shared_nginx.forget()
    (tmp_path / "ProxyClient.java").write_text(PROGRAM)
    host, port = place.split(":")
    command = [
        *(str(programs.require("java")), "-XX:TieredStopAtLevel=1", f"-Dhttp.proxyHost={host}"),
        *(f"-Dhttp.proxyPort={port}", str(tmp_path / "ProxyClient.java"), f"{API}/files/one", PASSWORD),
    ]
    done = subprocess.run(command, capture_output=True, timeout=50, check=False)
    assert done.stdout.split() == [str(ONE_MIB).encode()] * 2, done.stderr.decode()
    assert {one.authorization for one in shared_nginx.seen(at_least=2)} == {TOKEN}


def test_what_it_does_not_serve(proxied: str, shared_nginx: Nginx) -> None:
    """Another host, a tunnel, and whoever has not the token."""
    other = curl("http://other.test/")
    assert b"name it in NO_PROXY" in other.stdout
    tunnel = curl("--proxy", proxied, "https://api.test/")
    assert tunnel.returncode != 0 and b"405" in tunnel.stderr
    stranger = curl("--proxy", proxied.replace(f"any:{PASSWORD}@", ""), "-w", "%{http_code}", f"{API}/files/one")
    assert stranger.stdout.endswith(b"407") and b"http_proxy=http://any:TOKEN@" in stranger.stdout
    assert shared_nginx.seen() == []
