"""What stands around a client: nginx and the mirror, and a sidecar in front of both, all real processes or threads.

`/mirror/` is the mirror's, `/NAME/` that of a further upstream, everything else is nginx's. No prefix is stripped:
what differs between a direct request and one through the sidecar is the port alone.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.clients.asks import ONE_MIB, Ask, content
from tests.clients.mirror import Mirror
from tests.main_job.process import SidecarProcess
from tests.servers.nginx import Nginx

KEY = "key-of-the-clients-tests"
TOKEN = "Bearer token-1"


class Stand:
    """A sidecar, and what is behind it."""

    def __init__(self, nginx: Nginx, mirror: Mirror, sidecar: SidecarProcess, socket: Path) -> None:
        self.nginx = nginx
        self.mirror = mirror
        self.sidecar = sidecar
        self.socket = socket
        self.url = f"http://127.0.0.1:{sidecar.port}"

    def direct(self, ask: Ask) -> str:
        """Return the URL of an ask, without the sidecar; nothing of an earlier one is left."""
        for folder in self.nginx.uploads_directory.iterdir():
            folder.unlink()
        return (self.mirror.url if ask.path.startswith("/mirror/") else self.nginx.http_url) + ask.path

    def through(self, ask: Ask) -> str:
        """Return the URL of an ask through the sidecar; nothing of an earlier one is left."""
        self.direct(ask)
        return self.url + ask.path

    def assert_ours_alone(self) -> None:
        """What has come upstream carried our token, the upstream's own Host, and nothing of the app's connection."""
        assert {seen.authorization for seen in self.nginx.seen()} <= {TOKEN}
        host = self.mirror.url.removeprefix("http://")
        assert [kept for kept in self.mirror.kept_back if kept != {"host": host, "authorization": TOKEN}] == []


def credential(issuer_url: str, **keys: Any) -> dict[str, Any]:
    """Return a credential whose tokens a mirror at this URL issues."""
    exchange = {
        "url": f"{issuer_url}/token",
        "json": {"apiKey": "{api_key}"},
        "response": {"token": "/token", "expires_in": "/expires_in"},
    }
    return {"api_key": {"env": "CLIENTS_KEY"}, "exchange": exchange, **keys}


def configuration(mirror: Mirror, nginx: Nginx, others: Mapping[str, str], listen: list[str]) -> dict[str, Any]:
    """Return a configuration with one credential for all upstreams."""
    upstreams = {"mirror": mirror.url, **others}
    return {
        "listen": listen,
        "credentials": {"app": credential(mirror.url)},
        "routes": [
            {"name": "nginx", "upstream": nginx.http_url, "credential": "app"},
            *(
                {"name": name, "match": {"path": f"/{name}/"}, "upstream": url, "credential": "app"}
                for name, url in upstreams.items()
            ),
        ],
    }


@contextmanager
def stand(directory: Path, nginx: Nginx, **others: str) -> Iterator[Stand]:
    """Start all of it, but for nginx, which is there; end it, and look at what the sidecar has said.

    Args:
        others: URLs of further upstreams, by name.
    """
    (nginx.files_directory / "one").write_bytes(content(ONE_MIB))
    with serving() as mirror:
        sidecar = SidecarProcess(directory, {}, {"CLIENTS_KEY": KEY})
        socket = directory / "app.sock"
        sidecar.configure(configuration(mirror, nginx, others, [f"127.0.0.1:{sidecar.port}", f"unix:{socket}"]))
        with discreet(sidecar):
            yield Stand(nginx, mirror, sidecar, socket)


@contextmanager
def discreet(sidecar: SidecarProcess) -> Iterator[SidecarProcess]:
    """Run it; at its end it must have met no defect, and have said nothing of the key or of a token."""
    with sidecar:
        yield sidecar
    output = sidecar.output()
    assert "Traceback" not in output and KEY not in output and "token-" not in output, output


@contextmanager
def serving() -> Iterator[Mirror]:
    """Run a mirror."""
    with Mirror() as mirror:
        thread = threading.Thread(target=mirror.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield mirror
        finally:
            mirror.shutdown()
            thread.join()
