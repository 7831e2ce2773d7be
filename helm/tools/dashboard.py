"""Writes the Grafana dashboard from `panels.yaml`, or says whether it is up to date."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from helm.tools.grafana import dashboard
from helm.tools.panels import FILE, PanelsError, read

DASHBOARD = Path(__file__).parents[1] / "sidecar" / "files" / "dashboard.json"

_EXAMPLE = """example:
  python -m helm.tools.dashboard --check || python -m helm.tools.dashboard
"""


def rendered(panels: Path = FILE) -> str:
    """Return the dashboard's JSON text.

    Args:
        panels: where rows and panels are described.

    Raises:
        PanelsError: they are not described as they should be.
    """
    return json.dumps(dashboard(read(panels)), indent=2, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str] | None = None, file: Path = DASHBOARD) -> int:
    """Write the file, or with `--check` compare it; return the exit code.

    Args:
        arguments: those of the command line.
        file: the dashboard.
    """
    parser = argparse.ArgumentParser(
        prog="python -m helm.tools.dashboard",
        description="Write helm/sidecar/files/dashboard.json from helm/tools/panels.yaml.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if it would change the file")
    check = parser.parse_args(arguments).check
    try:
        text = rendered()
    except PanelsError as error:
        print(error, file=sys.stderr)
        return 2
    if not check:
        file.write_text(text)
        return 0
    if file.exists() and file.read_text() == text:
        return 0
    print(f"{file.name} is not what {FILE.name} describes: run python -m helm.tools.dashboard", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
