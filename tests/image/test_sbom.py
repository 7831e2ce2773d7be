"""The bill of materials is right by its standard's schema, and names what is in the image: all of it, nothing else."""

from __future__ import annotations

import json
import re
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import cyclonedx.schema
import jsonschema
import pytest
from referencing import Registry, Resource

from image.root.sbom import PLACE
from sidecar import __version__
from tests.image.dockerfile import PROJECT
from tests.image.marks import LOCK, needs_image

pytestmark = needs_image

SCHEMAS = Path(cyclonedx.schema.__file__).parent / "_res"


@pytest.fixture(scope="module")
def bill(root: Path) -> dict[str, Any]:
    """The document."""
    document: dict[str, Any] = json.loads((root / PLACE.lstrip("/")).read_text())
    return document


def components(bill: dict[str, Any], kind: str) -> dict[str, str]:
    """Return the versions of the components of a kind of package URL, by name."""
    named = [one for one in bill["components"] if one["purl"].startswith(f"pkg:{kind}/")]
    return {one["name"]: one["version"] for one in named}


def test_it_is_right_by_the_schema(bill: dict[str, Any]) -> None:
    """CycloneDX 1.6, as its authors publish it."""
    schema = json.loads((SCHEMAS / "bom-1.6.SNAPSHOT.schema.json").read_text())
    others = [json.loads((SCHEMAS / f"{name}.SNAPSHOT.schema.json").read_text()) for name in ("spdx", "jsf-0.82")]
    registry = Registry().with_resources((other["$id"], Resource.from_contents(other)) for other in others)
    jsonschema.Draft7Validator(schema, registry=registry).validate(bill)
    assert bill["metadata"]["component"]["version"] == __version__


def test_it_names_every_python_distribution(bill: dict[str, Any], root: Path) -> None:
    """Those of the lock file that Python 3.13 on Linux takes, and no other; as they are in the image."""
    folder = root / "opt/sidecar/lib/python3.13/site-packages"
    there = {re.sub(r"[-_.]+", "-", one.name).lower(): one.version for one in distributions(path=[str(folder)])}
    named = components(bill, "pypi")
    assert named | {"credential-sidecar": __version__} == there
    lines = (PROJECT / "requirements" / f"{LOCK}.txt").read_text().splitlines()
    pins = dict(line.split()[0].split("==") for line in lines if line[:1].isalnum())
    assert named.items() <= pins.items()
    assert set(pins) - set(named) <= {"typing-extensions"}


def test_it_names_every_debian_package(bill: dict[str, Any], root: Path) -> None:
    """The same as dpkg's own entries, where scanners look for them, each with its licence; and Python by its name."""
    entries = {}
    for entry in (root / "var/lib/dpkg/status.d").iterdir():
        (version,) = re.findall(r"^Version: (.*)$", entry.read_text(), re.MULTILINE)
        entries[entry.name] = version
        assert (root / "usr/share/doc" / entry.name / "copyright").exists()
    assert components(bill, "deb") == entries
    assert all("distro=debian-13" in one["purl"] for one in bill["components"] if one["purl"].startswith("pkg:deb/"))
    assert {"ca-certificates", "libc6", "libssl3t64"} <= set(entries)
    assert components(bill, "generic")["cpython"].startswith("3.13.")
    assert "ID=debian" in (root / "etc/os-release").read_text()
