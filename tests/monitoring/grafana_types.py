"""The dashboard beside Grafana's own types: its schema package from npm, and TypeScript to compare with it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.servers import programs

DIRECTORY = Path(__file__).with_name("grafana")
COMPILER = DIRECTORY / "node_modules/typescript/bin/tsc"
# The panels' own options and fields, by the type of panel.
_PLUGINS = {"stat": "Stat", "timeseries": "TimeSeries", "table": "Table"}
# The types take members of enumerations where JSON has their values.
_LOOSE = """
type Loose<T> = T extends string ? T | `${T}` : T extends object ? { [K in keyof T]: Loose<T[K]> } : T;
"""


def compare(board: Mapping[str, Any], folder: Path) -> str:
    """Return what the compiler says of a dashboard; "" where it is content.

    Args:
        board: the dashboard's JSON model.
        folder: an empty one, for the program that is compiled.

    Raises:
        pytest.skip.Exception, or pytest.fail.Exception where `CI=true`: the compiler is not installed.
    """
    if not COMPILER.exists():
        programs.unavailable("Grafana's types are not installed (python -m tests.monitoring.install)")
    (folder / "node_modules").symlink_to(DIRECTORY / "node_modules")
    (folder / "board.ts").write_text("\n".join(_program(board)))
    command: list[str | Path] = [programs.node(), COMPILER, "--noEmit", "--strict", "--skipLibCheck"]
    command += ["--module", "nodenext", "--moduleResolution", "nodenext", "--target", "es2022", "board.ts"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0 or ran.stdout, ran.stderr
    return ran.stdout


def _program(board: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a program that is right if each part of the dashboard is of its type."""
    yield 'import type { Dashboard, Panel, RowPanel } from "@grafana/schema";'
    for kind, name in _PLUGINS.items():
        path = f"@grafana/schema/dist/esm/raw/composable/{kind}/panelcfg/x/{name}PanelCfg_types.gen"
        yield f'import type * as {kind} from "{path}";'
    yield _LOOSE
    yield f"const board: Loose<Dashboard> = {json.dumps({**board, 'panels': []})};"
    for panel in board["panels"]:
        number, kind = panel["id"], panel["type"]
        if kind == "row":
            yield f"const row{number}: Loose<RowPanel> = {json.dumps(panel)};"
            continue
        yield f"const panel{number}: Loose<Panel> = {json.dumps(panel)};"
        yield f"const options{number}: Loose<{kind}.Options> = {json.dumps(panel['options'])};"
        if custom := panel["fieldConfig"]["defaults"].get("custom"):
            yield f"const custom{number}: Loose<{kind}.FieldConfig> = {json.dumps(custom)};"
