"""The Debian packages that the files come from: told to scanners, with their licences.

`/var/lib/dpkg/status.d/` is where distroless images have one entry for each package, and where Trivy, Grype and Syft
look for them.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from image.root.tree import Tree

_STATUS_FOLDER = "/var/lib/dpkg/status.d"
# It makes the bundle of certificates when it is installed, so that dpkg knows of no owner.
_MAKERS = ("ca-certificates",)


@dataclass(frozen=True, slots=True)
class Package:
    """One Debian package, of which at least one file is in the image."""

    name: str
    version: str
    architecture: str
    source: str
    status: str  # its paragraph in dpkg's own words


def packages_of(paths: Iterable[Path]) -> list[Package]:
    """Return the packages that these files belong to, by name. A Python built by hand is of none."""
    # Debian's database names a file as its package did, before /lib became a link into /usr.
    candidates = sorted({name for path in paths for name in (str(path), str(path).removeprefix("/usr"))})
    found = subprocess.run(["dpkg-query", "-S", *candidates], capture_output=True, text=True, check=False).stdout
    owners = {name for line in found.splitlines() for name in line.rpartition(": ")[0].split(", ") if _is_name(name)}
    return sorted(map(_package, {*owners, *_MAKERS}), key=lambda package: package.name)


def put(tree: Tree, packages: Sequence[Package]) -> None:
    """Write an entry and the licence of each."""
    for package in packages:
        tree.write(f"{_STATUS_FOLDER}/{package.name}", package.status)
        licence = Path("/usr/share/doc") / package.name / "copyright"
        if licence.exists():
            tree.put(licence)
    distribution = Path("/etc/os-release")
    if distribution.exists():  # without it no scanner knows whose packages these are
        tree.put(distribution)


def _is_name(name: str) -> bool:
    return re.fullmatch(r"[a-z0-9][a-z0-9.+-]+(:[a-z0-9]+)?", name) is not None


def _package(name: str) -> Package:
    status = subprocess.run(["dpkg-query", "-s", name], capture_output=True, text=True, check=True).stdout
    fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", status, re.MULTILINE))
    source = str(fields.get("Source", fields["Package"])).split()[0]
    return Package(fields["Package"], fields["Version"], fields["Architecture"], source, status)
