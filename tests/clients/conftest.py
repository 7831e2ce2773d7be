"""A sidecar in a process of its own, once for each file of these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.stand import Stand, stand
from tests.servers.nginx import Nginx


@pytest.fixture(scope="module")
def shared_stand(tmp_path_factory: pytest.TempPathFactory, shared_nginx: Nginx) -> Iterator[Stand]:
    """The sidecar of this file, and what is behind it."""
    with stand(tmp_path_factory.mktemp("stand"), shared_nginx) as whole:
        yield whole


@pytest.fixture
def at(shared_stand: Stand) -> Stand:
    """The same, with nothing in the logs of the two upstreams."""
    shared_stand.nginx.forget()
    shared_stand.mirror.forget()
    return shared_stand
