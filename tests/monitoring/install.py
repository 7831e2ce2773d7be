"""Installs Grafana's own types for `make chart`, and the compiler that compares the dashboard with them: 26 MB of npm.

Does nothing where they are there. With `--lock` it rewrites the npm lock file instead.
"""

from __future__ import annotations

import sys

from tests.monitoring.grafana_types import DIRECTORY
from tests.servers.install import install_npm, lock_npm


def main() -> None:
    """Install what is missing."""
    if "--lock" in sys.argv[1:]:
        lock_npm([DIRECTORY])
        return
    install_npm([DIRECTORY])


if __name__ == "__main__":
    main()
