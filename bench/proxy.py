"""A proxy under measurement: started on its core, and ready, which is when it answers with a token."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from bench.client import Connection
from bench.process import Process, free_port, tail, wait_listening
from bench.proxies import envoy, haproxy, nginx, sidecar
from bench.site import SMALL, SMALL_TLS, Site

COMMANDS: dict[str, Callable[[Site, int, Path], list[str]]] = {
    "sidecar": sidecar.command,
    "nginx": nginx.command,
    "haproxy": haproxy.command,
    "envoy": envoy.command,
}
READY_S = 20.0


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running proxy."""

    name: str
    port: int
    process: Process


@contextmanager
def launched(name: str, site: Site, core: int) -> Iterator[Proxy]:
    """Start the proxy `name`, not waiting for anything; end it on exit."""
    directory = Path(mkdtemp(prefix=f"{name}-", dir=site.directory))
    port = free_port()
    command = COMMANDS[name](site, port, directory)
    with Process(command, core=core, log=directory / "log") as process:
        yield Proxy(name, port, process)


@contextmanager
def started(name: str, site: Site, core: int) -> Iterator[Proxy]:
    """Start the proxy `name` and wait until it answers from both upstreams; end it on exit."""
    with launched(name, site, core) as proxy:
        wait_listening(proxy.process, proxy.port)
        for path in (SMALL, SMALL_TLS):
            wait_answering(proxy, path)
        yield proxy


def wait_answering(proxy: Proxy, path: str) -> None:
    """Return as soon as `path` is answered with 200.

    Raises:
        RuntimeError: it was not in time; with the end of the proxy's log.
    """
    deadline = time.monotonic() + READY_S
    status = 0
    while time.monotonic() < deadline and proxy.process.alive():
        with Connection(proxy.port) as connection:
            status = connection.get(path).status
        if status == 200:
            return
        time.sleep(0.002)
    raise RuntimeError(f"{proxy.name} answers {path} with {status}:\n{tail(proxy.process.log)}")
