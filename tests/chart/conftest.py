"""The charts that tests render, a user's with the library in it and the gateway's; made once in each test process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chart.gateway import gateway_chart
from tests.chart.helm import Helm, created_chart, helm3


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Helm 3."""
    return helm3()


@pytest.fixture(scope="session")
def created(helm: Helm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chart made by `helm create`, with the library's lines among its init containers."""
    return created_chart(helm, tmp_path_factory.mktemp("created"))


@pytest.fixture(scope="session")
def gateway(helm: Helm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gateway's chart."""
    return gateway_chart(helm, tmp_path_factory.mktemp("gateway"))
