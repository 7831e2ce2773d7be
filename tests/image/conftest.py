"""The image's files as a folder, the two containers of each file of tests, and the figures that they find."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from image import engine
from image.build import NAME
from image.figures import FILE
from tests.image.container import podman
from tests.image.stand import Stand, stand


@pytest.fixture(scope="session")
def root() -> Iterator[Path]:
    """The root of the image."""
    mounted = podman("image", "mount", NAME)
    assert mounted.code == 0, mounted.err
    yield Path(mounted.out.strip())
    podman("image", "unmount", "--force", NAME)


@pytest.fixture(scope="module")
def shared_stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """The vendor and the sidecar of this file."""
    with stand(tmp_path_factory.mktemp("stand")) as both:
        yield both


@pytest.fixture
def figure() -> Callable[[str, str], None]:
    """Keep a figure for the report of `make image`: what it is, and its value with its unit."""

    def keep(name: str, value: str) -> None:
        engine.HOME.mkdir(exist_ok=True)
        known = json.loads(FILE.read_text()) if FILE.exists() else {}
        FILE.write_text(json.dumps(known | {name: value}, indent=2) + "\n")

    return keep
