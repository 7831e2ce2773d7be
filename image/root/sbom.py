"""The bill of materials: what is in the image, as CycloneDX 1.6 JSON.

Written here from the two databases that know it, the environment's metadata and dpkg's, so that the build needs no
tool for it; the tests hold it against the standard's own schema. Source: https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from image.root.debian import Package
from image.root.tree import Tree

PLACE = "/usr/share/sbom/credential-sidecar.cdx.json"
OWN = "credential-sidecar"
Component = dict[str, object]


def put(tree: Tree, environment: Path, packages: Sequence[Package]) -> None:
    """Write it.

    Args:
        tree: the image.
        environment: the virtual environment whose distributions it names.
        packages: the Debian packages that it names.
    """
    found = distributions(path=[str(path) for path in environment.glob("lib/python3*/site-packages")])
    python = sorted(map(_distribution, found), key=lambda component: str(component["name"]))
    components = [component for component in python if component["name"] != OWN]
    components += [_interpreter(), *map(_debian, packages)]
    own = next(component for component in python if component["name"] == OWN)
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "serialNumber": "",
        "metadata": {"component": own | {"type": "application"}},
        "components": components,
        "dependencies": [{"ref": own["bom-ref"], "dependsOn": [component["bom-ref"] for component in components]}],
    }
    # Of its content, so that two builds of the same make the same file.
    document["serialNumber"] = f"urn:uuid:{uuid5(NAMESPACE_URL, json.dumps(document, sort_keys=True))}"
    tree.write(PLACE, json.dumps(document, indent=1) + "\n")


def _distribution(distribution: Distribution) -> Component:
    name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
    component = _component(name, distribution.version, f"pkg:pypi/{name}@{quote(distribution.version)}")
    expressions = distribution.metadata.get_all("License-Expression", [])
    return component | ({"licenses": [{"expression": expressions[0]}]} if expressions else {})


def _interpreter() -> Component:
    # By its own name as well: where it was built by hand, as in Docker's official image, no package stands for it.
    version = platform.python_version()
    return _component("cpython", version, f"pkg:generic/cpython@{version}")


def _debian(package: Package) -> Component:
    version = quote(package.version)
    system = platform.freedesktop_os_release()
    # By the distribution's release, a scanner knows which advisories are about it.
    distribution = f"{system['ID']}-{system.get('VERSION_ID', 'unstable')}"
    qualifiers = f"arch={package.architecture}&distro={distribution}&upstream={quote(package.source)}"
    purl = f"pkg:deb/{system['ID']}/{quote(package.name)}@{version}?{qualifiers}"
    return _component(package.name, package.version, purl)


def _component(name: str, version: str, purl: str) -> Component:
    return {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl}
