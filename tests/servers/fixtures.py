"""The real servers as fixtures: each starts once, when a test first asks for it, and is stopped at the end.

A test that stops a server, or changes its keys, makes one of its own from the class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers.certificates import Certificates, write_certificates
from tests.servers.nginx import Nginx
from tests.servers.oauth2_mock import OAuth2Mock
from tests.servers.oidc import OidcProvider
from tests.servers.openbao import OpenBao
from tests.servers.pocketbase import PocketBase
from tests.servers.prometheus import Prometheus


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """The certificates of this run."""
    return write_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def shared_nginx(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[Nginx]:
    """The nginx of this run, with whatever earlier tests left in its log."""
    with Nginx(tmp_path_factory.mktemp("nginx"), certificates) as server:
        yield server


@pytest.fixture
def nginx(shared_nginx: Nginx) -> Nginx:
    """The nginx of this run, its log empty."""
    shared_nginx.forget()
    return shared_nginx


@pytest.fixture(scope="session")
def oidc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcProvider]:
    """The oidc-provider of this run; its tokens live 5 s."""
    with OidcProvider(tmp_path_factory.mktemp("oidc")) as server:
        yield server


@pytest.fixture(scope="session")
def pocketbase(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PocketBase]:
    """The PocketBase of this run; its tokens live 5 s."""
    with PocketBase(tmp_path_factory.mktemp("pocketbase")) as server:
        yield server


@pytest.fixture(scope="session")
def openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    """The OpenBao of this run; a login's token lives an hour, an OIDC token 30 s."""
    with OpenBao(tmp_path_factory.mktemp("openbao")) as server:
        yield server


@pytest.fixture(scope="session")
def shared_oauth2_mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OAuth2Mock]:
    """The oauth2-mock-server of this run, with whatever faults earlier tests left."""
    with OAuth2Mock(tmp_path_factory.mktemp("oauth2-mock")) as server:
        yield server


@pytest.fixture
def oauth2_mock(shared_oauth2_mock: OAuth2Mock) -> OAuth2Mock:
    """The oauth2-mock-server of this run, without a fault."""
    shared_oauth2_mock.meet()
    return shared_oauth2_mock


@pytest.fixture
def start_prometheus(tmp_path: Path) -> Iterator[Callable[[str], Prometheus]]:
    """A function that starts a Prometheus for a target `host:port`; stopped after the test."""
    with ExitStack() as stack:

        def start(target: str) -> Prometheus:
            directory = tmp_path / f"prometheus-{target.rpartition(':')[2]}"
            directory.mkdir()
            return stack.enter_context(Prometheus(directory, target))

        yield start
